"""Reconstruction error of an autoencoder: mean squared difference of its int8 output and its own input.

Both have quantisations of their own, so differences are taken in 1/64 LSB of the output:
`d = sat16(64 (q - z_y) - rshift((x - z_x) F, 9 - k))` with `s_x / s_y = F 2^(k - 15)` (docs/anomaly.md).
Where the input's scale is more than twice the output's, the fraction is as coarse as it takes for all to fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tflm_export.cpp import literal
from tflm_export.ir import Graph, Op, QParams
from tflm_export.ops.arithmetic import Gradient, fraction_q15, rshift, saturate
from tflm_export.ops.kind import Emitter, LossKind
from tflm_export.ops.loss import mse_factor, real_logits
from tflm_export.ops.result import tensor_quant
from tflm_export.ops.text import kernel_call

FRACTION_BITS = 6  # of a difference
LARGEST_FINE = 2.0  # ratio of the scales up to which a gradient may saturate, from 256 LSB on at the earliest
LARGEST_RATIO = 64.0  # of the scales, either way


@dataclass(frozen=True)
class Scales:
    """How output `y` and input `x` are quantised. Raises `ValueError` for scales too far apart."""

    y: QParams
    x: QParams
    exact: bool = False  # float32 takes the difference itself, and this one only to tell of the loss

    def __post_init__(self) -> None:
        if not 1 / LARGEST_RATIO <= self.ratio <= LARGEST_RATIO:
            raise ValueError(
                f"the input's scale is {self.ratio:g} times the output's; allowed: 1/64 to 64 times."
            )

    @property
    def ratio(self) -> float:
        """What one LSB of the input is in LSB of the output."""
        return self.x.scale[0] / self.y.scale[0]

    @property
    def bits(self) -> int:
        """Fraction bits of a difference."""
        if self.exact or self.ratio <= LARGEST_FINE:
            return FRACTION_BITS
        return max(0, math.floor(math.log2((2**15 - 1) / (2 * 255 * (1 + self.ratio)))))

    @property
    def factor(self) -> tuple[int, int]:
        """F and the shift that turn a centred input into `2^-bits` LSB of the output."""
        fraction, exponent = fraction_q15(self.ratio)
        return fraction, 15 - self.bits - exponent

    def difference(self, q: np.ndarray, x: np.ndarray) -> np.ndarray:
        """`d` int64 of an output int8 and its input, which has as many values."""
        factor, shift = self.factor
        wanted = rshift((x.astype(np.int64).reshape(q.shape) - self.x.zero_point[0]) * factor, shift)
        return saturate((q.astype(np.int64) - self.y.zero_point[0]) * 2**self.bits - wanted, 16)


def scales_of(op: Op, graph: Graph) -> Scales:
    """Of a loss op."""
    exact = graph.tensors[op.outputs[0]].dtype == "float32"
    return Scales(tensor_quant(graph, op.inputs[0]), tensor_quant(graph, op.inputs[1]), exact)


def reconstruction_gradient(q: np.ndarray, x: np.ndarray, scales: Scales) -> Gradient:
    """d mean((y - x)^2) / d real y."""
    factor, exponent = mse_factor(scales.y.scale[0], q.size)
    values = saturate(rshift(2 * scales.difference(q, x) * factor, 15), 16).astype(np.int16)
    return Gradient(values, exponent - scales.bits)


def reconstruction_gradient_f32(q: np.ndarray, x: np.ndarray, scales: Scales) -> np.ndarray:
    """The same in float32."""
    y = (q.astype(np.int64) - scales.y.zero_point[0]).astype(np.float32) * np.float32(scales.y.scale[0])
    t = (x.astype(np.int64) - scales.x.zero_point[0]).astype(np.float32) * np.float32(scales.x.scale[0])
    result: np.ndarray = (y - t.reshape(q.shape)) * np.float32(2 / q.size)
    return result


def reconstruction_error(q: np.ndarray, x: np.ndarray, scales: Scales) -> float:
    """mean((y - x)^2) in real units: the loss, and how strange an input is."""
    squares = float((scales.difference(q, x) ** 2).sum())
    return squares * scales.y.scale[0] ** 2 / (q.size * 4.0**scales.bits)


def _reference(op: Op, graph: Graph, q: np.ndarray, x: np.ndarray) -> np.ndarray:
    quant = tensor_quant(graph, op.inputs[1])
    wanted = quant.scale[0] * (x.astype(np.float64).reshape(q.shape) - quant.zero_point[0])
    result: np.ndarray = 2 * (real_logits(op, graph, q) - wanted) / q.size
    return result


def reconstruction_struct(e: Emitter, op: Op) -> str:
    """The C++ struct that says how both are quantised."""
    scales, n = scales_of(op, e.graph), e.tensor(op.inputs[0]).size
    factor, exponent = mse_factor(scales.y.scale[0], n)
    ratio, shift = scales.factor
    rows = (
        f"{factor}, {exponent},  // factor, exponent",
        f"{e.zero(op.inputs[0])}, {e.zero(op.inputs[1])}, {ratio}, {shift},  // y_zero, x_zero, ratio, shift",
    )
    return e.struct("Reconstruction", "reconstruction", rows)


def reconstruction_kernel(e: Emitter, op: Op, what: str) -> tuple[str, tuple[object, ...]]:
    """The name of the kernel that gives `what`, and its first arguments."""
    struct, bits = reconstruction_struct(e, op), scales_of(op, e.graph).bits
    if bits == FRACTION_BITS:
        return f"reconstruction_{what}_s8", (struct,)
    return f"reconstruction_{what}_coarse_s8", (struct, bits)


def error_text(e: Emitter, op: Op) -> str:
    """The error in real units, from `observed`."""
    scale, n = tensor_quant(e.graph, op.inputs[0]).scale[0], e.tensor(op.inputs[0]).size
    unit = literal("float", math.ldexp(scale * scale / n, -2 * scales_of(op, e.graph).bits))
    return f"static_cast<float>(observed) * {unit}"


def _tensors(e: Emitter, op: Op) -> tuple[object, ...]:
    q, x = op.inputs
    return e.at(q, "s8"), e.at(x, "s8"), e.tensor(q).size


def _call(e: Emitter, op: Op) -> list[str]:
    name, first = reconstruction_kernel(e, op, "error")
    args = (*_tensors(e, op), e.at(op.outputs[0], "s16"), e.scale(op), "&observed")
    return kernel_call(name, *first, *args)


def _call_f32(e: Emitter, op: Op) -> list[str]:
    scales, n = scales_of(op, e.graph), e.tensor(op.inputs[0]).size
    factors = (literal("float", value) for value in (scales.y.scale[0], scales.x.scale[0], 2 / n))
    args = (*factors, *_tensors(e, op), e.at(op.outputs[0], "f32"), "&observed")
    return kernel_call("reconstruction_error_f32", reconstruction_struct(e, op), *args)


RECONSTRUCTION = LossKind(
    target="input",
    run=lambda op, graph, q, x: reconstruction_gradient(q, x, scales_of(op, graph)),
    run_f32=lambda op, graph, q, x: reconstruction_gradient_f32(q, x, scales_of(op, graph)),
    reference=_reference,
    value=lambda op, graph, q, x: reconstruction_error(q, x, scales_of(op, graph)),
    call=_call,
    call_f32=_call_f32,
    observed="uint64_t",
    text=error_text,
)
