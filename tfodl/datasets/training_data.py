"""`check_training_data`: pictures and labels that a classifier can learn from, or a clear error.

>>> x, y = check_training_data(np.zeros((4, 8, 8, 1)), [0, 1, 1, 0], (8, 8, 1), classes=2, where="qat")
>>> x.dtype, y.dtype, y.shape
(dtype('float32'), dtype('int64'), (4,))
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.errors import TfodlError


def check_inputs(x: Any, shape: tuple[int, ...], where: str) -> np.ndarray:
    """`x` as finite float32 [N, *shape], N >= 1. Raises `TfodlError` naming `where` otherwise."""
    try:
        x = np.asarray(x)
        if x.dtype.kind in "USO":
            raise TypeError(f"dtype {x.dtype}")
        x = x.astype(np.float32, copy=False)
    except (TypeError, ValueError) as error:
        raise TfodlError(f"{where}: the inputs are not numbers ({error}).") from error
    if x.shape[1:] != tuple(shape) or x.ndim != len(shape) + 1 or not len(x):
        raise TfodlError(
            f"{where}: inputs must be [N >= 1, {', '.join(map(str, shape))}], got {list(x.shape)}."
        )
    bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
    if bad.any():
        raise TfodlError(
            f"{where}: {bad.sum()} of {len(x)} inputs hold NaN or infinity, the first at index "
            f"{bad.argmax()}; remove them."
        )
    found: np.ndarray = x
    return found


def check_training_data(
    x: Any, y: Any, shape: tuple[int, ...], classes: int, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [N, *shape] float32 and labels [N] int64 in [0, classes).

    y: class indices [N], or one-hot rows [N, classes].
    Raises `TfodlError` for NaN, shapes that do not fit, labels outside the head's classes, or one class only.
    """
    x = check_inputs(x, shape, where)
    y = check_labels(y, len(x), classes, where)
    check_two_classes(y, where)
    return x, y


def check_labels(y: Any, count: int, classes: int, where: str) -> np.ndarray:
    """`count` labels int64 in [0, classes), of class indices or one-hot rows. Raises `TfodlError`."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == classes > 1:
        y = _indices(y, where)
    y = y.reshape(-1) if y.shape == (count, 1) else y
    if y.shape != (count,):
        raise TfodlError(f"{where}: labels must be [{count}] or [{count}, {classes}], got {list(y.shape)}.")
    if y.dtype.kind not in "iub" and not (y.dtype.kind == "f" and (y == np.floor(y)).all()):
        raise TfodlError(f"{where}: labels must be class indices 0..{classes - 1}, got dtype {y.dtype}.")
    y = y.astype(np.int64)
    if y.min() < 0 or y.max() >= classes:
        raise TfodlError(
            f"{where}: labels run from {y.min()} to {y.max()}, but the model's head has {classes} classes "
            f"(0..{classes - 1}); give the model a head of the right size or remap the labels."
        )
    found: np.ndarray = y
    return found


def check_two_classes(y: np.ndarray, where: str) -> None:
    """Raise `TfodlError` when labels [N > 1] are all the same."""
    if len(y) > 1 and (y == y[0]).all():
        raise TfodlError(f"{where}: every label is {y[0]}: one class alone teaches nothing; add another.")


def _indices(rows: np.ndarray, where: str) -> np.ndarray:
    """The class of each row of shares [N, classes], which are >= 0 and add up to 1."""
    shares = rows.dtype.kind in "iubf" and (rows >= 0).all() and np.allclose(rows.sum(axis=1), 1, atol=1e-3)
    if not shares:
        raise TfodlError(
            f"{where}: labels {list(rows.shape)} are no one-hot rows (each >= 0, adding up to 1); give those "
            "or class indices [N]."
        )
    found: np.ndarray = rows.argmax(axis=1)
    return found
