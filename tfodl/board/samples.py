"""What a board is taught and judged by: a data set in the form that an engine takes, in an order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tfodl import datasets
from tfodl.stream.order import order


@dataclass(frozen=True)
class Samples:
    """x [N, ...] uint8 or float32, labels [N] in the order of the stream; test_x, test_labels held out."""

    x: np.ndarray
    labels: np.ndarray
    test_x: np.ndarray
    test_labels: np.ndarray
    names: tuple[str, ...]


def load_samples(
    compiled: Compiled, data: str, how: str, seed: int, count: int | None, tests: int, domain: str
) -> Samples:
    """The train split of a data set, folder or file in order `how`, and `tests` samples of its test split.

    count: of the stream at most, drawn before they are put in order; None: all.
    Raises `TfodlError` for data that cannot be had, or for an engine that does not learn classes.
    """
    if compiled.plan.loss != "crossentropy":
        raise TfodlError(
            f"tfodl board learns classes; this engine learns by {compiled.plan.loss}: feed it from Python "
            "(docs/sketch.md)."
        )
    shape = tuple(compiled.input.shape[1:])
    if datasets.holds_signals(data):
        found = datasets.load(data, seed=seed, shape=shape)
    else:
        height, width, channels = shape
        found = datasets.load(data, size=(height, width), channels=channels, seed=seed, domain=domain)
    rng = np.random.default_rng(seed)
    taken = rng.permutation(len(found.y_train))[:count]
    taken = taken[order(found.y_train[taken], how, seed)]
    judged = rng.permutation(len(found.y_test))[:tests]
    return Samples(
        found.x_train[taken],
        found.y_train[taken],
        found.x_test[judged],
        found.y_test[judged],
        found.class_names,
    )
