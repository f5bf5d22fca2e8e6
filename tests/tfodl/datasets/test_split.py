"""Splits: disjoint, complete, seeded, every class by its share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfodl.datasets.split import draw, hold_out

sizes = st.lists(st.integers(1, 40), min_size=1, max_size=12)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def cases(draw_):
    """Labels in some order, and how many to take."""
    y = np.repeat(np.arange(20)[: len(counts := draw_(sizes))] * 3, counts)
    y = y[np.random.default_rng(draw_(seeds)).permutation(len(y))] if draw_(st.booleans()) else y
    return y, draw_(st.integers(0, len(y) + 3)), draw_(seeds), draw_(st.booleans())


def counts_of(y, labels):
    return np.array([(y == label).sum() for label in labels])


@given(cases())
def test_a_hold_out_is_a_split_by_shares(case):
    y, count, seed, every_class = case
    train, held_out = hold_out(y, count, seed, every_class=every_class)
    assert sorted([*train, *held_out]) == list(range(len(y)))
    labels, have = np.unique(y, return_counts=True)
    left, taken = counts_of(y[train], labels), counts_of(y[held_out], labels)
    assert (left >= 1).all() and (taken[have == 1] == 0).all()
    share = have * min(count, len(y)) / len(y)
    assert (np.abs(taken - share) <= 1).all()
    if every_class:
        assert (taken[have >= 2] >= 1).all()
    else:
        assert len(held_out) <= count
        room = np.minimum(np.ceil(share), have - 1)
        assert len(held_out) == count or (taken == room).all()  # fewer only where no class can give more
    again = hold_out(y, count, seed, every_class=every_class)
    assert all((one == other).all() for one, other in zip((train, held_out), again, strict=True))


@given(cases())
def test_a_draw_is_exact_and_by_shares(case):
    y, count, seed, _ = case
    chosen = draw(y, count, seed)
    assert len(chosen) == len(set(chosen)) == min(count, len(y))
    labels, have = np.unique(y, return_counts=True)
    assert (np.abs(counts_of(y[chosen], labels) - have * len(chosen) / len(y)) < 1).all()
    assert (draw(y, count, seed) == chosen).all()


def test_the_last_class_of_an_ordered_folder_is_trained_on():
    y = np.repeat(np.arange(16), 20)
    train, held_out = hold_out(y, 32, seed=1)
    assert np.bincount(y[train]).tolist() == [18] * 16 and np.bincount(y[held_out]).tolist() == [2] * 16
    assert len(set(y[train][:40])) > 10 and len(set(y[held_out][:16])) > 6  # shuffled, not class by class


def test_classes_that_have_none_yet_come_first():
    y = np.repeat(np.arange(3), [50, 3, 3])
    assert np.bincount(y[draw(y, 5)], minlength=3).tolist() == [4, 1, 0]
    assert np.bincount(y[draw(y, 10)], minlength=3).tolist() == [8, 1, 1]


@pytest.mark.parametrize(
    "call", [lambda s: hold_out(np.zeros(50), 20, s)[0], lambda s: draw(np.zeros(50), 20, s)]
)
def test_another_seed_is_another_draw(call):
    assert sorted(call(0)) != sorted(call(1))


def test_nothing_of_nothing():
    assert [len(part) for part in hold_out(np.zeros(0, int), 3)] == [0, 0] and len(draw(np.zeros(0), 3)) == 0
