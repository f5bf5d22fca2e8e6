"""What a user is told of data that were left out, or that are too few."""

from __future__ import annotations

from collections.abc import Iterable

from absl import logging

NAMED = 10  # in one line, at most


def note(line: str) -> None:
    """One warning line."""
    logging.warning("tfodl: %s", line)


def some(names: Iterable[object]) -> str:
    """The names, the first ten of many.

    >>> some(["cat", "dog"]), some(range(12))
    ("'cat', 'dog'", '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more')
    """
    shown = list(map(repr, names))
    more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
    return ", ".join(shown[:NAMED]) + more
