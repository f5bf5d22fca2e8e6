"""The operations of the compiler, one module an op or family; `OPS` is the whole list.

An op is two functions: `prepare(op, tensors) -> attrs` checks shapes, dtypes and scales and resolves the
file's options into plain values, and `forward(op, graph, values) -> Result` computes it, bit for bit as
TFLite Micro. How to add one: docs/compiler.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op
from tflm_export.ops import (
    add,
    concatenation,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    logistic,
    lookup,
    mean,
    mul,
    pad,
    pool_2d,
    quantize,
    reduce_max,
    relu,
    repeat_channels,
    reshape,
    softmax,
)
from tflm_export.ops.check import Tensors, where
from tflm_export.ops.result import Result, Values


@dataclass(frozen=True)
class OpKind:
    """What the compiler knows of one kind of op."""

    prepare: Callable[[Op, Tensors], dict[str, Any]]
    forward: Callable[[Op, Graph, Values], Result]


OPS: dict[str, OpKind] = {
    "ADD": OpKind(add.prepare, add.forward),
    "AVERAGE_POOL_2D": OpKind(pool_2d.prepare, pool_2d.average),
    "CONCATENATION": OpKind(concatenation.prepare, concatenation.forward),
    "CONV_2D": OpKind(conv_2d.prepare, conv_2d.forward),
    "DEPTHWISE_CONV_2D": OpKind(depthwise_conv_2d.prepare, depthwise_conv_2d.forward),
    "EXPAND_DIMS": OpKind(reshape.prepare, reshape.forward),
    "FULLY_CONNECTED": OpKind(fully_connected.prepare, fully_connected.forward),
    "HARD_SWISH": OpKind(lookup.hard_swish, lookup.forward),
    "LEAKY_RELU": OpKind(lookup.leaky_relu, lookup.forward),
    "LOGISTIC": OpKind(logistic.prepare, logistic.forward),
    "MAX_POOL_2D": OpKind(pool_2d.prepare, pool_2d.maximum),
    "MEAN": OpKind(mean.prepare, mean.forward),
    "MUL": OpKind(mul.prepare, mul.forward),
    "PAD": OpKind(pad.prepare, pad.forward),
    "PADV2": OpKind(pad.prepare, pad.forward),
    "QUANTIZE": OpKind(quantize.prepare, quantize.forward),
    "REDUCE_MAX": OpKind(reduce_max.prepare, reduce_max.forward),
    "RELU": OpKind(relu.prepare, relu.forward),
    "RELU6": OpKind(relu.prepare, relu.forward),
    "RELU_N1_TO_1": OpKind(relu.prepare, relu.forward),
    "RESHAPE": OpKind(reshape.prepare, reshape.forward),
    "SOFTMAX": OpKind(softmax.prepare, softmax.forward),
    "SQUEEZE": OpKind(reshape.prepare, reshape.forward),
    "SUB": OpKind(add.prepare, add.forward),
    "TANH": OpKind(lookup.hyperbolic_tangent, lookup.forward),
}
INTERNAL = {"REPEAT_CHANNELS": repeat_channels.forward}  # what `simplify` writes; no file has them


def op_kind(op: Op) -> OpKind:
    """The row of `OPS` for `op`. Raises `ExportError` for an op that the compiler does not know."""
    if op.kind not in OPS:
        raise ExportError(unsupported(op))
    return OPS[op.kind]


def unsupported(op: Op) -> str:
    """What to say of an op that the compiler does not know."""
    return (
        f"{where(op)}: not supported; allowed: {', '.join(OPS)}. "
        "Replace the layer, or cut the model before it and run that part outside."
    )


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """Compute one op. `values` int8 by tensor name; constants of the graph are used where it has none."""
    compute = INTERNAL[op.kind] if op.kind in INTERNAL else op_kind(op).forward
    return compute(op, graph, values)
