"""A curve in the terminal: how often the board knew a sample before it learned from it, or its loss.

>>> print("\\n".join(chart([0.0, 0.5, 1.0, 1.0], width=4, height=2)))
100 %|  ██|
  0 %| ███|
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TextIO

BLOCKS = " ▁▂▃▄▅▆▇█"
WINDOW = 50  # samples that the running share is of
WIDTH, HEIGHT = 60, 6
EVERY = 0.2  # seconds between two pictures


def chart(values: Sequence[float], width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    """Values 0 .. 1 as lines of blocks, the highest first; more than `width` are taken together."""
    columns = [values[i * len(values) // width] for i in range(width)] if len(values) > width else values
    rows = []
    for row in reversed(range(height)):
        filled = [round((v * height - row) * (len(BLOCKS) - 1)) for v in columns]
        line = "".join(BLOCKS[max(0, min(len(BLOCKS) - 1, level))] for level in filled)
        label = "100 %" if row == height - 1 else "  0 %" if row == 0 else "     "
        rows.append(f"{label}|{line:<{width}}|")
    return rows


class Curve:
    """Draws the run on `out` (None: stdout): all the time in a terminal, else a line every tenth."""

    def __init__(self, total: int, out: TextIO | None = None):
        self._total, self._out = total, out or sys.stdout
        self._live = self._out.isatty()
        self._told: list[float] = []
        self._unit = "%"
        self._shares: list[float] = []
        self._drawn, self._lines, self._tenth = 0.0, 0, 0

    def step(self, step: int, loss: float, right: bool | None) -> None:
        """A sample was learned. right: None for a task without classes, of which the loss is drawn."""
        self._told.append(loss if right is None else float(right))
        last = self._told[-WINDOW:]
        self._shares.append(sum(last) / len(last))
        mean, of_classes = self._shares[-1], right is not None
        self._unit = "%" if of_classes else "loss"
        knew = (
            f"knew {mean:6.1%} of the last {len(last)}"
            if of_classes
            else f"mean of the last {len(last)} {mean:.3f}"
        )
        text = f"{step:>6} of {self._total}   loss {loss:6.3f}   {knew}"
        if self._live and (time.monotonic() - self._drawn > EVERY or step == self._total):
            self._drawn = time.monotonic()
            self._draw([*self._chart(), text])
        elif not self._live and step * 10 // self._total > self._tenth:
            self._tenth = step * 10 // self._total
            self.say(text)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._lines = 0
        print(text, file=self._out, flush=True)

    def end(self) -> None:
        """The whole curve, where it was not drawn all the time."""
        if not self._live and self._shares:
            self.say("\n".join(self._chart()))

    def _chart(self) -> list[str]:
        """Shares of what was known as they are, a loss as a part of its highest."""
        most = 1.0 if self._unit == "%" else max(*self._shares, 1e-9)
        lines = chart([value / most for value in self._shares])
        if self._unit == "%":
            return lines
        return [
            f"{most:5.3g}{lines[0][5:]}",
            *(f"     {line[5:]}" for line in lines[1:-1]),
            f"    0{lines[-1][5:]}",
        ]

    def _draw(self, lines: Sequence[str]) -> None:
        up = f"\x1b[{self._lines}A" if self._lines else ""
        self._out.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        self._out.flush()
        self._lines = len(lines)
