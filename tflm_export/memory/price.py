"""`ram_price`: what an engine of little RAM does for it, in words.

>>> from tflm_export.compiler import derive
>>> from tflm_export.front.read_tflite import read_tflite
>>> from tflm_export.front.simplify import simplify
>>> from tflm_export.plan import UpdatePlan
>>> graph, _ = derive(simplify(read_tflite(tflite)), UpdatePlan(), "int16")
>>> ram_price(graph)
'no streams; no work is done twice'
"""

from __future__ import annotations

from collections.abc import Callable

from tflm_export.ir import Graph, Op
from tflm_export.macs import count_macs, op_macs
from tflm_export.memory.slices import KIND as SLICES


def made_again(graph: Graph) -> int:
    """Multiply-accumulates of a step that are done a second time, to keep less: input gradients of
    bottlenecks in slices of channels that weights learn from."""
    layers = graph.layers
    return sum(
        op_macs(member, layers, graph)
        for op in graph.ops
        if op.kind == SLICES and op.role != "forward" and not op.attrs["sums"]
        for member in op.members
        if member.role == "gradient"
    )


def ram_price(graph: Graph) -> str:
    """What the passes have done to a training graph, and the work that it costs."""
    ways = {
        "streams": _count(graph, lambda op: op.kind == "STREAM"),
        "bottlenecks by channels": _count(graph, lambda op: op.kind == SLICES),
        "1x1 layers by pixels": _count(graph, lambda op: op.kind != SLICES and "pixels" in op.attrs),
    }
    said = [f"{number} {what}" for what, number in ways.items() if number] or ["no streams"]
    again, whole = made_again(graph), sum(count_macs(graph).values())
    work = f"{again:,} of {whole:,} MAC of a step are done twice" if again else "no work is done twice"
    return f"{', '.join(said)}; {work}"


def _count(graph: Graph, wanted: Callable[[Op], bool]) -> int:
    return sum(map(wanted, graph.ops))
