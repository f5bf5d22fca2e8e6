"""Two domains of one task: pictures as they are (source) and as a badly mounted device sees them (target)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tflm_export.errors import TfodlError
from tfodl import datasets, models
from tfodl.datasets.images import Size
from tfodl.datasets.notes import note
from tfodl.datasets.split import hold_out
from tfodl.demo.config import DemoConfig
from tfodl.jobs.pictures import taken

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

LEAST_TRAIN, LEAST_TEST = 200, 20
HELD_OUT = 50  # target pictures, the last, that velocities are measured on, never trained on


@dataclass(frozen=True)
class Domains:
    """Disjoint pictures of two domains: uint8 [N, H, W, C], or float32 as a model takes them; labels int [N].

    Each domain: `x_train, y_train` to learn from, `x_test, y_test` held out.
    """

    source: Arrays
    target: Arrays
    classes: int

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """[H, W, C] of a picture."""
        height, width, channels = self.source[0].shape[1:]
        return height, width, channels

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> Domains:
        """These domains with all pictures [N, H, W, C] changed."""
        source, target = (
            (change(x_train), y_train, change(x_test), y_test)
            for x_train, y_train, x_test, y_test in (self.source, self.target)
        )
        return replace(self, source=source, target=target)


def make_domains(config: DemoConfig) -> Domains:
    """The two domains of `config.data`, uint8, in the size that the model takes. Digits come with theirs; of
    any other set, the target domain is the second half of the train and of the test pictures, each class by
    its share, seen by a badly mounted device.

    Raises `TfodlError` for an unknown data set or one too small to halve.
    """
    size: Size = config.size
    channels = None
    if models.is_file(config.model):
        size, channels = taken(models.load(config.model), config.model, config.size)
    if datasets.holds_signals(config.data):
        raise TfodlError(
            f"data set {config.data!r}: holds signals, the demo is of pictures; take tfodl finetune."
        )
    load = functools.partial(
        datasets.load, config.data, size=size, channels=channels, seed=config.seed, skip_bad=config.skip_bad
    )
    if config.data != "digits":
        return halves(load(), config.seed)
    source, target = (load(domain=domain) for domain in ("source", "target"))
    return Domains(_arrays(source), _arrays(target), source.classes)


def _arrays(data: datasets.Dataset) -> Arrays:
    return data.x_train, data.y_train, data.x_test, data.y_test


def halves(data: datasets.Dataset, seed: int) -> Domains:
    """The halves of a set, the second seen by a badly mounted device. Raises `TfodlError` when it is too
    small."""
    if len(data.x_train) < LEAST_TRAIN or len(data.x_test) < LEAST_TEST:
        raise TfodlError(
            f"data {data.name!r}: {len(data.x_train)} train and {len(data.x_test)} test pictures are too few "
            f"for two domains; at least {LEAST_TRAIN} and {LEAST_TEST} are needed."
        )
    train, test = (hold_out(y, len(y) // 2, seed) for y in (data.y_train, data.y_test))
    kept, measured = hold_out(data.y_train[train[1]], HELD_OUT, seed)
    train = (train[0], train[1][np.concatenate([kept, measured])])
    source, target = (
        replace(
            data,
            name=f"{data.name}, {domain} domain",
            x_train=data.x_train[train[half]],
            y_train=data.y_train[train[half]],
            x_test=data.x_test[test[half]],
            y_test=data.y_test[test[half]],
        )
        for half, domain in enumerate(("source", "target"))
    )
    for line in (*source.gaps(), *target.gaps()):
        note(line)
    seen = [datasets.mounted_badly(x, seed + i) for i, x in enumerate((target.x_train, target.x_test))]
    target = replace(target, x_train=seen[0], x_test=seen[1])
    return Domains(_arrays(source), _arrays(target), data.classes)
