"""A picture's axes: from values to places on its canvas.

>>> ticks(0, 96, 5)
[0, 20, 40, 60, 80]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflm_export.page.markup import Markup, element, joined, text

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 720.0, 62.0, 12.0, 12.0, 42.0
FIGURE_WIDTH = 7.5  # of a digit, about


@dataclass(frozen=True)
class Axes:
    """A frame for x and y, each (low, high), on a canvas `WIDTH` x `height`."""

    x: tuple[float, float]
    y: tuple[float, float]
    height: float = 260.0

    def left(self, value: float) -> float:
        """Where x is."""
        low, high = self.x
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / ((high - low) or 1)

    def top(self, value: float) -> float:
        """Where y is; upwards."""
        low, high = self.y
        return self.height - BOTTOM - (self.height - TOP - BOTTOM) * (value - low) / ((high - low) or 1)

    def frame(self, x_label: str, y_label: str, unit: str = "") -> Markup:
        """Lines, figures and names of both axes; `unit` stands behind the figures of y."""
        across = [self._across(value, unit) for value in ticks(*self.y, 5)]
        along = [
            figure_below(self.left(value), self.height - BOTTOM + 16, value) for value in ticks(*self.x, 9)
        ]
        middle = (self.height - BOTTOM + TOP) / 2
        names = [
            words((LEFT + WIDTH - RIGHT) / 2, self.height - 6, x_label, "middle"),
            words(12, middle, y_label, "middle", turned=f"rotate(-90 12 {middle:g})"),
        ]
        return joined([*across, *along, *names])

    def level(self, value: float, name: str, above: bool = True) -> Markup:
        """A dashed line at y with its name."""
        line = element(
            "line", x1=LEFT, x2=WIDTH - RIGHT, y1=self.top(value), y2=self.top(value), class_="limit"
        )
        return joined([line, words(LEFT + 4, self.top(value) + (-4 if above else 12), name)])

    def _across(self, value: float, unit: str) -> Markup:
        at = self.top(value)
        line = element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid")
        return joined([line, words(LEFT - 6, at + 4, f"{value:,.6g}{unit}", "end", "soft")])


def words(
    x: float, y: float, line: str, anchor: str = "start", style: str | None = None, turned: str | None = None
) -> Markup:
    """Text on a picture."""
    return element("text", text(line), x=x, y=y, text_anchor=anchor, class_=style, transform=turned)


def figure_below(x: float, y: float, value: float) -> Markup:
    """A figure of an axis below its place, whole on the canvas."""
    line = f"{value:,.6g}"
    beyond = x + FIGURE_WIDTH * len(line) / 2 > WIDTH
    return words(WIDTH - 2 if beyond else x, y, line, "end" if beyond else "middle", "soft")


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from `low` to `high`, at most `most` and about half of it at least."""
    if not high > low:
        return [low]
    step = _round_up((high - low) / most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [_whole(step * i) for i in range(first, last + 1)][: most + 1]


def _round_up(step: float) -> float:
    size = 10.0 ** math.floor(math.log10(step))
    return next(size * lead for lead in (1, 2, 5, 10) if size * lead >= step * (1 - 1e-9))


def _whole(value: float) -> float:
    return int(round(value)) if abs(value - round(value)) < 1e-9 else float(f"{value:.9g}")
