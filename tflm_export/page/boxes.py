"""Boxes on two axes: what lies where, from when to when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tflm_export.page.axes import Axes, words
from tflm_export.page.document import Picture
from tflm_export.page.markup import Markup, element, joined, text

LETTER, LINE = 6.5, 13.0  # about what a letter of the small print takes


@dataclass(frozen=True)
class Box:
    """x from `start` to `end`, y from `low` to `high`. `name` stands in it where it fits; `about` is said."""

    start: float
    end: float
    low: float
    high: float
    name: str
    about: str
    style: str


def boxes(
    found: Sequence[Box], x_label: str, y_label: str, legend: tuple[tuple[str, str], ...] = ()
) -> Picture:
    """All of them."""
    axes = Axes(
        (0.0, max((b.end for b in found), default=1.0)),
        (0.0, max((b.high for b in found), default=1.0)),
        360.0,
    )
    drawn = joined(_box(axes, box) for box in found)
    return Picture(joined([axes.frame(x_label, y_label), drawn]), 720.0, axes.height, legend)


def _box(axes: Axes, box: Box) -> Markup:
    left, right = axes.left(box.start), axes.left(box.end)
    top, bottom = axes.top(box.high), axes.top(box.low)
    shape = element(
        "rect",
        element("title", text(box.about)),
        x=left,
        y=top,
        width=right - left,
        height=bottom - top,
        class_=f"fill edge {box.style}",
    )
    if len(box.name) * LETTER > right - left or bottom - top < LINE:
        return shape
    return joined([shape, words((left + right) / 2, (top + bottom) / 2 + 4, box.name, "middle", "on")])
