"""Losses on int8 logits: softmax cross-entropy and mean squared error (docs/arithmetic.md, "Loss")."""

from __future__ import annotations

import math

import numpy as np

from tflm_export.cpp import literal
from tflm_export.ir import Graph, Op
from tflm_export.ops.arithmetic import Gradient, bitlen, fraction_q15, rshift, saturate
from tflm_export.ops.kind import Emitter, LossKind
from tflm_export.ops.ordered import total
from tflm_export.ops.result import tensor_quant
from tflm_export.ops.text import kernel_call

TABLE_BITS = 24
PROBABILITY_BITS = 30


def exp_table(scale: float) -> np.ndarray:
    """`T[k] = round(2^24 exp(-scale k))` for k = 0..255, uint32. `scale` of the logits."""
    real = [math.floor(2.0**TABLE_BITS * math.exp(-scale * k) + 0.5) for k in range(256)]
    return np.array(real, np.uint32)


def probabilities_q30(logits: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Softmax of int8 `logits` [n] in Q30, int64; sums to 2^30 within n / 2."""
    q = logits.astype(np.int64)
    terms = table[q.max() - q].astype(np.int64)
    whole = int(terms.sum())
    result: np.ndarray = ((terms << PROBABILITY_BITS) + whole // 2) // whole
    return result


def crossentropy_gradient(logits: np.ndarray, label: int, table: np.ndarray) -> Gradient:
    """d loss / d real logits. `logits` int8, any shape of n elements; `label` in 0..n-1."""
    g = probabilities_q30(logits.reshape(-1), table)
    g[label] = 0
    g[label] = -g.sum()
    shift = max(0, bitlen(g) - 14)
    values = rshift(g, shift).astype(np.int16).reshape(logits.shape)
    return Gradient(values, shift - PROBABILITY_BITS)


def crossentropy(logits: np.ndarray, label: int, table: np.ndarray) -> float:
    """The loss itself, for people to watch: -log p of `label`, at most 30 log 2."""
    p = int(probabilities_q30(logits.reshape(-1), table)[label])
    return math.log(2**PROBABILITY_BITS / max(p, 1))


def mse_factor(scale: float, count: int) -> tuple[int, int]:
    """Q15 factor and exponent of `scale / count`: what one LSB of difference weighs."""
    return fraction_q15(scale / count)


def mse_gradient(output: np.ndarray, target: np.ndarray, scale: float) -> Gradient:
    """d mean((y - t)^2) / d real y for int8 `output` and `target` of one quantisation."""
    factor, exponent = mse_factor(scale, output.size)
    difference = output.astype(np.int64) - target.astype(np.int64)
    values = saturate(rshift(2 * difference * 64 * factor, 15), 16).astype(np.int16)
    return Gradient(values, exponent - 6)


def mse(output: np.ndarray, target: np.ndarray, scale: float) -> float:
    """mean((y - t)^2) in real units, for people to watch."""
    difference = output.astype(np.int64) - target.astype(np.int64)
    return float((difference * difference).sum()) * scale * scale / output.size


def exp_table_f32(scale: float) -> np.ndarray:
    """`exp(-scale k)` for k = 0..255, float32. `scale` of the logits."""
    return np.exp(-scale * np.arange(256.0)).astype(np.float32)


def probabilities_f32(logits: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Softmax of int8 `logits` [n] in float32."""
    q = logits.reshape(-1).astype(np.int64)
    terms = table[q.max() - q]
    result: np.ndarray = terms / total(terms)
    return result


def crossentropy_gradient_f32(logits: np.ndarray, label: int, table: np.ndarray) -> np.ndarray:
    """d loss / d real logits in float32. `logits` int8, any shape of n elements; `label` in 0..n-1."""
    g = probabilities_f32(logits, table)
    g[label] = 0
    g[label] = -total(g)
    return g.reshape(logits.shape)


def crossentropy_f32(logits: np.ndarray, label: int, table: np.ndarray) -> float:
    """The loss itself, for people to watch: as `crossentropy`, from float32 probabilities."""
    p = int(probabilities_f32(logits, table)[label] * np.float32(2**PROBABILITY_BITS))
    return math.log(2**PROBABILITY_BITS / max(p, 1))


def mse_gradient_f32(output: np.ndarray, target: np.ndarray, scale: float) -> np.ndarray:
    """d mean((y - t)^2) / d real y in float32."""
    difference = output.astype(np.int64) - target.astype(np.int64)
    return (2 * difference).astype(np.float32) * np.float32(scale / output.size)


def loss_scale(op: Op, graph: Graph) -> float:
    """What one LSB of the logits is to the loss: their scale times the softmax's beta.

    The gradient is taken with respect to `beta` times the logits; the updates' rates make up for it.
    """
    return tensor_quant(graph, op.inputs[0]).scale[0] * float(op.attrs.get("beta", 1.0))


def _crossentropy(e: Emitter, op: Op) -> list[str]:
    q = op.inputs[0]
    table = e.tables.add("uint32_t", "loss_exp", exp_table(loss_scale(op, e.graph)))
    args = (e.at(q, "s8"), _classes(e, q), "label", e.at(op.outputs[0], "s16"), e.scale(op), "&observed")
    return kernel_call("softmax_cross_entropy_s8", table, *args)


def _crossentropy_f32(e: Emitter, op: Op) -> list[str]:
    q = op.inputs[0]
    table = e.tables.add("float", "loss_exp", exp_table_f32(loss_scale(op, e.graph)))
    args = (e.at(q, "s8"), _classes(e, q), "label", e.at(op.outputs[0], "f32"), "&observed")
    return kernel_call("softmax_cross_entropy_f32", table, *args)


def _classes(e: Emitter, logits: str) -> str:
    """How many logits are of classes: spare ones are not before they are in use."""
    return "classes()" if e.plan.spare_classes else str(e.tensor(logits).size)


def _mse(e: Emitter, op: Op) -> list[str]:
    q = op.inputs[0]
    n = e.tensor(q).size
    factor, exponent = mse_factor(tensor_quant(e.graph, q).scale[0], n)
    args = (e.at(q, "s8"), "target", n, e.at(op.outputs[0], "s16"), e.scale(op), "&observed")
    return kernel_call("mean_squared_error_s8", factor, exponent, *args)


def _mse_f32(e: Emitter, op: Op) -> list[str]:
    q = op.inputs[0]
    n = e.tensor(q).size
    factor = literal("float", tensor_quant(e.graph, q).scale[0] / n)
    args = (e.at(q, "s8"), "target", n, e.at(op.outputs[0], "f32"), "&observed")
    return kernel_call("mean_squared_error_f32", factor, *args)


CROSSENTROPY = LossKind(_crossentropy, _crossentropy_f32, by_label=True)
MSE = LossKind(_mse, _mse_f32, by_label=False)
