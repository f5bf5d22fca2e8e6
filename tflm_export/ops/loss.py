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


def real_logits(op: Op, graph: Graph, q: np.ndarray) -> np.ndarray:
    """Dequantised logits, float64."""
    quant = tensor_quant(graph, op.inputs[0])
    result: np.ndarray = quant.scale[0] * (q.astype(np.float64) - quant.zero_point[0])
    return result


def _crossentropy_reference(op: Op, graph: Graph, q: np.ndarray, label: int) -> np.ndarray:
    real = real_logits(op, graph, q)
    powers = np.exp((real - real.max()) * op.attrs.get("beta", 1.0))
    gradient: np.ndarray = powers / powers.sum()
    gradient.reshape(-1)[label] -= 1
    return gradient


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


def _guess(e: Emitter, op: Op) -> list[str]:
    q = op.inputs[0]
    return [f"guessed = tfodl::argmax_s8({e.at(q, 's8')}, {e.tensor(q).size});"]


def _mse_reference(op: Op, graph: Graph, q: np.ndarray, target: np.ndarray) -> np.ndarray:
    difference = q.astype(np.float64) - np.asarray(target, np.float64).reshape(q.shape)
    result: np.ndarray = 2 * loss_scale(op, graph) * difference / q.size
    return result


def _classes(e: Emitter, logits: str) -> str:
    """How many logits are of classes: spare ones are not before they are in use."""
    return "classes()" if e.plan.spare_classes else str(e.tensor(logits).size)


def _mse(e: Emitter, op: Op) -> list[str]:
    q = op.inputs[0]
    n = e.tensor(q).size
    factor, exponent = mse_factor(loss_scale(op, e.graph), n)
    args = (e.at(q, "s8"), "target", n, e.at(op.outputs[0], "s16"), e.scale(op), "&observed")
    return kernel_call("mean_squared_error_s8", factor, exponent, *args)


def _mse_f32(e: Emitter, op: Op) -> list[str]:
    q = op.inputs[0]
    n = e.tensor(q).size
    factor = literal("float", loss_scale(op, e.graph) / n)
    args = (e.at(q, "s8"), "target", n, e.at(op.outputs[0], "f32"), "&observed")
    return kernel_call("mean_squared_error_f32", factor, *args)


def _mse_text(e: Emitter, op: Op) -> str:
    scale = loss_scale(op, e.graph)
    return f"static_cast<float>(observed) * {literal('float', scale * scale / e.tensor(op.inputs[0]).size)}"


CROSSENTROPY = LossKind(
    target="label",
    run=lambda op, graph, q, t: crossentropy_gradient(q, t, exp_table(loss_scale(op, graph))),
    run_f32=lambda op, graph, q, t: crossentropy_gradient_f32(q, t, exp_table_f32(loss_scale(op, graph))),
    reference=_crossentropy_reference,
    value=lambda op, graph, q, t: crossentropy(q, t, exp_table(loss_scale(op, graph))),
    call=_crossentropy,
    call_f32=_crossentropy_f32,
    observed="uint32_t",
    text=lambda e, op: "tfodl::cross_entropy(observed)",
    judge=_guess,
    value_f32=lambda op, graph, q, t: crossentropy_f32(q, t, exp_table_f32(loss_scale(op, graph))),
)
MSE = LossKind(
    target="values",
    run=lambda op, graph, q, t: mse_gradient(q, t, loss_scale(op, graph)),
    run_f32=lambda op, graph, q, t: mse_gradient_f32(q, t, loss_scale(op, graph)),
    reference=_mse_reference,
    value=lambda op, graph, q, t: mse(q, t, loss_scale(op, graph)),
    call=_mse,
    call_f32=_mse_f32,
    observed="uint32_t",
    text=_mse_text,
)
