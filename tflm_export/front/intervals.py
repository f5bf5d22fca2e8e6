"""How far every activation of a model can go, for all inputs and all weights that training can reach."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import op_kind
from tflm_export.ops.interval import Interval, anything
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN


def intervals(graph: Graph, trained: Collection[str] = ()) -> dict[str, Interval]:
    """The interval of every tensor that is computed, by name; of the inputs all of int8.

    trained: names of ops whose weights or bias change. Sound, not tight: it takes the values of one tensor as
    free of each other.
    """
    found = {name: _whole(graph.tensors[name].shape) for name in graph.given}
    for op in graph.ops:
        found[op.outputs[0]] = _output(op, graph, found, op.name in trained)
    return found


def _output(op: Op, graph: Graph, given: dict[str, Interval], trained: bool) -> Interval:
    kind = op_kind(op)
    if trained or kind.interval is None or not given.keys() & set(op.inputs):
        return anything(op, graph)
    return kind.interval(kind.forward, op, graph, given)


def _whole(shape: tuple[int, ...]) -> Interval:
    return Interval(np.full(shape, INT8_MIN, np.int8), np.full(shape, INT8_MAX, np.int8))
