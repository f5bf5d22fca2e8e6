"""Whether data are what an engine takes and learns, said before anything is sent."""

from __future__ import annotations

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tfodl.datasets.task_data import TaskData

WORDS = {"uint8": "pictures", "float32": "float signals"}


def takes(compiled: Compiled) -> str:
    """What an engine takes, and where such come from."""
    dtype = "uint8" if compiled.contract is None else compiled.contract.dtype
    return (
        f"engine {compiled.name!r} takes {WORDS[dtype]} {_x(compiled.input.shape[1:])}: give it data of the "
        "kind that its model was trained on"
    )


def check_inputs(compiled: Compiled, data: str, x: np.ndarray) -> None:
    """Raise `TfodlError` where samples `x` [N, ...] are none that the engine takes."""
    if compiled.contract is None:
        raise TfodlError(
            f"engine {compiled.name!r} does not know how samples reach its model; compile it with --input."
        )
    if str(x.dtype) != compiled.contract.dtype or x.shape[1:] != tuple(compiled.input.shape[1:]):
        held = WORDS.get(str(x.dtype), str(x.dtype))
        raise TfodlError(f"{data!r} holds {held} {_x(x.shape[1:])}; {takes(compiled)}.")


def check_targets(compiled: Compiled, data: str, found: TaskData) -> None:
    """Raise `TfodlError` where targets are none that the engine learns."""
    y, count = found.y_train, compiled.output.size
    if y is None:
        return
    got = 1 if y.ndim == 1 else y.shape[1]
    if got != count:
        raise TfodlError(
            f"{data!r} holds {got} {found.kind} a sample, engine {compiled.name!r} learns {count}; give it "
            "data of the task that it was trained on."
        )
    if compiled.plan.loss == "bce" and not np.isin(y, (0, 1)).all():
        raise TfodlError(f"{data!r} holds y {y.min()} to {y.max()}; engine {compiled.name!r} learns 0 and 1.")


def _x(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
