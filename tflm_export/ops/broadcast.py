"""How elementwise ops and reductions walk through their operands: `Spread` and `Reduce` of types.h.

>>> spread((1, 1, 1, 16), (1, 6, 6, 16)), spread((6, 1), (1, 6, 6, 6)), spread((), (1, 10))
((1, 16), (6, 6), (10, 1))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

Shape = Sequence[int]


def spread(shape: Shape, result: Shape) -> tuple[int, int] | None:
    """`(repeat, size)` of an operand: element i of the result reads its element `(i // repeat) % size`.

    None where `shape` is broadcast along an axis between two that it has.
    """
    padded = (1,) * (len(result) - len(shape)) + tuple(shape)
    axes = [(have == full, full) for have, full in zip(padded, result, strict=True) if full > 1]
    blocks = _blocks(axes)
    if [own for own, _ in blocks].count(True) > 1:
        return None
    repeat = blocks[-1][1] if blocks and not blocks[-1][0] else 1
    return repeat, math.prod(n for own, n in axes if own)


def reduce(shape: Shape, axes: Sequence[int]) -> tuple[int, int, int, int, int] | None:
    """`(outer, first, middle, second, inner)` of a reduction over `axes`; None for three separate stretches.

    >>> reduce((1, 6, 5, 8), (1, 2)), reduce((1, 6, 5, 8), (1, 3)), reduce((1, 6, 5, 8), (3,))
    ((1, 30, 1, 1, 8), (1, 6, 5, 8, 1), (30, 8, 1, 1, 1))
    """
    blocks = _blocks([(i in axes, n) for i, n in enumerate(shape) if n > 1])
    if not blocks or blocks[0][0]:
        blocks.insert(0, (False, 1))
    if len(blocks) > 5:
        return None
    outer, first, middle, second, inner = [n for _, n in blocks] + [1] * (5 - len(blocks))
    if len(blocks) == 3:  # one stretch
        second, inner, middle = 1, middle, 1
    return outer, first, middle, second, inner


def _blocks(axes: list[tuple[bool, int]]) -> list[tuple[bool, int]]:
    """Neighbours of one kind as one axis."""
    return [(kind, math.prod(n for _, n in group)) for kind, group in groupby(axes, key=lambda axis: axis[0])]
