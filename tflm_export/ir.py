"""The compiler's one intermediate form: frozen `QParams`, `Tensor`, `Op`, `Graph`.

Forward and training graphs are the same type; an op's `role` tells them apart. Passes are plain
functions `Graph -> Graph`.

>>> x = Tensor("x", (1, 4), "int8", QParams((0.5,), (0,)))
>>> y = Tensor("y", (1, 4), "int8", QParams((0.5,), (0,)))
>>> graph = Graph({"x": x, "y": y}, (Op("RELU", "relu", ("x",), ("y",)),), ("x",), ("y",))
>>> graph.check().producer("y").name
'relu'
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from tflm_export.errors import ExportError

DTYPES = {"int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4, "bit": 0}
Role = Literal["forward", "gradient", "update"]


@dataclass(frozen=True)
class QParams:
    """Affine quantisation: real = scale * (q - zero_point); per channel along `axis` when it is set.

    scale: float64 values of the file's float32, one or one a channel, finite and > 0.
    zero_point: one or one a channel.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None

    def quantize(self, real: np.ndarray) -> np.ndarray:
        """int8 nearest to `real / scale`, divided in float32, halves to even, saturated. One scale only.

        >>> QParams((0.5,), (-3,)).quantize(np.array([0.2, 0.25, 0.75, 99.0])).tolist()
        [-3, -3, -1, 127]
        """
        steps = np.rint(np.asarray(real, np.float32) / np.float32(self.scale[0]))
        result: np.ndarray = np.clip(steps + self.zero_point[0], -128, 127).astype(np.int8)
        return result

    def dequantize(self, q: np.ndarray) -> np.ndarray:
        """`scale * (q - zero_point)`, float64; scales of several channels go along `axis`.

        >>> QParams((0.5, 2.0), (0, 0), axis=0).dequantize(np.array([[1, 2], [3, 4]])).tolist()
        [[0.5, 1.0], [6.0, 8.0]]
        """
        shape = [1] * np.ndim(q)
        if self.axis is not None and len(self.scale) > 1:
            shape[self.axis] = -1
        scale, zero = np.reshape(self.scale, shape), np.reshape(self.zero_point, shape)
        result: np.ndarray = scale * (np.asarray(q, np.float64) - zero)
        return result


@dataclass(frozen=True)
class Tensor:
    """A named array. `data` is set for constants. `dtype` "bit" packs 8 flags a byte, LSB first."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quant: QParams | None = None
    data: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return (self.size + 7) // 8 if self.dtype == "bit" else self.size * DTYPES[self.dtype]


@dataclass(frozen=True)
class Op:
    """One operation.

    kind: the TFLite builtin name ("CONV_2D"), or the name of a gradient or update op.
    name: unique; for ops of the file `#<index in the .tflite>`.
    inputs, outputs: tensor names; an absent optional input is "".
    attrs: plain values (stride, padding, fused activation...).
    of: name of the forward op that a gradient or update belongs to; "" for a forward op.
    index, variant: place of that forward op in the file; a letter for what a pass put beside it.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    role: Role = "forward"
    of: str = ""
    index: int = -1
    variant: str = ""

    @property
    def owner(self) -> str:
        """Name of the forward op that this one belongs to; a forward op belongs to itself."""
        return self.of or self.name

    @property
    def bias(self) -> str:
        """Name of a layer's bias tensor; "" when it has none."""
        return self.inputs[2] if len(self.inputs) > 2 else ""

    @property
    def label(self) -> str:
        """Short and unique among forward ops: `3`, or `3r` for what a pass put beside op #3."""
        return f"{self.index}{self.variant}"

    @property
    def members(self) -> tuple[Op, ...]:
        """The ops that a STREAM or SLICES stands for, in order; any other op is itself."""
        if self.kind == "SLICES":
            return tuple(self.attrs["members"])
        if self.kind != "STREAM":
            return (self,)
        kept, residual = self.attrs["kept"], self.attrs["residual"]
        ordered: list[Op] = []
        for stage in self.attrs["stages"]:
            ordered += [k for k in kept if k.of == stage.name]
            ordered.append(stage)
        return (*ordered, residual) if residual is not None else tuple(ordered)

    def beside(
        self,
        kind: str,
        variant: str,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        attrs: Mapping[str, Any] | None = None,
    ) -> Op:
        """A forward op that a pass puts before or behind this one."""
        name = f"{self.name}{variant}"
        return Op(kind, name, inputs, outputs, attrs or {}, index=self.index, variant=variant)


@dataclass(frozen=True)
class State:
    """What an inference leaves for the next one: `tensor` is read, `next` takes its place at the end ("": it
    stays). `initial`: int8 of the tensor's shape, what the first inference finds."""

    tensor: str
    next: str
    initial: np.ndarray = field(compare=False, repr=False)


@dataclass(frozen=True)
class Graph:
    """Tensors by name and ops in execution order; `states` of a net that remembers."""

    tensors: Mapping[str, Tensor]
    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[State, ...] = ()

    @property
    def given(self) -> tuple[str, ...]:
        """What is there before the first op: inputs and states."""
        return (*self.inputs, *(state.tensor for state in self.states))

    @property
    def kept(self) -> tuple[str, ...]:
        """What must be there after the last op: outputs, and what the states become."""
        return (*self.outputs, *(state.next for state in self.states if state.next))

    @cached_property
    def loss(self) -> Op | None:
        """The loss of a training graph; None where nothing trains."""
        return next((op for op in self.ops if op.name == "loss"), None)

    @cached_property
    def layers(self) -> dict[str, Op]:
        """Every op by name, those inside streams too."""
        return {inner.name: inner for op in self.ops for inner in op.members}

    @cached_property
    def updates(self) -> tuple[Op, ...]:
        """The ops that change weights, those inside slices too."""
        return tuple(
            inner for op in self.ops if op.role != "forward" for inner in op.members if inner.role == "update"
        )

    def constant(self, name: str) -> np.ndarray:
        """The data of a constant tensor."""
        data = self.tensors[name].data
        assert data is not None, name
        return data

    def producer(self, tensor: str) -> Op | None:
        """The op that writes `tensor`, or None for inputs and constants."""
        return next((op for op in self.ops if tensor in op.outputs), None)

    def consumers(self, tensor: str) -> tuple[Op, ...]:
        """The ops that read `tensor`, in order."""
        return tuple(op for op in self.ops if tensor in op.inputs)

    def replace(self, **changes: Any) -> Graph:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def check(self) -> Graph:
        """Return self when every name resolves, every tensor is written once and before it is read.

        Raises `ExportError` naming the op and tensor otherwise.
        """
        ready = set(self.given) | {name for name, t in self.tensors.items() if t.data is not None}
        for op in self.ops:
            for name in filter(None, op.inputs):
                if name not in self.tensors:
                    raise ExportError(f"{op.kind} {op.name!r}: input tensor {name!r} does not exist.")
                if name not in ready:
                    raise ExportError(f"{op.kind} {op.name!r}: input {name!r} is read before it is written.")
            for name in op.outputs:
                if name not in self.tensors:
                    raise ExportError(f"{op.kind} {op.name!r}: output tensor {name!r} does not exist.")
                if name in ready:
                    raise ExportError(f"{op.kind} {op.name!r}: output {name!r} is written twice.")
                ready.add(name)
        missing = [name for name in self.kept if name not in ready]
        if missing:
            raise ExportError(f"graph outputs {missing} are never written.")
        return self
