"""What an epoch's end needs of the arena: the layers above the cut once more, and room for sums and scores.

While it runs nothing else does, so it lies over everything that a step keeps there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tflm_export.gradients.cut import find_cut
from tflm_export.ir import Graph
from tflm_export.living.pool import candidates, total
from tflm_export.memory.lifetimes import lifetimes
from tflm_export.memory.place import ALIGNMENT, MemoryPlan, check_no_overlap, lower_bound, place
from tflm_export.plan import PAGE_BYTES, UpdatePlan
from tflm_export.round_up import round_up


@dataclass(frozen=True)
class Workspace:
    """Offsets in the arena, bytes, at an epoch's end.

    page: of an image that is being written; order: numbers of channels, ranked; bits: those that are chosen.
    seen: where each candidate's output with today's weights is kept: (True, offset) in the pool, whose rows
    are in flash by then, (False, offset) in the arena. sums: three of a channel, then phi, velocity, scores.
    memory: of the layers that measure; None where none do.
    """

    page: int
    order: int
    bits: int
    sums: int
    nbytes: int
    seen: tuple[tuple[bool, int], ...] = ()
    graph: Graph | None = None
    memory: MemoryPlan | None = None


def workspace(graph: Graph, plan: UpdatePlan) -> Workspace:
    """The workspace of a training graph under a plan with a pool."""
    layers = candidates(graph)
    count = total(layers)
    order = PAGE_BYTES
    bits = order + round_up(2 * count, ALIGNMENT)
    least = bits + round_up(-(-count // 8), ALIGNMENT)
    if plan.pool is None or plan.pool.rule != "velocity":
        return Workspace(0, order, bits, least, least + 4 * count)
    above = measuring_graph(graph, plan)
    memory = _place(above)
    sizes = [round_up(graph.tensors[c.layer.outputs[0]].nbytes, ALIGNMENT) for c in layers]
    seen, end = _kept(sizes, plan.pool.bytes, round_up(memory.arena, ALIGNMENT))
    sums = max(least, end)
    return Workspace(0, order, bits, sums, sums + 12 * count, seen, above, memory)


def _kept(sizes: list[int], room: int, end: int) -> tuple[tuple[tuple[bool, int], ...], int]:
    """Where outputs of these sizes are kept: the largest in the pool's `room` while they fit, the others in
    the arena from `end` on; and where they end there."""
    found, used = [(False, 0)] * len(sizes), 0
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        if used + sizes[i] <= room:
            found[i], used = (True, used), used + sizes[i]
        else:
            found[i], end = (False, end), end + sizes[i]
    return tuple(found), end


def measuring_graph(graph: Graph, plan: UpdatePlan) -> Graph:
    """The layers above the cut up to the last candidate, none of them streamed, without clip masks."""
    cut, names = find_cut(graph, plan), {c.layer.name for c in candidates(graph)}
    ops = [m for op in graph.ops[cut.position :] if op.role == "forward" for m in op.members]
    last = max(i for i, op in enumerate(ops) if op.name in names)
    plain = tuple(replace(op, outputs=op.outputs[:1]) for op in ops[: last + 1])
    return graph.replace(ops=plain, inputs=(cut.tensor,), outputs=())


def _place(graph: Graph) -> MemoryPlan:
    live = lifetimes(graph)
    offsets = place(live.buffers)
    arena = max(offsets[b.name] + b.room for b in live.buffers)
    check_no_overlap(live.buffers, offsets, arena)
    return MemoryPlan(live.buffers, offsets, live.views, arena, lower_bound(live.buffers), arena)
