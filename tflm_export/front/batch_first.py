"""Tensors whose batch is not their first axis, at batch 1: the same bytes with the batch in front.

Unrolled recurrent layers have [T, 1, C], time before the batch, and [C] without one. A pass on ops as the
file has them.
"""

from __future__ import annotations

import dataclasses

from tflm_export.front.trim import RESHAPES
from tflm_export.ir import Graph, Op

ALONG_TIME = ("PACK", "UNPACK")  # of one part: a reshape
TIMED = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM_OUTPUT")  # of batch 1 they go by the order of the bytes
ELEMENTWISE = ("ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM")


def put_batch_first(graph: Graph) -> Graph:
    """[T, 1, ...] becomes [1, T, ...] and [C] [1, C], where all that write and read it can do without."""
    turned = {name for name in graph.tensors if _is_turned(name, graph)}
    bare = {name for name in graph.tensors if _is_bare(name, graph)}
    tensors = dict(graph.tensors)
    for name in turned | bare:
        steps, *rest = tensors[name].shape
        tensors[name] = dataclasses.replace(tensors[name], shape=(1, steps, *rest[1:]))
    return graph.replace(tensors=tensors, ops=tuple(_turned(op, turned) for op in graph.ops))


def _around(name: str, graph: Graph) -> tuple[Op, ...]:
    """The op that writes an inner int8 tensor and those that read it; () for any other tensor."""
    producer = graph.producer(name)
    if producer is None or name in graph.kept or graph.tensors[name].dtype != "int8":
        return ()
    return (producer, *graph.consumers(name))


def _is_bare(name: str, graph: Graph) -> bool:
    """Whether a reshape makes a tensor of one axis, for ops that broadcast it or reshape it again."""
    around = _around(name, graph)
    if len(graph.tensors[name].shape) != 1 or not around or around[0].kind not in RESHAPES:
        return False
    return all(
        op.kind in RESHAPES or (op.kind in ELEMENTWISE and len(graph.tensors[op.outputs[0]].shape) > 1)
        for op in around[1:]
    )


def _is_turned(name: str, graph: Graph) -> bool:
    """Whether time stands before the batch, among reshapes, transpositions of both, PACK and UNPACK."""
    shape, around = graph.tensors[name].shape, _around(name, graph)
    time_first = len(shape) > 2 and shape[0] > 1 == shape[1]
    return time_first and bool(around) and all(_may_turn(op, graph) for op in around)


def _may_turn(op: Op, graph: Graph) -> bool:
    if op.kind in ALONG_TIME:
        axis: int = op.attrs["axis"]
        return axis == 0
    return op.kind in ("RESHAPE", *TIMED) or (op.kind == "TRANSPOSE" and _swaps(op, graph))


def _swaps(op: Op, graph: Graph) -> bool:
    """Whether a TRANSPOSE swaps the first two axes, one of which is 1: no byte moves."""
    order = graph.tensors[op.inputs[1]].data if len(op.inputs) == 2 else None
    shape = graph.tensors[op.inputs[0]].shape
    return order is not None and order.tolist() == [1, 0, *range(2, len(shape))] and 1 in shape[:2]


def _turned(op: Op, turned: set[str]) -> Op:
    if op.kind in ALONG_TIME and len(op.inputs) == len(op.outputs) == op.attrs["count"] == 1:
        return dataclasses.replace(op, kind="RESHAPE", attrs={})
    if op.kind in TIMED or not turned & {*op.inputs, *op.outputs}:
        return op
    if op.kind in ALONG_TIME:
        return dataclasses.replace(op, attrs={**op.attrs, "axis": 1})
    return dataclasses.replace(op, kind="RESHAPE", inputs=op.inputs[:1], attrs={})
