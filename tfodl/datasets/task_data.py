"""`TaskData`: inputs with numbers, several labels or nothing to learn, from a `.npz`.

`x_train x_test` are float [N, ...] or pictures uint8 [N, H, W, C]; `y_train y_test` float [N] or [N, K]
(numbers), rows of 0 and 1 [N, L] (labels), whole numbers [N] (classes of float vectors), or left out (an
autoencoder; a `y_test` of 0, normal, and 1, strange, is then what it is judged by). Of `x`, and `y`, alone a
fifth is tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.datasets.arrays import read_npz
from tfodl.datasets.split import TEST_SHARE

XY = tuple[np.ndarray, np.ndarray | None]


@dataclass(frozen=True, eq=False)
class TaskData:
    """Inputs and targets in memory. y: float32 [N, K], int8 [N, L] of 0 and 1, int64 [N], or None.

    Raises `TfodlError` for what is none of these, NaN, or parts that do not fit together.

    >>> TaskData(np.zeros((4, 3)), np.zeros(4), np.zeros((2, 3)), np.ones(2), "here").kind
    'numbers'
    """

    x_train: np.ndarray
    y_train: np.ndarray | None
    x_test: np.ndarray
    y_test: np.ndarray | None
    name: str

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            x, y = getattr(self, f"x_{split}"), getattr(self, f"y_{split}")
            where = f"data set {self.name!r}, {split}"
            object.__setattr__(self, f"x_{split}", _inputs(x, where))
            object.__setattr__(self, f"y_{split}", _targets(y, len(x), where))
        train, test = self.y_train, self.y_test
        alike = test is not None and train is not None and test.shape[1:] == train.shape[1:]
        if self.x_train.shape[1:] != self.x_test.shape[1:] or not (alike or train is None):
            raise TfodlError(
                f"data set {self.name!r}: train holds x {self.x_train.shape} and y {_shape(train)}, test x "
                f"{self.x_test.shape} and y {_shape(test)}; the shapes behind N must be the same."
            )

    @property
    def kind(self) -> str:
        """ "numbers", "labels", "classes" or "normal" (nothing but inputs)."""
        y = self.y_train
        if y is None:
            return "normal"
        return {"f": "numbers", "i": "classes" if y.ndim == 1 else "labels"}[y.dtype.kind]

    @property
    def pictures(self) -> bool:
        """Whether the inputs are pixels."""
        return self.x_train.dtype == np.uint8

    def hold_out(self, count: int, seed: int) -> tuple[XY, XY]:
        """`count` of the train samples to judge by, drawn, and the rest to train on."""
        order = np.random.default_rng(seed).permutation(len(self.x_train))
        parts = np.sort(order[count:]), np.sort(order[:count])
        y = self.y_train
        train, held = ((self.x_train[part], None if y is None else y[part]) for part in parts)
        return train, held

    def summary(self) -> str:
        """One line for people."""
        y, shape = self.y_train, "x".join(map(str, self.x_train.shape[1:]))
        counts = f"{len(self.x_train):,} train, {len(self.x_test):,} test inputs of {shape}"
        if y is None:
            return f"data {self.name}: {counts}, and nothing to predict: an autoencoder's"
        count = int(y.max()) + 1 if y.ndim == 1 else y.shape[1]
        return f"data {self.name}: {counts}, {count} {self.kind if count > 1 else self.kind[:-1]}"


def load_task(name: str, seed: int = 0) -> TaskData | None:
    """The data of a `.npz` for another task than choosing a picture's class; None for any other data.

    Raises `TfodlError` as `TaskData` does.
    """
    path = Path(name)
    if path.suffix != ".npz" or not path.is_file():
        return None
    fields = read_npz(path)
    if "jpeg" in fields:
        return None
    if "x" in fields and "x_train" not in fields:
        fields = _parted(fields, seed)
    if "x_train" not in fields or not _is_task(fields["x_train"], fields.get("y_train")):
        return None
    missing = [
        name for name in ("x_test", *(["y_test"] if "y_train" in fields else [])) if name not in fields
    ]
    if missing:
        raise TfodlError(f"{str(path)!r}: arrays {missing} are missing beside x_train.")
    y_train, y_test = fields.get("y_train"), fields.get("y_test")
    return TaskData(fields["x_train"], y_train, fields["x_test"], y_test, path.stem)


def _is_task(x: np.ndarray, y: np.ndarray | None) -> bool:
    vectors = x.ndim == 2 and x.dtype.kind == "f"
    return y is None or y.dtype.kind == "f" or (y.ndim == 2 and y.shape[1] > 1) or vectors


def _parted(fields: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    order = np.random.default_rng(seed).permutation(len(fields["x"]))
    count = max(1, len(order) // TEST_SHARE)
    parts = {"train": np.sort(order[count:]), "test": np.sort(order[:count])}
    names = [name for name in ("x", "y") if name in fields]
    return {f"{name}_{split}": fields[name][part] for name in names for split, part in parts.items()}


def _inputs(x: np.ndarray, where: str) -> np.ndarray:
    if x.dtype == np.uint8 and x.ndim in (3, 4):
        return x[..., None] if x.ndim == 3 else x
    if x.dtype.kind not in "fiu" or x.ndim < 2 or not x.size:
        raise TfodlError(
            f"{where}: x must be float [N, ...] or pictures uint8 [N,H,W,C], got {x.dtype} {x.shape}."
        )
    x = x.astype(np.float32)
    if not np.isfinite(x).all():
        raise TfodlError(f"{where}: x holds NaN or infinity; leave such samples out.")
    return x


def _targets(y: np.ndarray | None, count: int, where: str) -> np.ndarray | None:
    if y is None:
        return None
    if y.dtype.kind not in "fiub" or y.ndim not in (1, 2) or len(y) != count or not y.size:
        raise TfodlError(
            f"{where}: y must be {count} rows of numbers, got {y.dtype} {y.shape}; an autoencoder needs none."
        )
    if y.dtype.kind == "f":
        if not np.isfinite(y).all():
            raise TfodlError(f"{where}: y holds NaN or infinity; leave such samples out.")
        return y.astype(np.float32).reshape(count, -1)
    if y.ndim == 1 or y.shape[1] == 1:
        return y.astype(np.int64).reshape(count)
    if y.min() < 0 or y.max() > 1:
        raise TfodlError(f"{where}: labels [N, {y.shape[1]}] must be 0 or 1, got {y.min()} to {y.max()}.")
    return y.astype(np.int8)


def _shape(y: np.ndarray | None) -> object:
    return None if y is None else y.shape
