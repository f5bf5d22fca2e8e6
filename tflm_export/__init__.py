"""tflm_export: an int8 .tflite and an update plan in, a C++ training engine for microcontrollers out.

    from tflm_export import UpdatePlan, compile_model, verify

    compiled = compile_model(tflite, UpdatePlan(head=True))
    print(verify(compiled).summary())
    compiled.save("build/engine")

Names load on first use; none of them needs TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "BOARDS": "boards",
    "Board": "boards",
    "BoardClient": "board.client",
    "Budget": "plan",
    "Compiled": "compiler",
    "ExportError": "errors",
    "HostEngine": "machines.host",
    "InputContract": "input_contract",
    "LayerUpdate": "plan",
    "Memory": "plan",
    "Optimizer": "plan",
    "Pool": "pool",
    "SignalContract": "signal_contract",
    "Simulator": "simulate.step",
    "TfodlError": "errors",
    "UpdatePlan": "plan",
    "compile_model": "compiler",
    "load": "engine_folder",
    "make_sketch": "board.sketch",
    "measure": "machines.measure",
    "patch_constants": "front.write_tflite",
    "read_tflite": "front.read_tflite",
    "verify": "report.verify",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tflm_export' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tflm_export.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
