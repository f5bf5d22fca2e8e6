"""`check_split`: arrays that are labelled pictures or signals, or a line that says what to save instead."""

from __future__ import annotations

import numpy as np

from tflm_export.errors import TfodlError


def check_split(where: str, x: np.ndarray, y: np.ndarray, classes: int | None = None) -> None:
    """Raise `TfodlError` unless `x` is uint8 [N,H,W,1 or 3], or the finite floats of signals (`is_signal`),
    and `y` [N] whole numbers in 0 .. classes - 1 (None: any from 0 on), N >= 1.

    >>> check_split("here", np.zeros((1, 2, 2, 1), np.float32), np.array([0]))
    Traceback (most recent call last):
    tflm_export.errors.TfodlError: here: pictures must be uint8 [N,H,W,C], got float32 (1, 2, 2, 1)...
    """
    if is_signal(x):
        _check_finite(where, x)
    elif x.ndim != 4 or x.dtype != np.uint8:
        raise TfodlError(f"{where}: pictures must be uint8 [N,H,W,C], got {x.dtype} {x.shape}{_other_x(x)}.")
    elif x.shape[3] not in (1, 3):
        raise TfodlError(
            f"{where}: pictures must have 1 or 3 channels, last in [N,H,W,C], got {x.shape[3]} in {x.shape}."
        )
    if y.shape != x.shape[:1] or not np.issubdtype(y.dtype, np.integer):
        raise TfodlError(
            f"{where}: labels must be {len(x)} whole numbers, got {y.dtype} {y.shape}{_other_y(y, len(x))}."
        )
    if not x.size:
        raise TfodlError(f"{where}: no {'values' if is_signal(x) else 'pictures'} (shape {x.shape}).")
    if y.min() < 0:
        raise TfodlError(
            f"{where}: labels must be >= 0, got {y.min()}..{y.max()}; number the classes from 0."
        )
    if classes is not None and y.max() >= classes:
        raise TfodlError(
            f"{where}: labels must lie in 0..{classes - 1} ({classes} class names), got {y.min()}..{y.max()}."
        )


def is_signal(x: np.ndarray) -> bool:
    """Whether `x` [N, ...] holds floats of a sensor, as [N, T, C], rather than pictures: any floats but maps
    of 1 or 3 channels within -1..255.

    >>> is_signal(np.zeros((5, 64, 3))), is_signal(np.zeros((5, 8, 8, 3))), is_signal(np.zeros((5, 4), int))
    (True, False, False)
    """
    if x.dtype.kind != "f" or x.ndim < 3:
        return False
    maps = x.ndim == 4 and x.shape[3] in (1, 3)
    with np.errstate(invalid="ignore"):
        return not maps or bool(x.size and ((x < -1).any() or (x > 255).any()))


def _check_finite(where: str, x: np.ndarray) -> None:
    bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1) if x.size else np.zeros(0, bool)
    if bad.any():
        raise TfodlError(
            f"{where}: {bad.sum()} of {len(x)} samples hold NaN or infinity, the first at index "
            f"{bad.argmax()}; leave them out."
        )


def _other_x(x: np.ndarray) -> str:
    """What to save in place of pictures of another dtype or rank."""
    if x.dtype.kind not in "iufb":
        return ""
    if x.dtype == np.uint8 or not x.size:
        return "; reshape each row to [H,W,C]" if x.ndim == 2 else ""
    if not np.isfinite(x).all():
        return ", with NaN or infinity; leave such pictures out and save uint8"
    if x.min() < 0 or x.max() > 255:
        return f", {x.min():g}..{x.max():g}; scale them to 0..255 and save uint8"
    if x.max() <= 1:
        return ", 0..1; save (255 * x).round().astype('uint8')"
    return ", 0..255; save x.round().astype('uint8')"


def _other_y(y: np.ndarray, count: int) -> str:
    """What to save in place of labels of another dtype or shape."""
    if y.shape == (count, 1):
        return "; save y[:, 0]"
    if y.ndim == 2 and len(y) == count and y.shape[1] > 1:
        return "; of one-hot rows save y.argmax(axis=1)"
    if y.dtype.kind in "USO":
        return "; of names save np.unique(y, return_inverse=True)[1] as y and [0] as class_names"
    whole = y.dtype.kind == "b" or (y.dtype.kind == "f" and bool((y == np.floor(y)).all()))
    return "; save y.astype(int)" if whole and y.shape == (count,) else ""
