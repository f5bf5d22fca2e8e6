"""Placement against a checker of its own, the lower bound, and values worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflm_export.errors import ExportError
from tflm_export.memory.place import ALIGNMENT, Buffer, check_no_overlap, live_bytes, lower_bound, place

shrinks = st.lists(st.tuples(st.integers(1, 12), st.floats(0.01, 1)), max_size=2, unique_by=lambda s: s[0])


def buffer(number, row):
    """(bytes, first step, more steps, [(steps later, share that is left)])"""
    nbytes, first, more, cuts = row
    left, found = nbytes, []
    for later, share in sorted(cuts):
        left = max(1, int(left * share))
        found.append((first + later, left))
    return Buffer(f"b{number}", nbytes, first, first + more, tuple(s for s in found if s[0] <= first + more))


buffers = st.lists(
    st.tuples(st.integers(1, 5000), st.integers(0, 30), st.integers(0, 12), shrinks), min_size=1, max_size=25
).map(lambda rows: [buffer(i, row) for i, row in enumerate(rows)])


def paint(items, offsets):
    """The independent check: write every byte of every buffer at every step, twice is an error."""
    height = max(offsets[b.name] + b.nbytes for b in items)
    steps = max(b.last for b in items) + 1
    owner = np.zeros((steps, height), bool)
    for b in items:
        for step in range(b.first, b.last + 1):
            nbytes = ([b.nbytes] + [n for since, n in b.shrinks if since <= step])[-1]
            area = owner[step, offsets[b.name] : offsets[b.name] + nbytes]
            assert not area.any(), b
            area[...] = True
    return height


@settings(max_examples=60, deadline=None)
@given(buffers)
def test_no_two_live_buffers_share_a_byte(items):
    offsets = place(items)
    height = paint(items, offsets)
    assert all(offset % ALIGNMENT == 0 for offset in offsets.values())
    check_no_overlap(items, offsets, height)
    assert height <= sum(b.room for b in items)
    assert max(offsets[b.name] + b.room for b in items) >= lower_bound(items)


def test_live_bytes_by_hand():
    items = [Buffer("a", 16, 0, 1), Buffer("b", 30, 1, 2), Buffer("c", 8, 2, 2)]
    assert live_bytes(items) == [16, 48, 40]
    assert lower_bound(items) == 48


def test_what_a_buffer_no_longer_needs_is_free():
    items = [Buffer("picture", 64, 0, 3, ((1, 16),)), Buffer("map", 40, 2, 3), Buffer("early", 8, 0, 1)]
    assert live_bytes(items) == [72, 24, 56, 56]
    offsets = place(items)
    assert max(offsets[b.name] + b.room for b in items) == 72
    with pytest.raises(ExportError, match="'picture' and 'early' overlap"):
        check_no_overlap(items, offsets | {"early": 0}, 72)


def test_local_search_beats_greedy():
    """Five buffers for which every plain order of ours leaves a gap."""
    items = [Buffer("a", 24, 0, 1), Buffer("b", 8, 0, 3), Buffer("c", 24, 2, 4), Buffer("d", 16, 3, 5)]
    items += [Buffer("e", 8, 4, 6), Buffer("f", 32, 5, 6)]
    offsets = place(items)
    assert max(offsets[b.name] + b.room for b in items) <= 1.03 * lower_bound(items)


def test_the_checker_sees_an_overlap():
    items = [Buffer("a", 16, 0, 1), Buffer("b", 16, 1, 2)]
    with pytest.raises(ExportError, match="'a' and 'b' overlap"):
        check_no_overlap(items, {"a": 0, "b": 8}, 32)
    with pytest.raises(ExportError, match="leaves the arena"):
        check_no_overlap(items, {"a": 0, "b": 24}, 32)
    check_no_overlap(items, {"a": 0, "b": 16}, 32)


def test_deterministic():
    items = [Buffer(f"b{i}", 100 + 37 * i % 91, i, i + 3) for i in range(30)]
    assert place(items) == place(list(items))
