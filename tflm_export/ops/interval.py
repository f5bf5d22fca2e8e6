"""How far an op's outputs can go, whatever its inputs are within their intervals: `OpKind.interval`.

A rule takes the op's own `forward`, so that rounding and clamps are those of the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN
from tflm_export.ops.result import Result, Values


@dataclass(frozen=True)
class Interval:
    """`low` <= q <= `high` for every element of a tensor: int8 arrays of its shape."""

    low: np.ndarray
    high: np.ndarray


Forward = Callable[[Op, Graph, Values], Result]
Intervals = Mapping[str, Interval]  # of the tensors that are not constant
Rule = Callable[[Forward, Op, Graph, Intervals], Interval]


def anything(op: Op, graph: Graph) -> Interval:
    """What the clamp of `op` lets through: all of int8 for an op without one."""
    shape = graph.tensors[op.outputs[0]].shape
    ends = op.attrs.get("act_min", INT8_MIN), op.attrs.get("act_max", INT8_MAX)
    low, high = (np.full(shape, end, np.int8) for end in ends)
    return Interval(low, high)


def monotone(forward: Forward, op: Op, graph: Graph, given: Intervals) -> Interval:
    """An op that falls with none of its inputs: its outputs at the lowest and at the highest of them."""
    own = [name for name in op.inputs if name in given]
    low = forward(op, graph, {name: given[name].low for name in own}).value
    high = forward(op, graph, {name: given[name].high for name in own}).value
    return Interval(low, high)


def corners(forward: Forward, op: Op, graph: Graph, given: Intervals) -> Interval:
    """Two operands, each of which only raises or only lowers the output: its extremes are at the corners."""
    own = [name for name in op.inputs if name in given]
    if len(set(own)) < len(own):  # x * x is least between the corners
        return anything(op, graph)
    ends = product(*((given[name].low, given[name].high) for name in own))
    found = [forward(op, graph, dict(zip(own, values, strict=True))).value for values in ends]
    return Interval(np.minimum.reduce(found), np.maximum.reduce(found))


def table(forward: Forward, op: Op, graph: Graph, given: Intervals) -> Interval:
    """A table of 256 outputs: the least and the largest of those that the input can reach."""
    outputs = np.array(op.attrs["table"], np.int8)
    reached = np.tri(256, dtype=bool).T  # [from, to]
    least = np.minimum.accumulate(np.where(reached, outputs, INT8_MAX), axis=1)
    largest = np.maximum.accumulate(np.where(reached, outputs, INT8_MIN), axis=1)
    x = given[op.inputs[0]]
    at = x.low.astype(np.int64) - INT8_MIN, x.high.astype(np.int64) - INT8_MIN
    return Interval(least[at].astype(np.int8), largest[at].astype(np.int8))
