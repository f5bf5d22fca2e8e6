"""tfodl: Keras models that go on learning on a microcontroller, under a memory budget.

Names load on first use, so that `tfodl.plan` and the compiler start without TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Budget": "plan",
    "LayerUpdate": "plan",
    "Optimizer": "plan",
    "UpdatePlan": "plan",
    "TfodlError": "errors",
    "neuron_groups": "groups",
    "NeuronGroup": "groups",
    "plan_cost": "cost",
    "flops": "cost",
    "SelectiveModel": "selective.model",
    "Neurons": "selective.sites",
    "VelocitySelection": "callbacks",
    "RandomSelection": "callbacks",
    "FixedSelection": "callbacks",
    "EquilibriumSelection": "callbacks",
    "ScottiSelection": "callbacks",
    "TopLayersRandom": "callbacks",
    "Fisher": "callbacks",
    "Int8Model": "int8.graph",
    "QAS": "int8.qas",
}
_MODULES = {"callbacks", "hypergrad", "velocity", "selection", "sparse_update", "quantize", "convert"}
_MODULES |= {"models", "datasets", "sweep"}

__all__ = ["__version__", *_HOME, *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"tfodl.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"tfodl.{name}")
    raise AttributeError(f"module 'tfodl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
