"""`round_up`: bytes, or rows of them, to whole units."""

from __future__ import annotations


def round_up(count: int, unit: int = 4) -> int:
    """The least multiple of `unit` that is not below `count`.

    >>> round_up(5), round_up(8), round_up(9, 8)
    (8, 8, 16)
    """
    return -(-count // unit) * unit
