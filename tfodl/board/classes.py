"""`BoardClasses`: which classes a board knows, and a stream's labels as its numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflm_export.board.client import NAME_BYTES, BoardClient
from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tfodl.board.samples import Samples
from tfodl.datasets.notes import some


@dataclass(frozen=True)
class BoardClasses:
    """used: how many classes are in use. most: how many there can be. names: one a class in use; () where
    nobody says.

    >>> x, y = np.zeros((2, 1), np.uint8), np.array([1, 0])
    >>> BoardClasses(3, 3, ("a", "b", "c")).numbered(Samples(x, y, x, y, ("c", "b")), "here").labels
    array([1, 2])
    """

    used: int
    most: int
    names: tuple[str, ...] = ()

    @classmethod
    def told(
        cls, board: BoardClient, compiled: Compiled, given: Sequence[str] = (), fresh: bool = False
    ) -> BoardClasses:
        """As `board` tells them. given: names of a board that tells none. fresh: as it was flashed.

        Raises `TfodlError` for names given that are not as many as the classes, or not the board's.
        """
        most, used = compiled.output.size, board.info().classes
        flashed = most - compiled.plan.spare_classes
        used = flashed if fresh else used
        told = tuple(board.about["classes"])
        if told and given and told != tuple(given):
            raise TfodlError(
                f"--classes names {some(given)}, the board's sketch {some(told)}; leave --classes out."
            )
        names = told or tuple(given)
        if names and len(names) != flashed:
            raise TfodlError(
                f"--classes has {len(names)} names ({some(names)}), the engine {flashed} classes; name every "
                "one, in order."
            )
        opened = [board.class_name(label) for label in range(flashed, used)] if names else []
        return cls(used, most, (*names, *opened))

    def numbered(self, samples: Samples, data: str) -> Samples:
        """`samples` of `data` with the board's numbers as labels: by name, or by number where the board or
        the data have no names. What the board does not know is numbered on in the order of the stream.

        Raises `TfodlError` where classes are not the board's, and it has no spare ones for them.
        """
        by_number = range(min(self.used, len(samples.names)))
        numbers = self._by_name(samples.names) if self.names else dict(enumerate(by_number))
        if self.names and samples.nameless and len(numbers) < len(samples.names):
            numbers = dict(enumerate(by_number))
        elif not self.names and not samples.nameless and len(samples.names) < self.used:
            raise TfodlError(
                f"data {data!r} have classes {some(samples.names)}, and the board has {self.used} without "
                "names; say which they are with --classes NAME,NAME,..., all in order."
            )
        new = [label for label in _in_order(samples) if label not in numbers]
        names = [samples.names[label] for label in new]
        if self.used + len(new) > self.most:
            raise TfodlError(self._unknown(data, [samples.names[label] for label in sorted(new)]))
        if len({*numbers.values()}) < len(numbers) or len({*map(short, names)}) < len(names):
            raise TfodlError(
                f"data {data!r} have classes whose names begin with the same {NAME_BYTES} bytes, all that a "
                f"board keeps of a new class's name, among {some(samples.names)}; rename them."
            )
        numbers |= {label: self.used + i for i, label in enumerate(new)}
        return _renumbered(samples, numbers, self.names)

    def _by_name(self, names: Sequence[str]) -> dict[int, int]:
        """The board's number of every label that it has a name for; it keeps 16 bytes of a new class's."""
        known = {name: number for number, name in reversed(list(enumerate(self.names)))}
        found = {label: known.get(name, known.get(short(name))) for label, name in enumerate(names)}
        return {label: number for label, number in found.items() if number is not None}

    def _unknown(self, data: str, names: Sequence[str]) -> str:
        spare = self.most - self.used
        known = f"knows {some(self.names)}" if self.names else f"has {self.used} classes"
        return (
            f"data {data!r} have {some(names)}, which the board does not know; it {known}, and has "
            f"{spare or 'no'} spare {'class' if spare == 1 else 'classes'}: rename the data's classes, leave "
            "these out, or compile with --spare-classes."
        )


def short(name: str) -> str:
    """As much of a name as a board keeps of a new class."""
    return name.encode()[:NAME_BYTES].decode("utf-8", "ignore")


def _in_order(samples: Samples) -> list[int]:
    """Every label, as the stream brings them; those that it does not bring at the end."""
    return list(dict.fromkeys([*samples.labels.tolist(), *range(len(samples.names))]))


def _renumbered(samples: Samples, numbers: dict[int, int], names: Sequence[str]) -> Samples:
    """With the board's numbers and its names of them."""
    table = np.array([numbers[label] for label in range(len(samples.names))])
    named = dict(enumerate(names)) | {
        number: samples.names[label] for label, number in numbers.items() if number >= len(names)
    }
    count = max(named) + 1
    return dataclasses.replace(
        samples,
        labels=table[samples.labels],
        test_labels=table[samples.test_labels],
        names=tuple(named.get(number, str(number)) for number in range(count)),
    )
