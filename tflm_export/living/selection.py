"""`Selection`: which channels learn in an epoch; JSON both ways.

>>> one = Selection(1, 500, {"#3": (0, 5), "#4": ()}, axis="in")
>>> from_json(to_json([one])) == [one], one.count
(True, 2)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tflm_export.errors import ExportError
from tflm_export.pool import AXES

Axis = Literal["out", "in"]


@dataclass(frozen=True)
class Selection:
    """epoch: 0 is the first; step: training steps before it; channels: of every candidate, by its op; axis:
    `"out"`, they are output channels, or `"in"`, input channels."""

    epoch: int
    step: int
    channels: Mapping[str, tuple[int, ...]]
    axis: Axis = "out"

    @property
    def kind(self) -> str:
        """What they are, for people."""
        return "input channels" if self.axis == "in" else "channels"

    @property
    def count(self) -> int:
        """Channels in all."""
        return sum(map(len, self.channels.values()))


def to_json(selections: Sequence[Selection]) -> str:
    """One line an epoch."""
    rows = [json.dumps({**vars(s), "channels": dict(s.channels)}) for s in selections]
    return "[\n" + ",\n".join(rows) + "\n]\n"


def from_json(text: str) -> list[Selection]:
    """What `to_json` wrote. Raises `ExportError` for anything else."""
    try:
        return [_one(row) for row in json.loads(text)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExportError(f"selections: not what to_json wrote ({error}).") from error


def _one(row: Any) -> Selection:
    channels = {str(name): tuple(map(int, listed)) for name, listed in row["channels"].items()}
    axis = row.get("axis", "out")
    if axis not in AXES:
        raise ValueError(f"axis {axis!r}")
    return Selection(int(row["epoch"]), int(row["step"]), channels, axis)
