"""Samples to ship with an engine: from a file of pictures and labels to the exemplars in its flash.

>>> from tflm_export.plan import Memory
>>> remembering = UpdatePlan(memory=Memory(samples=2, exemplar_replays=1))
>>> shipped = ship(tflite, remembering, np.concatenate(inputs), np.array([0, 0, 1, 1]), per_class=1)
>>> shipped.labels.tolist()
[0, 1]
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np

from tflm_export.compiler import Compiled, compile_model
from tflm_export.errors import ExportError
from tflm_export.living.choose import choose, latents
from tflm_export.living.memory import Exemplars
from tflm_export.plan import UpdatePlan

NAMES = (("x", "y"), ("x_train", "y_train"))


def ship(
    tflite: bytes,
    plan: UpdatePlan,
    x: np.ndarray,
    labels: np.ndarray,
    *,
    per_class: int | None = None,
    rule: str = "random",
    seed: int = 0,
    **options: Any,
) -> Exemplars:
    """Exemplars for `compile_model(tflite, plan, exemplars=...)`: latents of x [N, ...], with labels [N].

    x: uint8 pictures or float32 values by the input contract, or int8 as the engine takes it. per_class: how
    many of every class, by `rule` of `choose` on their latents; None is all. options: as `compile_model`'s.
    Raises `ExportError` for a plan that replays none, inputs of another shape or dtype, and as `choose` does.
    """
    if plan.memory is None or not plan.memory.exemplar_replays:
        raise ExportError(
            "exemplars: the update plan replays none; set memory.exemplar_replays to 1 or more."
        )
    without = replace(plan, memory=replace(plan.memory, exemplar_replays=0))
    compiled = compile_model(tflite, without, **options)
    found = latents(compiled.graph, without, _inputs(compiled, np.asarray(x)))
    labels = np.asarray(labels).reshape(-1)
    if len(labels) != len(found):
        raise ExportError(f"exemplars: got {len(found)} inputs and {len(labels)} labels; give one of each.")
    places = np.arange(len(labels)) if per_class is None else choose(found, labels, per_class, rule, seed)
    return Exemplars(found[places], labels[places])


def read_samples(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [N, ...] and labels [N] of an .npz file: its arrays x and y, or x_train and y_train.

    Raises `ExportError` for a folder, a file that is no .npz, or one without such arrays.
    """
    try:
        with np.load(path) as stored:
            names = next(((x, y) for x, y in NAMES if x in stored and y in stored), None)
            if names is None:
                raise ExportError(
                    f"{str(path)!r} has the arrays {stored.files}; needed: x and y, or x_train and y_train."
                )
            return stored[names[0]], stored[names[1]]
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{str(path)!r} is no .npz of pictures and labels ({error}); tfodl quantize --exemplars N makes "
            "one."
        ) from error


def _inputs(compiled: Compiled, x: np.ndarray) -> np.ndarray:
    shape = compiled.input.shape[1:]
    allowed = ("int8", "uint8" if compiled.contract is None else compiled.contract.dtype)
    if str(x.dtype) not in allowed or x.shape[1:] != shape or not len(x):
        raise ExportError(
            f"exemplars: inputs must be {allowed[1]} or int8 [N >= 1, {', '.join(map(str, shape))}], got "
            f"{x.dtype} {list(x.shape)}."
        )
    return x if x.dtype == np.int8 else compiled.quantize(x)
