"""tfodl: Keras models that go on learning on a microcontroller, under a memory budget.

Names load on first use: plans and selection work without TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "Budget": "tflm_export.budget",
    "Guard": "tflm_export.plan",
    "LayerUpdate": "tflm_export.plan",
    "Memory": "tflm_export.plan",
    "Optimizer": "tflm_export.optimizer",
    "Pool": "tflm_export.pool",
    "UpdatePlan": "tflm_export.plan",
    "TfodlError": "tflm_export.errors",
    "neuron_groups": "tfodl.neurons.groups",
    "NeuronGroup": "tfodl.neurons.group",
    "plan_cost": "tfodl.neurons.cost",
    "flops": "tfodl.neurons.cost",
    "SelectiveModel": "tfodl.selective.model",
    "Neurons": "tfodl.neurons.sites",
    "VelocitySelection": "tfodl.callbacks",
    "RandomSelection": "tfodl.callbacks",
    "FixedSelection": "tfodl.callbacks",
    "EquilibriumSelection": "tfodl.callbacks",
    "BestEpoch": "tfodl.callbacks",
    "ScottiSelection": "tfodl.callbacks",
    "TopLayersRandom": "tfodl.callbacks",
    "ImportanceRandom": "tfodl.callbacks",
    "Fisher": "tfodl.callbacks",
    "Int8Model": "tfodl.int8.graph",
    "QAS": "tfodl.int8.qas",
}
_MODULES = {
    "callbacks": "tfodl.callbacks",
    "convert": "tfodl.quantize.convert",
    "datasets": "tfodl.datasets",
    "hypergrad": "tfodl.callbacks.hypergrad",
    "models": "tfodl.models",
    "quantize": "tfodl.quantize",
    "schemes": "tfodl.selection.schemes",
    "selection": "tfodl.selection",
    "sparse_update": "tfodl.sparse_update",
    "stream": "tfodl.stream",
    "sweep": "tfodl.experiments.sweep",
    "velocity": "tfodl.selection.velocity",
}

__all__ = ["__version__", *_HOME, *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    raise AttributeError(f"module 'tfodl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
