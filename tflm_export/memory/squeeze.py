"""The pass behind `fuse` where an engine has to be smaller still, whatever it costs in cycles: bottlenecks by
channels, 1x1 convolutions by pixels, and a placement without gaps."""

from __future__ import annotations

from collections.abc import Iterator

from tflm_export.ir import Graph
from tflm_export.memory.fuse import candidates, fed_apart, widened
from tflm_export.memory.lifetimes import lifetimes, peak
from tflm_export.memory.place import live_bytes, quick_place
from tflm_export.memory.slices import KIND, banded, resized, sizes_of, sliced

ROUNDS = 16  # of placing and lowering what lies too high


def squeeze(graph: Graph, room: int) -> Graph:
    """The graph with as little changed as makes it fit `room` bytes, or as small as it gets.

    Where the peak is, the cheapest of the ways that lower it most is taken, down to `room`. Then, as long as
    a placement has gaps, what lies above `room` is lowered in the same way.
    """
    graph = fed_apart(graph)
    bound, step = peak(graph)
    while bound > room:
        better = _lowered(graph, step, room)
        if better is None:
            break
        graph = better
        bound, step = peak(graph)
    graph = widened(_eased(graph, max(bound, room)), max(bound, room))
    for _ in range(ROUNDS):
        less = _without_top(graph, room)
        if less is None:
            break
        graph = less
    return graph


def _ways(graph: Graph, step: int) -> Iterator[tuple[tuple[int, int, int], Graph]]:
    """(cost, graph) with the op at `step` changed. cost: kind of change, ops that are gone, number."""
    forward = graph.ops[step].role == "forward"
    kinds = (
        (0, banded(graph, step, 2)),
        (1 if forward else 3, sliced(graph, step)),
        (1, candidates(graph, step)),
        (2, banded(graph, step)),
    )
    for kind, found in kinds:
        yield from (((kind, -len(g.ops), i), g) for i, g in enumerate(found))


def _lowered(graph: Graph, step: int, room: int) -> Graph | None:
    """The graph with something changed at `step`, its peak; None where nothing lowers the peak. Of several
    steps with one peak, one goes."""
    ways = (((_height(g, room), cost), g) for cost, g in _ways(graph, step))
    best = min(ways, default=None, key=lambda way: way[0])
    return None if best is None or best[0][0] >= _height(graph, room) else best[1]


def _height(graph: Graph, room: int) -> tuple[int, int]:
    """Bytes alive at most, but not less than `room`, and how many steps have them."""
    live = live_bytes(lifetimes(graph).buffers)
    return max(room, *live), sum(n == max(live) for n in live) if max(live) > room else 0


def _eased(graph: Graph, bound: int) -> Graph:
    """The largest slices that keep the peak."""
    for op in graph.ops:
        if op.kind == KIND:
            larger = (resized(graph, op.name, size) for size in sizes_of(op, graph))
            graph = next((g for g in larger if peak(g)[0] <= bound), graph)
    return graph


def _without_top(graph: Graph, room: int) -> Graph | None:
    """The graph with less at a step of a buffer that lies above `room`; None where there is none."""
    buffers = lifetimes(graph).buffers
    offsets, live = quick_place(buffers), live_bytes(buffers)
    tops = sorted(((offsets[b.name] + b.room, b) for b in buffers), key=lambda top: -top[0])
    for top, buffer in tops:
        if top <= room:
            return None
        step = max(range(buffer.first, buffer.last + 1), key=lambda s: live[s])
        better = _lower_at(graph, step, live, top - room)
        if better is not None:
            return better
    return None


def _lower_at(graph: Graph, step: int, live: list[int], nbytes: int) -> Graph | None:
    """The graph with `nbytes` less alive at `step`, or as many less as there are, and nowhere a new peak."""
    names = {member.name for member in graph.ops[step].members}
    best: tuple[tuple[int, tuple[int, int, int]], Graph] | None = None
    for cost, g in _ways(graph, step):
        now = live_bytes(lifetimes(g).buffers)
        there = next(i for i, op in enumerate(g.ops) if names & {m.name for m in op.members})
        key = (max(now[there], live[step] - nbytes), cost)
        if max(now) <= max(live) and now[there] < live[step] and (best is None or key < best[0]):
            best = key, g
    return None if best is None else best[1]
