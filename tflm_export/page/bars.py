"""Bars from left to right, one a row, of parts side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tflm_export.page.axes import WIDTH, words
from tflm_export.page.document import Picture
from tflm_export.page.markup import Markup, element, joined, text

NAMES, ROW, NUMBER, LETTERS = 190.0, 22.0, 124.0, 28


def bars(rows: Sequence[tuple[str, Mapping[str, float]]], styles: Mapping[str, str], unit: str) -> Picture:
    """rows: (name, {part: size}). styles: {part: class}, in the order of the parts. unit: behind the sums."""
    longest = max((sum(parts.values()) for _, parts in rows), default=0.0) or 1.0
    scale = (WIDTH - NAMES - NUMBER) / longest
    drawn = joined(_row(i, name, parts, styles, scale, unit) for i, (name, parts) in enumerate(rows))
    shown = {part for _, parts in rows for part, size in parts.items() if size}
    legend = tuple((part, style) for part, style in styles.items() if part in shown)
    return Picture(drawn, WIDTH, ROW * max(1, len(rows)) + 4, legend if len(styles) > 1 else ())


def shortened(name: str, letters: int = LETTERS) -> str:
    """A name with its middle left out where it is too long.

    >>> shortened("a_very_long_name", 9)
    'a_ve…name'
    """
    half = (letters - 1) // 2
    return name if len(name) <= letters else f"{name[:half]}…{name[-half:]}"


def _row(
    i: int, name: str, parts: Mapping[str, float], styles: Mapping[str, str], scale: float, unit: str
) -> Markup:
    at, top, drawn = NAMES, ROW * i, []
    for part, style in styles.items():
        size = parts.get(part, 0)
        if size:
            said = element("title", text(f"{name}: {part} {size:,} {unit}"))
            drawn.append(
                element(
                    "rect", said, x=at, y=top + 3, width=size * scale, height=ROW - 6, class_=f"fill {style}"
                )
            )
        at += size * scale
    label = words(NAMES - 8, top + 15, shortened(name), "end")
    return joined([label, *drawn, words(at + 6, top + 15, f"{sum(parts.values()):,} {unit}", style="soft")])
