"""Channels that a model can do without: those of one value for every input, and those that nothing reads.

A dead channel's share in the next layer's sums is a constant; it moves into the bias where padding does not
make it another at the border. What must stay is found from the outputs back to the inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from tflm_export.front.intervals import intervals
from tflm_export.ir import Graph, Op
from tflm_export.ops import op_kind
from tflm_export.ops.channels import NONE, Sources, channels
from tflm_export.ops.convolution.interval import taps_inside
from tflm_export.ops.interval import Interval
from tflm_export.ops.result import tensor_quant


@dataclass(frozen=True)
class Constant:
    """By channel of a tensor: `dead` bool [C], one value everywhere for every input; `value` int64 [C]."""

    dead: np.ndarray
    value: np.ndarray

    @classmethod
    def of(cls, interval: Interval) -> Constant:
        """What an interval pins down.

        >>> low = np.array([[[[1, 2]], [[1, 3]]]], np.int8)
        >>> Constant.of(Interval(low, low)).dead.tolist()
        [True, False]
        """
        last = interval.low.shape[-1] if interval.low.ndim else 1
        low, high = interval.low.reshape(-1, last), interval.high.reshape(-1, last)
        return cls(np.equal(low.min(axis=0), high.max(axis=0)), low[0].astype(np.int64))


def is_mixing(op: Op) -> bool:
    """Whether every output channel of `op` is a sum over all input channels."""
    axes = op_kind(op).axes
    return bool(axes) and axes["out"] != axes["in"]


def weight_blocks(op: Op, graph: Graph) -> np.ndarray | None:
    """Weights of a mixing layer int8 [O, taps, C]; None where C does not divide a dense layer's columns."""
    weights, size = graph.constant(op.inputs[1]), channels(graph.tensors[op.inputs[0]])
    columns = weights.size // len(weights)
    return weights.reshape(len(weights), columns // size, size) if columns % size == 0 else None


def dead_channels(graph: Graph, trained: Collection[str] = ()) -> dict[str, Constant]:
    """The constant channels of every tensor that is computed."""
    return {name: Constant.of(interval) for name, interval in intervals(graph, trained).items()}


def needed_channels(
    graph: Graph, constants: Mapping[str, Constant], whole: Collection[str]
) -> dict[str, np.ndarray]:
    """Which channels of every tensor must be computed, bool [C]: the least sets that the ops allow.

    whole: tensors that stay as they are.
    """
    demand = Demand(graph, constants, whole)
    demand.settle()
    return demand.needed


class Demand:
    """The sets of needed channels while they grow."""

    def __init__(self, graph: Graph, constants: Mapping[str, Constant], whole: Collection[str]):
        self.graph, self.constants = graph, constants
        self.needed = {name: np.zeros(channels(t), bool) for name, t in graph.tensors.items()}
        fixed = {name for op in graph.ops if op_kind(op).axes for name in self._fixed(op)}
        for name in {*whole, *graph.given, *graph.kept, *fixed}:
            self.needed[name][:] = True

    def _fixed(self, op: Op) -> tuple[str, ...]:
        """Weights are cut by their layer; one that shares them stays whole."""
        own = tuple(filter(None, op.inputs[1:3]))
        shared = any(len(self.graph.consumers(name)) > 1 for name in own)
        return (*own, op.inputs[0], op.outputs[0]) if shared else own

    def settle(self) -> None:
        """Grow until nothing changes; a tensor that nothing needs keeps one channel, as kernels want it."""
        self._grow()
        for needed in self.needed.values():
            needed[:1] |= not needed.any()
        self._grow()

    def _grow(self) -> None:
        before = -1
        while before != (before := self._count()):
            for op in reversed(self.graph.ops):
                self._pass(op)

    def _count(self) -> int:
        return sum(int(needed.sum()) for needed in self.needed.values())

    def _pass(self, op: Op) -> None:
        """From what `op` must compute to what it reads; where channels go along, back again."""
        if is_mixing(op):
            self.needed[op.inputs[0]] |= self._columns(op)
            return
        kind = op_kind(op)
        sources = kind.reads(op, self.graph.tensors) if kind.reads else None
        if sources is None:
            for name in filter(None, (*op.inputs, *op.outputs)):
                self.needed[name][:] = True
        else:
            self._tie(op, sources)

    def _tie(self, op: Op, sources: Sources) -> None:
        y = self.needed[op.outputs[0]]
        for name, source in zip(op.inputs, sources, strict=False):
            x, own = self.needed[name], source != NONE
            x[source[own & y]] = True
            y[own] |= x[source[own]]

    def _columns(self, op: Op) -> np.ndarray:
        """Input channels of a mixing layer whose share in what it must compute is no constant."""
        weights, x = weight_blocks(op, self.graph), op.inputs[0]
        if weights is None or x not in self.constants:
            return np.ones_like(self.needed[x])
        rows, constant = weights[self.needed[op.outputs[0]]], self.constants[x]
        zero = constant.value == tensor_quant(self.graph, x).zero_point[0]
        at_border = rows[:, meets_padding(op, self.graph)].any(axis=(0, 1))
        constant_share = constant.dead & (zero | ~at_border)
        return np.asarray(rows.any(axis=(0, 1)) & ~constant_share)


def meets_padding(op: Op, graph: Graph) -> np.ndarray:
    """Taps of a mixing layer that lie in the padding for some output, bool [taps]."""
    if op.kind != "CONV_2D":
        weights = weight_blocks(op, graph)
        assert weights is not None
        return np.zeros(weights.shape[1], bool)
    return np.array([not seen.all() for seen in taps_inside(op, graph).T])
