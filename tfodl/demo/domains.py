"""Two domains of one task: pictures as they are (source), and as a badly mounted device sees them (target)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfodl import datasets
from tfodl.errors import TfodlError


@dataclass(frozen=True)
class Domains:
    """Disjoint pictures of two domains: float32 [N, H, W, C] in [-1, 1], labels int [N].

    Each domain: `x_train, y_train` to learn from, `x_test, y_test` held out.
    """

    source: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    target: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    classes: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        """[H, W, C] of a picture."""
        return self.source[0].shape[1:]


def normalise(pictures: np.ndarray) -> np.ndarray:
    """uint8 [0, 255] to float32 [-1, 1], so that int8 pictures are `pixel - 128`."""
    return (pictures.astype(np.float32) / 127.5) - 1.0


def make_domains(data: str, seed: int = 0) -> Domains:
    """Load `data`, give each domain half of the train and half of the test pictures.

    Raises `TfodlError` for an unknown data set or one too small to halve.
    """
    loaded = datasets.load(data, seed=seed)
    if len(loaded.x_train) < 40 or len(loaded.x_test) < 20:
        raise TfodlError(
            f"data {data!r}: {len(loaded.x_train)} train and {len(loaded.x_test)} test pictures are too few "
            "for two domains; at least 40 and 20 are needed."
        )
    rng = np.random.default_rng(seed)
    train = np.array_split(rng.permutation(len(loaded.x_train)), 2)
    test = np.array_split(rng.permutation(len(loaded.x_test)), 2)

    def domain(index: int, change) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        x_train, x_test = loaded.x_train[train[index]], loaded.x_test[test[index]]
        y_train, y_test = loaded.y_train[train[index]], loaded.y_test[test[index]]
        return normalise(change(x_train, seed)), y_train, normalise(change(x_test, seed + 1)), y_test

    return Domains(
        source=domain(0, lambda pictures, _: pictures),
        target=domain(1, lambda pictures, s: datasets.mounted_badly(pictures, seed=s)),
        classes=len(loaded.class_names),
    )
