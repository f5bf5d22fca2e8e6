"""Where every tensor lives: lifetimes to static offsets in one arena, shared by inference and training.

>>> a, b, c = Buffer("a", 64, 0, 1), Buffer("b", 32, 1, 2), Buffer("c", 64, 2, 3)
>>> offsets = place([a, b, c])
>>> max(offsets[x.name] + x.nbytes for x in (a, b, c)), lower_bound([a, b, c])
(96, 96)
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tflm_export.errors import ExportError

ALIGNMENT = 8  # the kernels load words, and 64-bit sums in scratch
SEARCH_STEPS = 400
QUICK_STEPS = 20
SHORT_STEPS = 100
SMALL = 60  # buffers that are searched to the end at once


@dataclass(frozen=True)
class Buffer:
    """`nbytes` that must stay untouched from step `first` to step `last`, both inclusive.

    shrinks: (step, bytes) in order: from that step on only so many of its first bytes are needed.
    """

    name: str
    nbytes: int
    first: int
    last: int
    shrinks: tuple[tuple[int, int], ...] = ()

    @property
    def room(self) -> int:
        """Bytes it takes in the arena, at most."""
        return _aligned(self.nbytes)

    def bytes_at(self, step: int) -> int:
        """Bytes that are needed at a step of its life."""
        return next((n for since, n in reversed(self.shrinks) if since <= step), self.nbytes)

    def parts(self) -> Iterator[tuple[int, int, int]]:
        """(first step, end, bytes) of its life: one, and another after every time that it shrinks."""
        sizes = [(self.first, self.nbytes), *self.shrinks]
        for (first, nbytes), (end, _) in itertools.pairwise([*sizes, (self.last + 1, 0)]):
            yield first, end, nbytes

    def room_beside(self, other: Buffer) -> int:
        """Bytes it takes in the arena at most while `other` is alive, too."""
        return _aligned(self.bytes_at(max(self.first, other.first)))

    def meets(self, other: Buffer) -> bool:
        """Whether both are alive at some step."""
        return self.first <= other.last and other.first <= self.last


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class MemoryPlan:
    """The static memory of an engine, bytes.

    buffers: everything in the arena. offsets: by buffer name. views: tensor name -> buffer that holds it.
    arena: size of the arena. lower_bound: maximal live bytes, no plan can be smaller.
    static_ram: arena, trained parameters, optimizer state, the engine's own variables.
    """

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    views: Mapping[str, str]
    arena: int
    lower_bound: int
    static_ram: int

    @property
    def lifetimes(self) -> dict[str, tuple[int, int]]:
        """First and last step of every buffer."""
        return {b.name: (b.first, b.last) for b in self.buffers}

    def offset(self, tensor: str) -> int:
        """Where `tensor` starts in the arena."""
        return self.offsets[self.views[tensor]]

    def live_bytes(self) -> list[int]:
        """Bytes alive at every step."""
        return live_bytes(self.buffers)


def live_bytes(buffers: Sequence[Buffer]) -> list[int]:
    """Bytes alive at step 0, 1, ..."""
    change = [0] * (max((b.last for b in buffers), default=-1) + 2)
    for buffer in buffers:
        for first, end, nbytes in buffer.parts():
            change[first] += _aligned(nbytes)
            change[end] -= _aligned(nbytes)
    return list(itertools.accumulate(change[:-1]))


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """Maximal live bytes: what no placement can beat."""
    return max(live_bytes(buffers), default=0)


def place(buffers: Sequence[Buffer]) -> dict[str, int]:
    """Offsets without overlap, as small as found.

    Greedy first fit in several orders, each followed by a seeded local search, until one is at the lower
    bound. Not optimal in general; within 3 % of the bound on the networks that we tried.
    """
    best = _Puzzle(buffers).best(SEARCH_STEPS) if buffers else None
    return {b.name: at for b, at in zip(buffers, best.offsets, strict=True)} if best is not None else {}


def quick_place(buffers: Sequence[Buffer]) -> dict[str, int]:
    """The same after a short search: `place` ends no higher, for it goes on from there."""
    best = _Puzzle(buffers).best(SHORT_STEPS)
    return {b.name: at for b, at in zip(buffers, best.offsets, strict=True)}


def quick_height(buffers: Sequence[Buffer]) -> int:
    """Bytes that buffers take after a short search: never less than `place` ends with, for it goes on from
    there."""
    steps = SEARCH_STEPS if len(buffers) <= SMALL else QUICK_STEPS
    return _Puzzle(buffers).best(steps).height if buffers else 0


@dataclass(frozen=True)
class _Placed:
    """First fit of buffers, by their numbers, in some order. offsets: -1 where it was given up before."""

    order: list[int]
    offsets: list[int]
    height: int


_ORDERS: tuple[Callable[[Buffer], tuple[int | str, ...]], ...] = (
    lambda b: (-b.room, b.first, b.name),
    lambda b: (-(b.last - b.first), -b.room, b.name),
    lambda b: (b.first, -b.room, b.name),
    lambda b: (-b.room * (b.last - b.first + 1), b.first, b.name),
)


class _Puzzle:
    """Buffers by number: their rooms, who lives with whom, and the lower bound."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self.buffers = buffers
        self.rooms = [b.room for b in buffers]
        self.meeting = [[j for j, o in enumerate(buffers) if o is not b and b.meets(o)] for b in buffers]
        self.beside = [
            [(j, buffers[j].room_beside(b), b.room_beside(buffers[j])) for j in meeting]
            for b, meeting in zip(buffers, self.meeting, strict=True)
        ]
        self.bound = lower_bound(buffers)

    def orders(self) -> Iterator[list[int]]:
        """Where to start from."""
        for key in _ORDERS:
            yield [i for _, i in sorted((key(b), i) for i, b in enumerate(self.buffers))]

    def best(self, steps: int) -> _Placed:
        """The lowest placement found from any order, at least one buffer."""
        found: list[_Placed] = []
        for order in self.orders():
            found.append(self.searched(self.first_fit(order), steps))
            if found[-1].height <= self.bound:
                break
        return min(found, key=lambda placed: placed.height)

    def searched(self, now: _Placed, steps: int) -> _Placed:
        """Local search: something that lives at the top moves before something that it lives with."""
        rng = random.Random(0)
        for _ in range(steps):
            if now.height <= self.bound:
                break
            moved = self._moved(now, rng)
            if moved is not None:
                trial = self.first_fit(moved[0], now, moved[1])
                now = trial if trial.height <= now.height else now
        return now

    def _moved(self, now: _Placed, rng: random.Random) -> tuple[list[int], int] | None:
        """The order with a buffer at the top, or one beside it, moved forward, and where to; None when it
        comes first."""
        buffer = rng.choice([i for i in now.order if now.offsets[i] + self.rooms[i] == now.height])
        if rng.random() < 0.5 and self.meeting[buffer]:
            buffer = rng.choice(self.meeting[buffer])
        place_of = {i: place for place, i in enumerate(now.order)}
        index = place_of[buffer]
        earlier = [place_of[o] for o in self.meeting[buffer] if place_of[o] < index]
        if not earlier:
            return None
        to = rng.choice(earlier)
        return [*now.order[:to], buffer, *now.order[to:index], *now.order[index + 1 :]], to

    def first_fit(self, order: list[int], before: _Placed | None = None, same: int = 0) -> _Placed:
        """Every buffer in turn at the lowest offset that is free while it lives.

        before: a placement whose order begins with the same `same` buffers; they stay where they are, and
        what grows higher than it is given up.
        """
        rooms, offsets, height = self.rooms, [-1] * len(self.rooms), 0
        limit = math.inf if before is None else before.height
        for i in order[:same]:
            offsets[i] = before.offsets[i] if before is not None else -1
            height = max(height, offsets[i] + rooms[i])
        for i in order[same:]:
            taken = sorted([(offsets[o], its, own) for o, its, own in self.beside[i] if offsets[o] >= 0])
            offsets[i] = offset = _lowest(rooms[i], taken)
            height = max(height, offset + rooms[i])
            if height > limit:
                break
        return _Placed(order, offsets, height)


