"""Curves over one axis: accuracy over a stream, loss over steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tflm_export.page.axes import WIDTH, Axes, words
from tflm_export.page.document import Picture
from tflm_export.page.markup import Markup, element, joined, text

COLOURS, DASHES = 6, 5


@dataclass(frozen=True)
class Curve:
    """Points (x, y) with a name; `thin`: one of many."""

    name: str
    points: Sequence[tuple[float, float]]
    thin: bool = False


@dataclass(frozen=True)
class Mark:
    """A moment x: an upright line, or a short one at the axis, `height` high. written: beside it."""

    x: float
    name: str
    written: str = ""
    height: float | None = None


def curves(
    lines: Sequence[Curve],
    x_label: str,
    y_label: str,
    y: tuple[float, float] | None = None,
    marks: Sequence[Mark] = (),
    unit: str = "",
) -> Picture:
    """Lines that differ in colour and dashes.

    y: what the axis shows; by default 0 up to the highest. marks: moments. unit: behind the figures of y.
    """
    shown = [(a, b) for line in lines for a, b in line.points if math.isfinite(b)]
    low, high = min((a for a, _ in shown), default=0.0), max((a for a, _ in shown), default=1.0)
    axes = Axes((low, high), y or (0.0, max((b for _, b in shown), default=0.0) or 1.0))
    drawn = joined(_line(axes, line, i) for i, line in enumerate(lines))
    moments = joined(_moment(axes, mark) for mark in marks if low <= mark.x <= high)
    legend = tuple((line.name, style(i)) for i, line in enumerate(lines))
    content = joined([axes.frame(x_label, y_label, unit), moments, drawn])
    return Picture(content, WIDTH, axes.height, legend)


def style(i: int) -> str:
    """The classes of curve number `i`: of 30 no two have the same colour and dashes.

    >>> len({style(i) for i in range(30)})
    30
    """
    return f"curve c{i % COLOURS} d{(i // COLOURS + i) % DASHES}"


def _line(axes: Axes, line: Curve, i: int) -> Markup:
    """One line, torn where a value is none; a point that stands alone is a dot."""
    places, down = [], False
    for a, b in line.points:
        if math.isfinite(b):
            places.append(f"{'L' if down else 'M'}{axes.left(a):.1f} {axes.top(b):.1f}")
        down = math.isfinite(b)
    if len(places) == 1:
        places.append("h0")
    kind = f"{style(i)}{' thin' if line.thin else ''}"
    return element("path", element("title", text(line.name)), d=" ".join(places), class_=kind)


def _moment(axes: Axes, mark: Mark) -> Markup:
    """Its whole name is said."""
    x, low, high = axes.left(mark.x), axes.top(axes.y[0]), axes.top(axes.y[1])
    short = mark.height is not None
    top, kind = (low - (mark.height or 0), "tick") if short else (high, "limit")
    line = element("line", element("title", text(mark.name)), x1=x, x2=x, y1=low, y2=top, class_=kind)
    if not mark.written:
        return line
    label = words(x - 4, low - 4, mark.written, style="soft", turned=f"rotate(-90 {x - 4:g} {low - 4:g})")
    return joined([line, label])
