"""What an epoch's end needs of the arena: the layers above the cut once more, and room for sums and scores.

While it runs nothing else does, so it lies over everything that a step keeps there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tflm_export.ir import Graph
from tflm_export.living.cut import find_cut
from tflm_export.living.pool import candidates, total
from tflm_export.memory.lifetimes import lifetimes
from tflm_export.memory.place import ALIGNMENT, MemoryPlan, check_no_overlap, lower_bound, place
from tflm_export.plan import PAGE_BYTES, UpdatePlan


@dataclass(frozen=True)
class Workspace:
    """Offsets in the arena, bytes, at an epoch's end.

    page: of an image that is being written; order: numbers of channels, ranked; bits: those that are chosen.
    seen: outputs of the candidates with today's weights, at `seen_at` from there; sums: three of a channel,
    then phi, velocity and scores. memory: of the layers that measure; None where none do.
    """

    page: int
    order: int
    bits: int
    seen: int
    sums: int
    nbytes: int
    seen_at: tuple[int, ...]
    graph: Graph | None = None
    memory: MemoryPlan | None = None


def workspace(graph: Graph, plan: UpdatePlan) -> Workspace:
    """The workspace of a training graph under a plan with a pool."""
    layers = candidates(graph)
    count = total(layers)
    order = PAGE_BYTES
    bits = order + _round(2 * count)
    least = bits + _round(-(-count // 8))
    if plan.pool is None or plan.pool.rule != "velocity":
        return Workspace(0, order, bits, 0, least, least + 4 * count, (0,) * len(layers))
    above = measuring_graph(graph, plan)
    memory = _place(above)
    seen, seen_at = _round(memory.arena), []
    at = 0
    for c in layers:
        seen_at.append(at)
        at += _round(graph.tensors[c.layer.outputs[0]].nbytes)
    sums = max(least, seen + at)
    return Workspace(0, order, bits, seen, sums, sums + 12 * count, tuple(seen_at), above, memory)


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


def _round(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
