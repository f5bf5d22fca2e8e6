"""`Dataset`: labelled pictures or signals, split in train and test."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.features.log_mel import LogMel
from tfodl.datasets.checks import check_split, is_signal
from tfodl.datasets.images import RESIZE, Size, resize, with_channels
from tfodl.datasets.notes import note, some
from tfodl.datasets.split import draw, hold_out, hold_out_recordings

XY = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled samples in memory.

    x_train, x_test: `[N,H,W,C]` uint8 of pictures; `[N,T,C]` (or more axes) float32 of signals.
    y_train, y_test: `[N]` int32, 0 .. classes - 1.
    class_names: one name a class.
    name: where the pictures came from.
    x_val, y_val: pictures to judge training by, where the data come with such; else None.
    recordings: `[N]` whole numbers, the recording that each train sample was cut from: no recording is both
        trained on and held out. None where every sample is one of its own.
    sound: how the features of sounds were computed; None for anything else.

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
    x_val: np.ndarray | None = None
    y_val: np.ndarray | None = None
    recordings: np.ndarray | None = None
    sound: LogMel | None = None

    def __post_init__(self) -> None:
        names = tuple(map(str, self.class_names))
        object.__setattr__(self, "class_names", names)
        for split, (x, y) in self.splits():
            check_split(f"data set {self.name!r}, {split}", x, y, len(names))
            object.__setattr__(self, f"y_{split}", y.astype(np.int32))
            if is_signal(x):
                object.__setattr__(self, f"x_{split}", x.astype(np.float32, copy=False))
            if x.shape[1:] != self.x_train.shape[1:]:
                raise TfodlError(
                    f"data set {self.name!r}: train {self.kind} are {self.x_train.shape[1:]}, but {split} "
                    f"{self.kind} {x.shape[1:]}; {'cut them alike' if self.signals else RESIZE}."
                )

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Height, width and channels of a picture; time and channels of a sequence."""
        return self.x_train.shape[1:]

    @property
    def signals(self) -> bool:
        """Whether the samples are floats of a sensor, no pictures."""
        return self.x_train.dtype.kind == "f"

    @property
    def kind(self) -> str:
        """What the samples are called."""
        return "signals" if self.signals else "pictures"

    @property
    def one(self) -> str:
        """What cannot be parted between training and judging: a picture, a signal or a recording."""
        return "recording" if self.recordings is not None else self.kind.removesuffix("s")

    def splits(self) -> Iterator[tuple[str, XY]]:
        """`train`, `test`, and `val` where there is one, with their pictures and labels."""
        yield "train", (self.x_train, np.asarray(self.y_train))
        yield "test", (self.x_test, np.asarray(self.y_test))
        if self.x_val is not None:
            yield "val", (self.x_val, np.asarray(self.y_val))

    def subset(
        self, train: int | None = None, test: int | None = None, seed: int = 0, *, val: int | None = None
    ) -> Dataset:
        """At most `train`, `test` and `val` pictures, each class by its share, drawn with `seed` and
        shuffled; None keeps a split as it is."""
        counts = {"train": train, "test": test, "val": val}
        changes: dict[str, Any] = {}
        for split, (x, y) in self.splits():
            count = counts[split]
            if count is not None and count < len(x):
                chosen = draw(y, count, seed)
                changes |= {f"x_{split}": x[chosen], f"y_{split}": y[chosen]}
                if split == "train" and self.recordings is not None:
                    changes["recordings"] = self.recordings[chosen]
        return dataclasses.replace(self, **changes)

    def hold_out(self, count: int, seed: int = 0) -> tuple[XY, XY]:
        """Pictures and labels to train on, shuffled, and those to judge by: `val` where there is one, else
        `count` of the train pictures, each class by its share and never its last picture. Samples cut from
        one recording stay on one side.

        Classes that are not held out are named in a warning. Raises `TfodlError` where no class has two.
        """
        if self.x_val is not None and self.y_val is not None:
            train, judged = draw(self.y_train, len(self.y_train), seed), (self.x_val, self.y_val)
        else:
            train, held_out = self._halves(count, seed)
            judged = self._train(held_out)
        if not len(judged[1]):
            raise TfodlError(
                f"data set {self.name!r}: nothing to hold out, with one train {self.one} a class; two are "
                "the least."
            )
        if lacking := self.lacking(judged[1]):
            note(f"data set {self.name!r}: training is not judged by {some(lacking)}: no {self.one} held out")
        return self._train(train), judged

    def read_as(self, size: Size = None, channels: int | None = None) -> Dataset:
        """The pictures at `size` (side, or height and width) in grey (1) or RGB (3); None leaves either."""
        read: dict[str, Any] = {
            f"x_{split}": with_channels(resize(x, size), channels) for split, (x, _) in self.splits()
        }
        return dataclasses.replace(self, **read)

    def gaps(self) -> Iterator[str]:
        """A line for the classes that one of the splits does not have."""
        train, test = (self.lacking(y) for y in (self.y_train, self.y_test))
        single = {self.class_names[i] for i in np.flatnonzero(np.bincount(self.y_train) == 1)} & set(test)
        test = [name for name in test if name not in single]
        for names, line in (
            (train, f"no train {self.kind} of {{}}: the model cannot learn them"),
            (sorted(single), f"a single {self.one} of {{}}: it is trained on, none is tested"),
            (test, f"no test {self.kind} of {{}}"),
        ):
            if names:
                yield f"data set {self.name!r}: " + line.format(some(names))

    def lacking(self, y: np.ndarray) -> list[str]:
        """Names of the classes that labels `y [N]` do not have."""
        counts = np.bincount(y, minlength=self.classes)
        return [self.class_names[label] for label in np.flatnonzero(counts == 0)]

    def _halves(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Train samples to train on and `count` to hold out."""
        if self.recordings is None:
            return hold_out(self.y_train, count, seed)
        return hold_out_recordings(self.y_train, self.recordings, count, seed)

    def _train(self, chosen: np.ndarray) -> XY:
        return self.x_train[chosen], self.y_train[chosen]
