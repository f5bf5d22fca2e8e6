"""`Variable`: one trained tensor as an engine stores it, and which part of it trains.

>>> update = Op("CONV_2D_WEIGHTS_UPDATE", "#3/weights", ("g", "", "x", "w"), (),
...             {"channels": (0, 2), "along": 0, "resident": False}, "update", of="#3")
>>> variable = Variable(update, Op("CONV_2D", "#3", ("x", "w"), ("y",)), (3, 2))
>>> stored = variable.take(np.arange(6).reshape(3, 2)); stored.tolist()
[[0, 1], [4, 5]]
>>> variable.put(np.zeros((3, 2), int), stored).tolist()
[[0, 1], [0, 0], [4, 5]]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tflm_export.ir import Graph, Op


@dataclass(frozen=True)
class Variable:
    """A weight (int8) or bias (int32) that trains.

    op: its update op; layer: the forward op; shape: of the whole tensor.
    """

    op: Op
    layer: Op
    shape: tuple[int, ...]

    @property
    def bias(self) -> bool:
        """A bias (int32), not a weight (int8)."""
        return self.op.kind == "BIAS_UPDATE"

    @property
    def tensor(self) -> str:
        """Name of the trained tensor in the model."""
        return self.op.inputs[-1]

    @property
    def dtype(self) -> type[np.generic]:
        """int32 for a bias, int8 for a weight."""
        return np.int32 if self.bias else np.int8

    @property
    def axis(self) -> int:
        """Along which `channels` are counted: 0 (rows, biases) or -1 (columns, depthwise channels)."""
        return int(self.op.attrs["along"])

    @property
    def channels(self) -> tuple[int, ...]:
        """Sorted indices along `axis` that train."""
        return tuple(self.op.attrs["channels"])

    @property
    def depthwise(self) -> bool:
        """A depthwise weight: its channels lie along the last axis, one an output."""
        return self.axis != 0 and bool(self.op.attrs["resident"])

    @property
    def pooled(self) -> bool:
        """The device chooses which of the channels learn."""
        return "pooled" in self.op.attrs

    @property
    def in_pool(self) -> bool:
        """Its chosen rows lie in the pool; what else the device chooses from lies in RAM whole."""
        return self.pooled and not self.bias and not self.op.attrs["resident"]

    @property
    def room(self) -> int:
        """How many channels may train at once."""
        return int(self.op.attrs.get("room", len(self.channels)))

    @property
    def whole(self) -> bool:
        """Every element trains."""
        return len(self.channels) == self.shape[self.axis]

    @property
    def resident(self) -> bool:
        """The whole tensor lives in RAM, frozen parts too: a bias and a depthwise weight do."""
        return (self.whole and not self.in_pool) or self.bias or bool(self.op.attrs["resident"])

    @property
    def count(self) -> int:
        """Trained elements: the optimizer's state has one entry for each."""
        return math.prod(self.shape) // self.shape[self.axis] * len(self.channels)

    @property
    def nbytes(self) -> int:
        """Bytes of the parameter in RAM, the pool apart."""
        if self.in_pool:
            return 0
        return (math.prod(self.shape) if self.resident else self.count) * np.dtype(self.dtype).itemsize

    @property
    def written_bytes(self) -> int:
        """Bytes that a host writes: what is in RAM, or the whole tensor where its rows are in the pool."""
        return math.prod(self.shape) if self.in_pool else self.nbytes

    def of(self, channels: Sequence[int]) -> Variable:
        """The same tensor, of which these channels train."""
        return replace(self, op=replace(self.op, attrs={**self.op.attrs, "channels": tuple(channels)}))

    @property
    def index(self) -> np.ndarray:
        """Flat positions of the trained elements in the whole tensor, in the shape of the trained part."""
        positions = np.arange(math.prod(self.shape)).reshape(self.shape)
        return np.take(positions, self.channels, axis=self.axis)

    def per_output(self, values: np.ndarray) -> np.ndarray:
        """`values` [O], one an output channel, in the shape that broadcasts with the trained part."""
        if self.depthwise:
            return values[list(self.channels)]
        rows = values[list(self.channels)] if self.axis == 0 else values
        return rows.reshape(-1, *(1,) * (len(self.shape) - 1))

    def take(self, whole: np.ndarray) -> np.ndarray:
        """The part of a whole tensor that lives in RAM."""
        return whole if self.resident else np.take(whole, self.channels, axis=self.axis)

    def put(self, whole: np.ndarray, stored: np.ndarray) -> np.ndarray:
        """A copy of `whole` with the part in RAM, `stored` of any shape, in its place."""
        result = whole.copy()
        if self.resident:
            result[...] = stored.reshape(result.shape)
        else:
            result.reshape(-1)[self.index] = stored.reshape(self.index.shape)
        return result


def variables(graph: Graph) -> tuple[Variable, ...]:
    """The trained tensors of a training graph, in the order of their updates."""
    layers = graph.layers
    updates = (op for op in layers.values() if op.role == "update")
    return tuple(Variable(op, layers[op.of], graph.tensors[op.inputs[-1]].shape) for op in updates)


def numbered(graph: Graph) -> tuple[Variable, ...]:
    """The trained tensors as a board counts them: those in RAM, then those of which rows are in the pool."""
    return tuple(sorted(variables(graph), key=lambda variable: variable.in_pool))