def _lowest(room: int, taken: list[tuple[int, int, int]]) -> int:
    """The lowest free offset beside the sorted (offset, room, own room beside it) taken; own <= room."""
    offset, at, below = 0, 0, False
    while at < len(taken) and offset + room > taken[at][0]:
        start, size, own = taken[at]
        at += 1
        if start < offset + own and offset < start + size:
            offset, at, below = start + size, 0 if below else at, False
        elif offset <= start:
            below = True  # it has shrunk by then and ends below; a higher offset has to look here again
    return offset


def check_no_overlap(buffers: Sequence[Buffer], offsets: Mapping[str, int], arena: int) -> None:
    """Raise `ExportError` when two buffers that live at once share a byte, or one leaves the arena."""
    for i, a in enumerate(buffers):
        start, end = offsets[a.name], offsets[a.name] + a.nbytes
        if start < 0 or start % ALIGNMENT or end > arena:
            raise ExportError(f"memory plan: {a.name!r} at {start}..{end} leaves the arena of {arena} bytes.")
        for b in buffers[i + 1 :]:
            together, other = max(a.first, b.first), offsets[b.name]
            apart = start + a.bytes_at(together) <= other or other + b.bytes_at(together) <= start
            if a.meets(b) and not apart:
                raise ExportError(f"memory plan: {a.name!r} and {b.name!r} overlap at offset {start}.")
