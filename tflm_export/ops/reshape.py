"""RESHAPE, SQUEEZE and EXPAND_DIMS: the same int8 values in another shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.arithmetic import Gradient
from tflm_export.ops.call import Call
from tflm_export.ops.kind import Backward, GradientKind, OpKind
from tflm_export.ops.result import Result, Values, operand


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Nothing to keep: the output tensor's shape says it all."""
    check.arity(op, 1, 2)
    check.same_quant(op, tensors, op.inputs[0], op.outputs[0])
    x, y = tensors[op.inputs[0]], tensors[op.outputs[0]]
    fits = x.size == y.size
    check.require(fits, op, f"shapes {list(x.shape)} and {list(y.shape)} differ in size.")
    return {}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The input, reshaped."""
    x = operand(graph, values, op.inputs[0])
    return Result(x.reshape(-1, *graph.tensors[op.outputs[0]].shape[1:]))


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The same numbers."""
    b.gradient("RESHAPE_INPUT_GRADIENT", op, (g,), wanted[0])


def gradient(call: Call, g: Gradient) -> Gradient:
    """The same numbers in the input's shape."""
    return Gradient(g.values.reshape(call.in_shape), g.exponent)


def real_gradient(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return g.reshape(call.in_shape)


KIND = OpKind(prepare, forward, rule=rule, view=True, interval=interval.monotone, reads=channels.reshaped)
GRADIENT = GradientKind(gradient, real_gradient, view=True, same_exponent=True)
