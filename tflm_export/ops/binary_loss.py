"""Binary cross-entropy of sigmoids on int8 logits: one of two classes, or several labels (docs/tasks.md).

`mean_i -(t_i log p_i + (1 - t_i) log(1 - p_i))`, `p = sigmoid(real logit)`; the gradient is `(p - t) / n`.
"""

from __future__ import annotations

import math

import numpy as np

from tflm_export.cpp import literal
from tflm_export.ir import Graph, Op, QParams
from tflm_export.ops.arithmetic import Gradient, bitlen, round_half_up, rshift
from tflm_export.ops.kind import Emitter, LossKind
from tflm_export.ops.loss import PROBABILITY_BITS, real_logits
from tflm_export.ops.result import tensor_quant
from tflm_export.ops.text import kernel_call

EVERY = np.arange(-128, 128)
LEAST = 1e-30  # of a sigmoid in float32: its sign says on which side of 1/2 it lies


def sigmoid_table(quant: QParams, count: int) -> tuple[np.ndarray, int, int]:
    """`T[k] = round(2^30 F p)` of logits k - 128, uint32; `round(2^30 F)`; e with `1 / count = F 2^e`."""
    share, exponent = math.frexp(1 / count)
    real = [math.ldexp(share, PROBABILITY_BITS) * p for p in _sigmoid(_real(quant)).tolist()]
    one = round_half_up(math.ldexp(share, PROBABILITY_BITS))
    return np.array([round_half_up(p) for p in real], np.uint32), one, exponent


def sigmoid_table_f32(quant: QParams) -> np.ndarray:
    """The sigmoids of logits k - 128, float32, less 1 where they are above 1/2: both ends keep digits."""
    z = _real(quant)
    small = np.maximum(_sigmoid(-np.abs(z)), LEAST)
    result: np.ndarray = np.where(z > 0, -small, small).astype(np.float32)
    return result


def bce_gradient(q: np.ndarray, target: np.ndarray, quant: QParams) -> Gradient:
    """d loss / d real logits. `q` int8, any shape; `target` of as many, 0 or not 0."""
    table, one, exponent = sigmoid_table(quant, q.size)
    g = table[q.astype(np.int64) + 128].astype(np.int64) - one * yes(target, q.shape)
    shift = max(0, bitlen(g) - 14)
    return Gradient(rshift(g, shift).astype(np.int16), exponent + shift - PROBABILITY_BITS)


def bce_gradient_f32(q: np.ndarray, target: np.ndarray, quant: QParams) -> np.ndarray:
    """The same in float32."""
    p, on = sigmoid_table_f32(quant)[q.astype(np.int64) + 128], yes(target, q.shape)
    one = np.float32(1)
    p = np.where(on, np.where(p < 0, p, p - one), np.where(p < 0, p + one, p))
    result: np.ndarray = (p * np.float32(1 / q.size)).astype(np.float32)
    return result


def bce(q: np.ndarray, target: np.ndarray, quant: QParams) -> float:
    """The loss itself, for people to watch."""
    table, one, _ = sigmoid_table(quant, q.size)
    p = table[q.astype(np.int64) + 128].astype(np.int64)
    said = np.where(yes(target, q.shape), p, one - p)
    return float(np.log(one / np.maximum(said, 1)).mean())


def yes(target: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which outputs shall be on, bool."""
    result: np.ndarray = np.asarray(target).reshape(shape) != 0
    return result


def _real(quant: QParams) -> np.ndarray:
    result: np.ndarray = quant.scale[0] * (EVERY - quant.zero_point[0])
    return result


def _sigmoid(z: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.where(z < 0, np.exp(np.minimum(z, 0)), 1) / (1 + np.exp(-np.abs(z)))
    return result


def _quant(op: Op, graph: Graph) -> QParams:
    return tensor_quant(graph, op.inputs[0])


def _reference(op: Op, graph: Graph, q: np.ndarray, target: np.ndarray) -> np.ndarray:
    z, on = real_logits(op, graph, q), yes(target, q.shape)
    result: np.ndarray = np.where(on, -_sigmoid(-z), _sigmoid(z)) / q.size
    return result


def _call(e: Emitter, op: Op) -> list[str]:
    q = op.inputs[0]
    values, one, exponent = sigmoid_table(_quant(op, e.graph), e.tensor(q).size)
    table = e.tables.add("uint32_t", "loss_sigmoid", values)
    args = (e.at(q, "s8"), "target", e.tensor(q).size, e.at(op.outputs[0], "s16"), e.scale(op), "&observed")
    return kernel_call("binary_cross_entropy_s8", table, one, exponent, *args)


def _call_f32(e: Emitter, op: Op) -> list[str]:
    q = op.inputs[0]
    table = e.tables.add("float", "loss_sigmoid", sigmoid_table_f32(_quant(op, e.graph)))
    factor = literal("float", 1 / e.tensor(q).size)
    args = (e.at(q, "s8"), "target", e.tensor(q).size, e.at(op.outputs[0], "f32"), "&observed")
    return kernel_call("binary_cross_entropy_f32", table, factor, *args)


def _judge(e: Emitter, op: Op) -> list[str]:
    q = op.inputs[0]
    return [f"right_ones = tfodl::count_right_s8({e.at(q, 's8')}, {e.zero(q)}, target, {e.tensor(q).size});"]


BINARY_CROSSENTROPY = LossKind(
    target="values",
    run=lambda op, graph, q, t: bce_gradient(q, t, _quant(op, graph)),
    run_f32=lambda op, graph, q, t: bce_gradient_f32(q, t, _quant(op, graph)),
    reference=_reference,
    value=lambda op, graph, q, t: bce(q, t, _quant(op, graph)),
    call=_call,
    call_f32=_call_f32,
    observed="float",
    text=lambda e, op: "observed",
    judge=_judge,
)
