"""Ops of several outputs, which no kernel has, become one op an output that is read.

A pass on ops as the file has them.
"""

from __future__ import annotations

from collections.abc import Iterator

from tflm_export.ir import Graph, Op
from tflm_export.ops.check import require

SPLITTING = ("SPLIT", "SPLIT_V", "UNPACK")


def separate_parts(graph: Graph) -> Graph:
    """Every SPLIT, SPLIT_V and UNPACK as ops `part` of `parts`, which read their map first."""
    read = {name for op in graph.ops for name in op.inputs} | set(graph.kept)
    ops: list[Op] = []
    for op in graph.ops:
        ops += _parts(op, read) if op.kind in SPLITTING else [op]
    return graph.replace(ops=tuple(ops)).check()


def _parts(op: Op, read: set[str]) -> Iterator[Op]:
    require(bool(op.inputs), op, "has no inputs.")
    count = op.attrs["count"]
    require(count == len(op.outputs), op, f"makes {count} parts, but has {len(op.outputs)} outputs.")
    x, others = (op.inputs[-1], op.inputs[:-1]) if op.kind == "SPLIT" else (op.inputs[0], op.inputs[1:])
    for i, name in enumerate(op.outputs):
        if name in read:
            attrs = {**op.attrs, "part": i, "parts": len(op.outputs)}
            yield op.beside(op.kind, f"o{i}" if i else "", (x, *others), (name,), attrs)
