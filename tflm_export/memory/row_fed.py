"""A net that is fed with its input row by row: the whole picture, often the largest buffer, never exists."""

from __future__ import annotations

from dataclasses import replace

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op
from tflm_export.memory.stream import CONVOLUTIONS


def feed_rows(graph: Graph) -> Graph:
    """The training graph with its first layer marked: it asks for rows of its input as it needs them.

    Raises `ExportError` where something else needs the input, too.
    """
    name = graph.inputs[0]
    readers = graph.consumers(name)
    if len(graph.inputs) > 1 or len(graph.tensors[name].shape) != 4 or graph.tensors[name].shape[1] < 2:
        shape = list(graph.tensors[name].shape)
        raise ExportError(f"row-fed input: {name!r} of shape {shape} has no rows; compile without --row-fed.")
    if readers != graph.ops[:1] or readers[0].kind not in CONVOLUTIONS:
        what = ", ".join(f"{op.kind} {op.name!r}" for op in readers)
        raise ExportError(
            f"row-fed input: {what} read {name!r}; allowed: the net's first layer alone, a convolution whose "
            "weights do not learn. Freeze that layer, or compile without --row-fed."
        )
    first = replace(readers[0], attrs={**readers[0].attrs, "fed": True})
    return graph.replace(ops=(first, *graph.ops[1:]))


def is_fed(op: Op) -> bool:
    """Whether the op, or the stream that it begins, takes the net's input row by row."""
    return bool(op.attrs.get("fed"))
