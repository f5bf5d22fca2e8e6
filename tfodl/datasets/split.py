"""Which samples are held out, and which are drawn: every class by its share, by a seed.

>>> train, held_out = hold_out(np.array([0, 0, 0, 0, 1, 1]), 2)
>>> len(train), np.array([0, 0, 0, 0, 1, 1])[held_out].tolist()
(4, [0, 1])
"""

from __future__ import annotations

import numpy as np

Halves = tuple[np.ndarray, np.ndarray]
TEST_SHARE = 5  # one of so many is tested, where data come without a test split


def hold_out(y: np.ndarray, count: int, seed: int = 0, *, every_class: bool = False) -> Halves:
    """Indices to train on and indices held out, both shuffled; together all of `y [N]`, once.

    Each class gives its share of `count`, rounded up or down, and never its last sample: a single one is
    trained on. So fewer than `count` are held out where classes are that small. `every_class` takes at least
    one of each class that has two, though they be more than `count`.
    """
    rng = np.random.default_rng(seed)
    members, sizes = _members(y, rng)
    counts = _shares(sizes, count, np.maximum(sizes - 1, 0), int(every_class))
    train = [part[n:] for part, n in zip(members, counts, strict=True)]
    held_out = [part[:n] for part, n in zip(members, counts, strict=True)]
    return _shuffled(train, rng), _shuffled(held_out, rng)


def hold_out_recordings(
    y: np.ndarray, recordings: np.ndarray, count: int, seed: int = 0, *, every_class: bool = False
) -> Halves:
    """`hold_out` of samples that were cut from recordings [N], whole recordings at a time: about `count`
    samples of `y [N]` are held out, and each class keeps a recording to train on.

    >>> train, held_out = hold_out_recordings(np.zeros(6, int), np.array([7, 7, 8, 8, 9, 9]), 2)
    >>> len(train), len(held_out), len(set(np.array([7, 7, 8, 8, 9, 9])[held_out].tolist()))
    (4, 2, 1)
    """
    names, first, place = np.unique(recordings, return_index=True, return_inverse=True)
    whole = max(1, round(count * len(names) / max(1, len(y))))
    _, chosen = hold_out(np.asarray(y)[first], whole, seed, every_class=every_class)
    rng, out = np.random.default_rng(seed), np.isin(place, chosen)
    return rng.permutation(np.flatnonzero(~out)), rng.permutation(np.flatnonzero(out))


def draw(y: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """`count` indices of `y [N]`, or all where there are no more, shuffled: each class by its share, rounded
    up or down.

    >>> y = np.repeat([0, 1], [30, 10])
    >>> np.bincount(y[draw(y, 8)]).tolist()
    [6, 2]
    """
    rng = np.random.default_rng(seed)
    members, sizes = _members(y, rng)
    counts = _shares(sizes, count, sizes, 0)
    return _shuffled([part[:n] for part, n in zip(members, counts, strict=True)], rng)


def _members(y: np.ndarray, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
    """Each class's indices, shuffled, and how many they are."""
    y = np.asarray(y)
    members = [rng.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]
    return members, np.array([len(part) for part in members], int)


def _shares(sizes: np.ndarray, count: int, most: np.ndarray, least: int) -> np.ndarray:
    """Largest remainders: every size times `count / sizes.sum()`, rounded down; what is left goes to who has
    none yet, then by what rounding took. At most `most` each; at least `least` where that allows."""
    total = max(1, int(sizes.sum()))
    count = min(max(count, 0), total)
    floors, remainders = np.divmod(sizes * count, total)
    counts = np.minimum(np.maximum(floors, least), most)
    open_ = np.flatnonzero((remainders > 0) & (counts == floors) & (counts < most))
    order = open_[np.lexsort((-remainders[open_], counts[open_] > 0))]
    left = max(0, count - int(counts.sum()))
    shares: np.ndarray = counts + np.isin(np.arange(len(counts)), order[:left])
    return shares


def _shuffled(parts: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    shuffled: np.ndarray = rng.permutation(np.concatenate([np.zeros(0, int), *parts]))
    return shuffled
