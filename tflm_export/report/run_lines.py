"""What a board's log says, read with care: a line that says nothing, or nonsense, is left out and counted.

The lines are those of `tfodl board` (tfodl/board/run_log.py): `{"step", "time", "label", "predicted",
"loss"}` for a training step, `{"event", "time", ...}` for what happened.

>>> run = read_run([{"step": 1, "time": 0.3, "label": 1, "predicted": 0, "loss": 2.5}, {"step": "x"}, 7])
>>> run.steps[0].right, run.left_out, run.names
(False, 2, ('0', '1'))
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflm_export.errors import ExportError

MOST_CLASSES, MOST_STEPS, LARGE = 1000, 10**9, 1e30
EVENTS = ("unplugged", "resumed", "saved", "epoch", "class", "evaluated", "begin", "end")


@dataclass(frozen=True)
class Step:
    """A training step: its number, seconds since the beginning, and what the line had beside them."""

    step: int
    time: float
    label: int | None = None
    predicted: int | None = None
    loss: float | None = None

    @property
    def right(self) -> bool | None:
        """Whether the board said the label before it learned it; None for a task without classes."""
        return None if self.label is None else self.predicted == self.label


@dataclass(frozen=True)
class Event:
    """Something that happened after `step` steps. facts: the line as it was."""

    name: str
    step: int
    time: float
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """steps: of every number the last line, for what a board lost it learns again. names: of the classes."""

    steps: tuple[Step, ...]
    events: tuple[Event, ...]
    names: tuple[str, ...]
    left_out: int = 0

    def of(self, *names: str) -> list[Event]:
        """The events of these names, in order."""
        return [event for event in self.events if event.name in names]

    @property
    def begin(self) -> Mapping[str, Any]:
        """What the run was begun with."""
        return next((event.facts for event in self.of("begin")), {})


def read_run(lines: Iterable[object]) -> Run:
    """The lines in order, each as JSON gives it."""
    steps: dict[int, Step] = {}
    events: list[Event] = []
    left_out, last = 0, 0
    for line in lines:
        found = _event(line, last) or _step(line)
        if isinstance(found, Event):
            events.append(found)
        elif found is not None:
            steps[found.step] = found
            last = found.step
        else:
            left_out += not _unknown(line)
    ordered = tuple(steps[number] for number in sorted(steps))
    return Run(ordered, tuple(events), tuple(_names(ordered, events)), left_out)


def _unknown(line: object) -> bool:
    """Whether the line is an event of which this page knows nothing."""
    return isinstance(line, Mapping) and isinstance(line.get("event"), str)


def read_lines(path: str | os.PathLike[str]) -> list[object]:
    """The lines of the log at `path`, each as JSON gives it, None for one that is none."""
    return [_parsed(line) for line in Path(path).read_text("utf-8", "replace").splitlines()]


def read_run_file(path: str | os.PathLike[str]) -> Run:
    """The run whose log is at `path`. Raises `ExportError` for a file without a line that is understood."""
    run = read_run(read_lines(path))
    if not run.steps and not run.events:
        raise ExportError(f"{os.fspath(path)!r} is no log of a board; tfodl board writes one.")
    return run


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _step(line: object) -> Step | None:
    if not isinstance(line, Mapping):
        return None
    number, time = whole(line.get("step"), MOST_STEPS), real(line.get("time", 0))
    if number is None or time is None:
        return None
    label = whole(line.get("label"), MOST_CLASSES - 1)
    predicted = None if label is None else whole(line.get("predicted"), MOST_CLASSES - 1)
    return Step(number, time, label, predicted, real(line.get("loss")))


def _event(line: object, last: int) -> Event | None:
    name = line.get("event") if isinstance(line, Mapping) else None
    if not isinstance(line, Mapping) or name not in EVENTS:
        return None
    number, time = whole(line.get("step"), MOST_STEPS), real(line.get("time"))
    return Event(name, last if number is None else number, time or 0.0, line)


def _names(steps: Sequence[Step], events: Sequence[Event]) -> list[str]:
    """What the log calls its classes; their numbers where it does not."""
    given = next((event.facts.get("classes") for event in events if event.name == "begin"), None)
    named = dict(enumerate(map(str, given[:MOST_CLASSES]))) if isinstance(given, list) else {}
    for event in events:
        number = whole(event.facts.get("label"), MOST_CLASSES - 1) if event.name == "class" else None
        if number is not None:
            named[number] = str(event.facts.get("name", number))
    seen = [number for step in steps for number in (step.label, step.predicted) if number is not None]
    return [named.get(i, str(i)) for i in range(max([*named, *seen], default=-1) + 1)]


def whole(value: object, most: int) -> int | None:
    """A whole number from 0 to `most`; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def real(value: object) -> float | None:
    """A number that a picture can have; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < LARGE else None
