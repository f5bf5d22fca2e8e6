"""`Dataset`: labelled pictures, split in train and test."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from tflm_export.errors import TfodlError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled pictures in memory.

    x_train, x_test: `[N,H,W,C]` uint8.
    y_train, y_test: `[N]` int32, 0 .. classes - 1.
    class_names: one name a class.
    name: where the pictures came from.

    Raises `TfodlError` when shapes, dtypes or labels do not fit together.

    >>> x = np.zeros((2, 8, 8, 1), np.uint8)
    >>> data = Dataset(x, np.array([0, 1]), x, np.array([1, 0]), ("off", "on"), "lamp")
    >>> data.classes, data.input_shape
    (2, (8, 8, 1))
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        names = tuple(map(str, self.class_names))
        object.__setattr__(self, "class_names", names)
        for split in ("train", "test"):
            x, y = getattr(self, f"x_{split}"), np.asarray(getattr(self, f"y_{split}"))
            _check_split(f"data set {self.name!r}, {split}", x, y, len(names))
            object.__setattr__(self, f"y_{split}", y.astype(np.int32))
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise TfodlError(
                f"data set {self.name!r}: train pictures are {self.x_train.shape[1:]} but test pictures are "
                f"{self.x_test.shape[1:]}; give size= to make them equal."
            )

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a picture."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels

    def subset(self, train: int | None = None, test: int | None = None, seed: int = 0) -> Dataset:
        """At most `train` and `test` pictures, drawn with `seed`; None keeps a split whole."""
        rng = np.random.default_rng(seed)
        x_train, y_train = _draw(self.x_train, self.y_train, train, rng)
        x_test, y_test = _draw(self.x_test, self.y_test, test, rng)
        return dataclasses.replace(self, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def _check_split(where: str, x: np.ndarray, y: np.ndarray, classes: int) -> None:
    if x.ndim != 4 or x.dtype != np.uint8:
        raise TfodlError(f"{where}: pictures must be uint8 [N,H,W,C], got {x.dtype} {x.shape}.")
    if x.shape[3] not in (1, 3):
        raise TfodlError(f"{where}: pictures must have 1 or 3 channels, got {x.shape[3]}.")
    if y.shape != x.shape[:1] or not np.issubdtype(y.dtype, np.integer):
        raise TfodlError(f"{where}: labels must be {len(x)} whole numbers, got {y.dtype} {y.shape}.")
    if not len(x):
        raise TfodlError(f"{where}: no pictures.")
    if y.min() < 0 or y.max() >= classes:
        raise TfodlError(
            f"{where}: labels must lie in 0..{classes - 1} ({classes} class names), got {y.min()}..{y.max()}."
        )


def _draw(
    x: np.ndarray, y: np.ndarray, count: int | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if count is None or count >= len(x):
        return x, y
    chosen = np.sort(rng.permutation(len(x))[:count])
    return x[chosen], y[chosen]
