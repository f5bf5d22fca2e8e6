"""Layers upon each other along steps: bytes alive by kind, over what is always there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tflm_export.page.axes import Axes
from tflm_export.page.document import Picture
from tflm_export.page.markup import Markup, element, joined, text


def stacked(
    parts: Mapping[tuple[str, str], Sequence[float]],
    x_label: str,
    y_label: str,
    levels: Mapping[str, float] | None = None,
) -> Picture:
    """{(name, style): a height a step}, the first below. levels: {name: height}, as dashed lines."""
    steps = max((len(heights) for heights in parts.values()), default=0)
    floor, shapes = [0.0] * steps, []
    tops = [sum(column) for column in zip(*parts.values(), strict=True)]
    levels = levels or {}
    axes = Axes((0.0, float(max(steps, 1))), (0.0, 1.06 * max([*tops, *levels.values(), 1e-9])))
    for (name, style), heights in parts.items():
        roof = [a + b for a, b in zip(floor, heights, strict=True)]
        if any(heights):
            shapes.append(_area(axes, floor, roof, name, style))
        floor = roof
    lines = joined(axes.level(value, name) for name, value in levels.items())
    legend = tuple(key for key, heights in parts.items() if any(heights))
    return Picture(joined([axes.frame(x_label, y_label), *shapes, lines]), 720.0, axes.height, legend)


def _area(axes: Axes, floor: Sequence[float], roof: Sequence[float], name: str, style: str) -> Markup:
    there = [f"{axes.left(i + d):.1f} {axes.top(v):.1f}" for i, v in enumerate(roof) for d in (0, 1)]
    back = [f"{axes.left(i + d):.1f} {axes.top(v):.1f}" for i, v in enumerate(floor) for d in (0, 1)]
    outline = "M" + "L".join([*there, *reversed(back)]) + "Z"
    return element("path", element("title", text(name)), d=outline, class_=f"fill {style}")
