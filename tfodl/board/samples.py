"""What a board is taught and judged by: a data set in the form that an engine takes, in an order."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tfodl import datasets
from tfodl.board.fitting import check_inputs, check_targets, takes
from tfodl.board.targets import wanted
from tfodl.datasets.task_data import load_task
from tfodl.stream.order import order


@dataclass(frozen=True)
class Samples:
    """x [N, ...] uint8 or float32, labels [N] in the order of the stream; test_x, test_labels held out.

    Of tasks without classes labels are targets int8 [N, K], test_labels as the data has them, without names.
    """

    x: np.ndarray
    labels: np.ndarray
    test_x: np.ndarray
    test_labels: np.ndarray | None
    names: tuple[str, ...]

    @property
    def nameless(self) -> bool:
        """Whether the names are no more than the numbers."""
        return self.names == tuple(map(str, range(len(self.names))))


def load_samples(
    compiled: Compiled,
    data: str,
    how: str,
    seed: int,
    count: int | None,
    tests: int,
    domain: str,
    skip_bad: bool = False,
) -> Samples:
    """The train split of a data set, folder or file in order `how`, and `tests` samples of its test split.

    count: of the stream at most, drawn before they are put in order; None: all.
    skip_bad: leave out pictures that cannot be read.
    Raises `TfodlError` for data that cannot be had, or are of another task than the engine's.
    """
    if compiled.plan.loss != "crossentropy":
        return _values(compiled, data, how, seed, count, tests)
    parts = _vectors(compiled, data, seed) or _pictures_or_signals(compiled, data, seed, domain, skip_bad)
    check_inputs(compiled, data, parts.x)
    rng = np.random.default_rng(seed)
    taken = rng.permutation(len(parts.labels))[:count]
    taken = taken[order(parts.labels[taken], how, seed)]
    judged = rng.permutation(len(parts.test_x))[:tests]
    assert parts.test_labels is not None
    return Samples(
        parts.x[taken], parts.labels[taken], parts.test_x[judged], parts.test_labels[judged], parts.names
    )


def _vectors(compiled: Compiled, data: str, seed: int) -> Samples | None:
    """All float vectors with classes, whose names are their numbers; None of other data."""
    found = load_task(data, seed)
    if found is None or found.kind != "classes":
        return None
    y, test_y = found.y_train, found.y_test
    assert y is not None and test_y is not None
    low, high = int(min(y.min(), test_y.min())), int(max(y.max(), test_y.max()))
    if low < 0 or high >= compiled.output.size:
        raise TfodlError(
            f"{data!r} holds classes {low} to {high}, engine {compiled.name!r} has 0 to "
            f"{compiled.output.size - 1}; number them so, or compile with --spare-classes."
        )
    names = tuple(map(str, range(high + 1)))
    return Samples(found.x_train, y, found.x_test, test_y, names)


def _pictures_or_signals(compiled: Compiled, data: str, seed: int, domain: str, skip_bad: bool) -> Samples:
    """All pictures at the size that the engine takes, or recordings cut for it."""
    shape = tuple(compiled.input.shape[1:])
    if datasets.holds_signals(data):
        found = datasets.load(data, seed=seed, shape=shape, least=1)
    elif len(shape) == 3:
        height, width, channels = shape
        found = datasets.load(
            data,
            size=(height, width),
            channels=channels,
            seed=seed,
            domain=domain,
            least=1,
            skip_bad=skip_bad,
        )
    elif os.path.exists(data):
        raise TfodlError(f"{data!r} holds pictures; {takes(compiled)}.")
    else:
        found = datasets.load(data, seed=seed, domain=domain)
    return Samples(found.x_train, found.y_train, found.x_test, found.y_test, found.class_names)


KINDS = {"numbers": "mse", "labels": "bce", "classes": "bce", "normal": "reconstruction"}


def _values(compiled: Compiled, data: str, how: str, seed: int, count: int | None, tests: int) -> Samples:
    """The same of numbers, several labels, or an autoencoder's inputs, from a `.npz`."""
    found = load_task(data, seed)
    loss = compiled.plan.loss
    if found is None or KINDS[found.kind] != loss:
        held = "classes" if found is None else found.kind
        raise TfodlError(
            f"the engine learns by {loss}, and {data!r} holds {held}; docs/tasks.md has what it takes."
        )
    if how != "shuffled":
        raise TfodlError(f"--order {how} is of classes; samples for {loss} come shuffled.")
    check_inputs(compiled, data, found.x_train)
    check_targets(compiled, data, found)
    rng = np.random.default_rng(seed)
    taken, judged = rng.permutation(len(found.x_train))[:count], rng.permutation(len(found.x_test))[:tests]
    targets = None if found.y_train is None else found.y_train[taken]
    held_out = None if found.y_test is None else found.y_test[judged]
    if held_out is not None and loss == "bce":
        held_out = held_out.reshape(len(judged), -1)
    return Samples(
        found.x_train[taken], wanted(compiled, targets, len(taken)), found.x_test[judged], held_out, ()
    )
