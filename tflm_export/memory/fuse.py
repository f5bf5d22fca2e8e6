"""The pass that makes streams: where a step needs most memory, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tflm_export.geometry import Geometry
from tflm_export.ir import Graph, Op
from tflm_export.memory.lifetimes import peak
from tflm_export.memory.overwrite import overwriting
from tflm_export.memory.row_fed import is_fed
from tflm_export.memory.slices import KIND as SLICES
from tflm_export.memory.slices import plain
from tflm_export.memory.stream import CONVOLUTIONS, MAX_STAGES

STEPS = (8, 4, 2)
BESIDE = 3  # ops beside a stream that may join one of its halves
ENOUGH_RAM_BYTES = 24 * 1024  # a step's peak that is not worth slower code


def fuse(graph: Graph, enough: int = 0) -> Graph:
    """Stream the chains that lower the memory peak, write gradients over gradients where that does, as long
    as anything does; then widen the streams' steps for free.

    enough: a peak in bytes that need not be lowered. A stream takes up to twice the instructions of its
        layers where maps are small, so that a net that fits anyway is better left alone.
    """
    *_, (lowest, bound) = lowering(graph, enough)
    return widened(lowest, max(bound, enough))


def lowering(graph: Graph, enough: int = 0) -> Iterator[tuple[Graph, int]]:
    """The graph and its peak, then both after every change that `fuse` makes: each lower than the last."""
    graph = fed_apart(graph)
    bound, step = peak(graph)
    yield graph, bound
    while bound > enough:
        better = _lower(graph, step)
        if better is None:
            return
        graph = better
        bound, step = peak(graph)
        yield graph, bound


def fed_apart(graph: Graph) -> Graph:
    """The graph with a first layer that is fed by rows as a stream of its own, where there is one."""
    return (_fused(graph, 0, 1) or graph) if graph.ops and is_fed(graph.ops[0]) else graph


def widened(graph: Graph, bound: int) -> Graph:
    """The streams with the widest steps that keep a peak of `bound` bytes."""
    for name in [op.name for op in graph.ops if op.kind == "STREAM"]:
        graph = _widened(graph, name, bound)
    return graph


def _lower(graph: Graph, step: int) -> Graph | None:
    """The graph with the lowest peak that something at `step`, its peak, brings; None where nothing does."""
    found = [(peak(g)[0], len(g.ops), g) for g in candidates(graph, step)]
    best = min(found, key=lambda c: (c[0], -c[1]), default=None)
    return None if best is None or best[0] >= peak(graph)[0] else best[2]


def _widened(graph: Graph, name: str, bound: int) -> Graph:
    """The widest steps of one stream that keep the peak: of all its layers, then of one after the other.

    Depthwise layers come first: for every step they lay out all the rows that their kernels reach over.
    """
    stages = next(op for op in graph.ops if op.name == name).attrs["stages"]
    order = sorted(range(len(stages)), key=lambda i: stages[i].kind != "DEPTHWISE_CONV_2D")
    for stage in (None, *order):
        wider = (_with_steps(graph, name, rows, stage) for rows in STEPS)
        graph = next((g for g in wider if peak(g)[0] <= bound), graph)
    return graph


def _with_steps(graph: Graph, name: str, rows: int, stage: int | None = None) -> Graph:
    """Steps of `rows` rows, or all that there are, for one layer of a stream or for all."""

    def widen(op: Op) -> Op:
        if op.kind != "STREAM" or op.name != name:
            return op
        heights = [Geometry.of(layer, graph).out_shape[0] for layer in op.attrs["stages"]]
        pairs = enumerate(zip(op.attrs["steps"], heights, strict=True))
        steps = tuple(min(rows, h) if stage in (None, i) else step for i, (step, h) in pairs)
        return replace(op, attrs={**op.attrs, "steps": steps})

    return graph.replace(ops=tuple(map(widen, graph.ops)))


def candidates(graph: Graph, step: int) -> Iterator[Graph]:
    """The graph with each chain fused that holds the op at `step`, or with that op in place."""
    if graph.ops[step].role != "forward":
        over = overwriting(graph, step)
        yield from () if over is None else (over,)
        return
    if graph.ops[step].kind == "STREAM":
        yield from _halves(graph, step)
    first, last = _run(graph.ops, step)
    for start in range(first, step + 1):
        for stop in range(step + 1, last + 1):
            fused = _fused(graph, start, stop)
            if fused is not None:
                yield fused


def _halves(graph: Graph, step: int) -> Iterator[Graph]:
    """The graph with the stream at `step`, or it and some ops before or after, as two streams, cut at every
    place: a map between them costs less than its rings where it can lie over the input."""
    first, last = _run(graph.ops, step)
    ways = [(step, stop) for stop in range(step + 1, min(last, step + 1 + BESIDE) + 1)]
    ways += [(start, step + 1) for start in range(max(first, step - BESIDE), step)]
    for start, stop in ways:
        parts = [member for op in graph.ops[start:stop] for member in op.members]
        apart = graph.replace(ops=(*graph.ops[:start], *parts, *graph.ops[stop:]))
        for cut in range(start + 1, start + len(parts)):
            after = _together(apart, cut, start + len(parts))
            both = None if after is None else _together(after, start, cut)
            if both is not None:
                yield both


def _together(graph: Graph, start: int, stop: int) -> Graph | None:
    """The graph with these ops as one; None when they are no chain."""
    alone = stop - start == 1 and not is_fed(graph.ops[start])
    return graph if alone else _fused(graph, start, stop)


def _run(ops: tuple[Op, ...], step: int) -> tuple[int, int]:
    """The largest stretch start..stop of ops around `step` that could be part of one chain."""
    chainable = (*CONVOLUTIONS, "GATHER_CHANNELS", "ADD", "STREAM", SLICES)
    start, stop = step, step
    while start > 0 and ops[start - 1].kind in chainable:
        start -= 1
    while stop < len(ops) and ops[stop].kind in chainable:
        stop += 1
    return start, stop


def _fused(graph: Graph, start: int, stop: int) -> Graph | None:
    """The graph with ops start..stop as one stream; None when they are no chain."""
    parts = [member for op in graph.ops[start:stop] for member in op.members]
    residual = parts.pop() if parts and parts[-1].kind == "ADD" else None
    stages = [plain(op) for op in parts if op.kind in CONVOLUTIONS]
    kept = [op for op in parts if op.kind == "GATHER_CHANNELS"]
    fed = bool(stages) and is_fed(stages[0])
    if len(stages) + len(kept) != len(parts) or not (1 if fed else 2) <= len(stages) <= MAX_STAGES:
        return None
    if not _is_chain(graph, stages, kept, residual):
        return None
    return graph.replace(ops=(*graph.ops[:start], _stream(stages, kept, residual), *graph.ops[stop:]))


def _is_chain(graph: Graph, stages: list[Op], kept: list[Op], residual: Op | None) -> bool:
    """Whether every map between is read by the next stage and its gather alone."""
    inside = {op.name for op in (*stages, *kept)} | ({residual.name} if residual is not None else set())
    outside = [op for op in graph.layers.values() if op.name not in inside]
    hidden = [stage.outputs[0] for stage in (stages if residual is not None else stages[:-1])]
    if any(name in graph.outputs for name in hidden):
        return False
    for name, following in zip(hidden, [*stages[1:], residual], strict=False):
        if following is None or name not in following.inputs:
            return False
        if any(name in op.inputs for op in outside):
            return False
    if kept and kept[0].of == stages[0].name:
        return False  # the first stage's input is no stage's output
    if residual is None:
        return True
    shapes = {graph.tensors[n].shape for n in (*residual.inputs, residual.outputs[0])}
    return len(shapes) == 1 and len(set(residual.inputs) - set(hidden)) == 1


def _stream(stages: list[Op], kept: list[Op], residual: Op | None) -> Op:
    last = stages[-1] if residual is None else residual
    between = {stage.outputs[0] for stage in stages}
    skip = () if residual is None else tuple(n for n in residual.inputs if n not in between)
    inputs = (stages[0].inputs[0], *(n for n in skip if n != stages[0].inputs[0]))
    masks = tuple(n for op in (*stages, *((residual,) if residual else ())) for n in op.outputs[1:])
    outputs = (last.outputs[0], *masks, *(op.outputs[0] for op in kept))
    attrs = {
        **{"stages": tuple(stages), "kept": tuple(kept), "residual": residual},
        **{"steps": (1,) * len(stages), "fed": is_fed(stages[0])},
    }
    return Op("STREAM", last.name, inputs, outputs, attrs, index=last.index, variant=last.variant)
