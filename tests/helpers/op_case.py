"""A small model of one op, and what the op is in real numbers: a row of op_cases.py.

>>> OpCase("RELU", (X,), X).graph().ops[0].kind
'RELU'
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tflite_file import O, T, build, conv_options, fused

from tflm_export.front.read_tflite import read_tflite
from tflm_export.ir import Graph

Activation = tuple[Sequence[int], float, int]  # shape, scale, zero point
MAP: tuple[int, ...] = (1, 5, 4, 3)
X: Activation = (MAP, 0.02, 3)
CLASSES = 3


@dataclass(frozen=True)
class OpCase:
    """A model of one op.

    function(op, *real arguments): the op in TensorFlow before its clamp, for ops that a gradient passes.
    smooth: finite differences make sense. tolerance: of the reference, relative to the largest gradient.
    by_litert: TFLite Micro has no kernel; LiteRT's reference kernels say what is right.
    others: shapes of further outputs, which nothing reads. xs_last: the op reads its constants first. slots:
    the names of all inputs, where some are absent.
    """

    kind: str
    xs: tuple[Activation, ...]
    y: Activation
    options: dict[str, Any] = field(default_factory=dict)
    constants: tuple[T, ...] = ()
    function: Callable[..., Any] | None = None
    smooth: bool = True
    tolerance: float = 1e-9
    by_litert: bool = False
    others: tuple[Sequence[int], ...] = ()
    xs_last: bool = False
    slots: tuple[str, ...] = ()

    def tflite(self) -> bytes:
        """The op alone, inputs x0, x1 ... and output y."""
        names = [f"x{i}" for i in range(len(self.xs))]
        tensors = [_activation(n, x) for n, x in zip(names, self.xs, strict=True)]
        return build([*tensors, *self._of_op()], [self._op(names)], names, ["y"])

    def graph(self) -> Graph:
        """`tflite` as the compiler reads it."""
        return read_tflite(self.tflite())

    def net(self) -> bytes:
        """The op between a layer that can train (`#0`; one more an input) and a dense head of 3 classes."""
        rng = np.random.default_rng(0)
        below = [_layer(rng, f"x{i}", x, self.xs[0][0][-1]) for i, x in enumerate(self.xs)]
        size = int(np.prod(self.y[0]))
        head = [
            T("hw", (CLASSES, size), scale=0.01, data=rng.integers(-127, 128, (CLASSES, size), np.int8)),
            T("hb", (CLASSES,), "int32", 0.01 * self.y[1], data=np.zeros(CLASSES, np.int32)),
            T("logits", (1, CLASSES), scale=0.1 * np.sqrt(size) * self.y[1] + 0.01),
        ]
        tensors = [T("in", self.xs[0][0], scale=0.03), *(t for ts, _ in below for t in ts), *self._of_op()]
        ops = [op for _, op in below] + [self._op([f"x{i}" for i in range(len(self.xs))])]
        ops.append(O("FULLY_CONNECTED", ["y", "hw", "hb"], ["logits"], fused("NONE")))
        return build([*tensors, *head], ops, ["in"], ["logits"])

    def _of_op(self) -> list[T]:
        """Constants and outputs."""
        more = [_activation(f"y{i}", (shape, *self.y[1:])) for i, shape in enumerate(self.others)]
        return [*self.constants, _activation("y", self.y), *more]

    def _op(self, names: list[str]) -> O:
        constants = [c.name for c in self.constants]
        inputs = self.slots or ([*constants, *names] if self.xs_last else [*names, *constants])
        return O(self.kind, inputs, ["y", *(f"y{i}" for i in range(len(self.others)))], self.options)


def _activation(name: str, activation: Activation) -> T:
    shape, scale, zero = activation
    return T(name, shape, scale=scale, zero=zero)


def _layer(rng: np.random.Generator, name: str, x: Activation, depth: int) -> tuple[list[T], O]:
    """A convolution of maps, a dense layer of rows, from "in" to `x`."""
    shape, maps = x[0], len(x[0]) == 4
    c = shape[-1]
    w_shape = (c, 1, 1, depth) if maps else (c, depth)
    scale = (0.01 + 0.01 * rng.random(c)).astype(np.float32)
    weights = T(f"{name}/w", w_shape, scale=scale, axis=0, data=rng.integers(-127, 128, w_shape, np.int8))
    bias = T(f"{name}/b", (c,), "int32", scale * np.float32(0.03), data=rng.integers(-99, 99, c, np.int32))
    options = conv_options() if maps else fused("NONE") | {"KeepNumDims": True}
    kind = "CONV_2D" if maps else "FULLY_CONNECTED"
    return [weights, bias, _activation(name, x)], O(kind, ["in", weights.name, bias.name], [name], options)


def tensorflow() -> Any:
    import tensorflow as tf

    return tf


def ints(name: str, *values: int) -> T:
    return T(name, (len(values),), "int32", None, data=np.array(values, np.int32))
