"""Cells in rows: which channels learn, in which epoch; which class was taken for which."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tflm_export.page.axes import WIDTH, figure_below, ticks, words
from tflm_export.page.bars import NAMES, shortened
from tflm_export.page.document import Picture
from tflm_export.page.markup import Markup, element, joined, text

STRIP, CELL, SIDE = 22.0, 3.0, 34.0


def strips(
    rows: Sequence[tuple[str, str, Sequence[bool], str]], legend: tuple[tuple[str, str], ...] = ()
) -> Picture:
    """One strip a row: (name, what it says, a flag a cell, its colour); all are as wide as the page."""
    drawn = [_strip(i, *row) for i, row in enumerate(rows)]
    return Picture(joined(drawn), WIDTH, STRIP * max(1, len(rows)) + 4, legend)


def _strip(i: int, name: str, about: str, flags: Sequence[bool], style: str) -> Markup:
    width, top = (WIDTH - NAMES - 8) / max(1, len(flags)), STRIP * i + 3
    ground = element(
        "rect", element("title", text(about)), x=NAMES, y=top, width=WIDTH - NAMES - 8, height=STRIP - 6,
        class_="empty",
    )  # fmt: skip
    marked = _marked(flags, NAMES, width, top, STRIP - 6, style)
    return joined([words(NAMES - 8, top + 12, shortened(name), "end"), ground, marked])


def _marked(
    flags: Sequence[bool], left: float, width: float, top: float, height: float, style: str
) -> Markup:
    """A box for every run of flags that are set."""
    drawn, at = [], 0
    for flag, run in itertools.groupby(flags):
        count = len(list(run))
        if flag:
            drawn.append(
                element(
                    "rect",
                    x=left + at * width,
                    y=top,
                    width=count * width,
                    height=height,
                    class_=f"fill {style}",
                )  # fmt: skip
            )
        at += count
    return joined(drawn)


def epochs(panels: Sequence[tuple[str, Sequence[Sequence[bool]]]], x_label: str) -> Picture:
    """One panel a layer: a row a channel, a column an epoch; marked where the channel learned."""
    drawn, top = [], 4.0
    for name, rows in panels:
        height = max(STRIP, CELL * len(rows))
        cell, width = height / max(1, len(rows)), (WIDTH - NAMES - 8) / max(1, len(rows[0]) if rows else 1)
        drawn.append(words(NAMES - 8, top + height / 2 + 4, shortened(name), "end"))
        drawn.append(element("rect", x=NAMES, y=top, width=WIDTH - NAMES - 8, height=height, class_="empty"))
        drawn += [_marked(row, NAMES, width, top + i * cell, cell, "c0") for i, row in enumerate(rows)]
        top += height + 8
    columns = max((len(rows[0]) for _, rows in panels if rows), default=1)
    width = (WIDTH - NAMES - 8) / columns
    drawn += [figure_below(NAMES + (n - 0.5) * width, top + 12, n) for n in ticks(1, columns, 9)]
    label = words((NAMES + WIDTH) / 2, top + 30, x_label, "middle")
    return Picture(joined([*drawn, label]), WIDTH, top + 38)


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Picture:
    """A row a true class, a column a predicted one; as full of colour as it is of the row, and its number.

    Classes whose names are alike in the room of a column have their numbers in front.
    """
    side, left, top = min(SIDE, (WIDTH - NAMES - 8) / max(1, len(names))), NAMES, 40.0
    drawn = [words(NAMES, 14, "predicted", style="soft"), words(NAMES - 8, 34, "was", "end", "soft")]
    above = [shortened(name, max(3, int(side / 8))) for name in names]
    if len({*above}) < len(above):
        above, names = [str(j) for j in range(len(names))], [f"{j} {name}" for j, name in enumerate(names)]
    for j, name in enumerate(above):
        drawn.append(words(left + (j + 0.5) * side, 34, name, "middle"))
    for i, (name, row) in enumerate(zip(names, counts, strict=True)):
        drawn.append(words(NAMES - 8, top + i * side + side / 2 + 4, shortened(name), "end"))
        drawn += [
            _cell(
                left + j * side, top + i * side, side, n, sum(row), f"{name} taken for {other}: {n:,}", i == j
            )
            for j, (other, n) in enumerate(zip(names, row, strict=True))
        ]
    return Picture(joined(drawn), WIDTH, top + side * len(names) + 8)


def _cell(x: float, y: float, side: float, count: int, of: int, about: str, right: bool) -> Markup:
    share = count / of if of else 0.0
    ground = element("rect", x=x, y=y, width=side - 1, height=side - 1, class_="empty")
    shade = element(
        "rect", element("title", text(about)), x=x, y=y, width=side - 1, height=side - 1,
        class_=f"fill {'c0' if right else 'c5'}", fill_opacity=round(share, 2),
    )  # fmt: skip
    label = words(x + side / 2, y + side / 2 + 4, f"{count}", "middle", "on" if share > 0.6 else None)
    return joined([ground, shade, label if count and side > 20 else Markup("")])
