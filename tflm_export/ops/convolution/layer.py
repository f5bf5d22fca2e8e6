"""What the three kinds of layers share: weights, bias, requantisation per output channel, their C++."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.geometry import Geometry
from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.kind import Emitter
from tflm_export.ops.requantize import activation_range, quantize_multipliers, requantize
from tflm_export.ops.result import Result, Values, clamped, operand, output_quant, tensor_quant
from tflm_export.ops.text import clip_mask, kernel_call
from tflm_export.variable import Variable

STRIDES = {"stride_h": "StrideH", "stride_w": "StrideW", "padding": "Padding"}
DILATION = {"dilation_h": "DilationHFactor", "dilation_w": "DilationWFactor"}


def requantisation(op: Op, tensors: check.Tensors, axis: int, products: int) -> dict[str, Any]:
    """`multiplier`, `shift` [O], `act_min`, `act_max` of a layer with weights and bias."""
    (_, qx), (_, qy) = (
        check.activation(op, tensors, op.inputs[0]),
        check.activation(op, tensors, op.outputs[0]),
    )
    scales = weight_scales(op, tensors, axis)
    bias = bias_data(op, tensors, len(scales))
    multiplier, shift = quantize_multipliers([qx.scale[0] * s / qy.scale[0] for s in scales])
    largest = products * 255 * 128 + int(np.abs(bias.astype(np.int64)).max(initial=0))
    check.headroom(op, largest, shift)
    act_min, act_max = activation_range(check.fused(op), qy)
    return {"multiplier": multiplier, "shift": shift, "act_min": act_min, "act_max": act_max}


def weight_scales(op: Op, tensors: check.Tensors, axis: int) -> tuple[float, ...]:
    """One scale an output channel; checks constant, symmetric int8 weights."""
    weights = tensors[op.inputs[1]]
    check.constant(op, tensors, weights.name, "int8")
    quant, outputs = weights.quant, weights.shape[axis]
    check.require(quant is not None, op, f"weights {weights.name!r} have no scale.")
    assert quant is not None
    check.require(not any(quant.zero_point), op, f"weights {weights.name!r} must have zero point 0.")
    if len(quant.scale) == 1:
        return quant.scale * outputs
    ok = len(quant.scale) == outputs and quant.axis == axis
    check.require(
        ok, op, f"weights {weights.name!r} have {len(quant.scale)} scales along axis {quant.axis}; "
        f"expected {outputs} along axis {axis}."
    )  # fmt: skip
    return quant.scale


def bias_data(op: Op, tensors: check.Tensors, outputs: int) -> np.ndarray:
    """The bias [O] int32; zeros when there is none."""
    if not op.bias:
        return np.zeros(outputs, np.int32)
    bias = check.constant(op, tensors, op.bias, "int32")
    check.require(bias.size == outputs, op, f"bias has {bias.size} values; expected {outputs}.")
    return bias


def finish(op: Op, graph: Graph, values: Values, acc: np.ndarray) -> Result:
    """Add the bias to sums [N, ..., O] (float64 holding integers), requantise, clamp."""
    acc = acc.astype(np.int64)
    if op.bias:
        acc = acc + operand(graph, values, op.bias).reshape(-1)
    raw = requantize(acc, op.attrs["multiplier"], op.attrs["shift"]) + output_quant(op, graph).zero_point[0]
    return clamped(op, acc, raw)


def weight_scale(op: Op, graph: Graph) -> np.ndarray:
    """Real scale of the weights, float64 [O]: the float32 of the file, one an output channel."""
    scale = np.array(tensor_quant(graph, op.inputs[1]).scale)
    return np.broadcast_to(scale, Geometry.of(op, graph).out_shape[2:]).copy()


def layer_kernel(e: Emitter, layer: Op) -> str:
    """Which family of kernels runs a layer: conv, pointwise, depthwise, fully_connected."""
    geometry = Geometry.of(layer, e.graph)
    if layer.kind == "FULLY_CONNECTED" and geometry.out_shape[:2] == (1, 1):
        return "fully_connected"
    if geometry.depthwise:
        return "depthwise"
    return "pointwise" if geometry.pointwise else "conv"


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel, by the layer's geometry."""
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    ends = (x, y, clip_mask(e, op, masks), e.scratch(op))
    if "pixels" in op.attrs:
        return kernel_call("pointwise_pixels_s8", conv_struct(e, op), op.attrs["pixels"], *ends)
    return kernel_call(f"{layer_kernel(e, op)}_s8", conv_struct(e, op), *ends)


def conv_struct(e: Emitter, op: Op) -> str:
    """`constexpr tfodl::Conv conv3`; its name is returned."""
    g, a, i = Geometry.of(op, e.graph), op.attrs, op.label
    if a.get("depth_multiplier", 1) != 1:
        raise ExportError(
            f"{check.where(op)}: depth multiplier {a['depth_multiplier']} is not supported; allowed: 1."
        )
    weights = _weights(e, op)
    bias = _bias(e, op, g.out_shape[2])
    multiplier = e.tables.add("int32_t", f"multiplier{i}", _per_channel(a["multiplier"], g.out_shape[2]))
    shift = e.tables.add("int8_t", f"shift{i}", _per_channel(a["shift"], g.out_shape[2]))
    (h, w, c), (p, q, o) = g.in_shape, g.out_shape
    rows = [
        f"{h}, {w}, {c}, {p}, {q}, {o},  // input, output map",
        f"{g.kernel[0]}, {g.kernel[1]}, {g.stride[0]}, {g.stride[1]}, {g.pad[0]}, {g.pad[1]},"
        "  // kernel, stride, padding before",
        f"{e.zero(op.inputs[0])}, {e.zero(op.outputs[0])}, {a['act_min']}, {a['act_max']},"
        "  // zero points, clamp",
        f"{weights[0]}, {bias}, {multiplier}, {shift},",
        f"{weights[1]}, {weights[2]}, {weights[3]}, {weights[4]},  // slot, trained, columns, n_columns",
    ]
    trained = e.variable(op.inputs[1])
    if trained is None or not trained.pooled:
        return e.struct("Conv", f"conv{i}", rows)
    e.declare(f"tfodl::Conv conv{i} = {e.struct('Conv', f'shape{i}', rows)};")
    return f"conv{i}"


def conv_constant(e: Emitter, op: Op) -> str:
    """The layer's struct where the compiler can read it: of a candidate, whose own changes, the first one."""
    variable = e.variable(op.inputs[1])
    return f"{'shape' if variable is not None and variable.pooled else 'conv'}{op.label}"


def _per_channel(values: object, count: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(values), (count,))


def _bias(e: Emitter, op: Op, outputs: int) -> str:
    """Where the bias is that the kernels read; its table in flash is added unless it lies there packed."""
    table = f"bias{op.label}"
    if op.bias not in e.packed_biases:
        e.tables.add("int32_t", table, bias_data(op, e.graph.tensors, outputs))
    return table if e.variable(op.bias) is None else f"b{op.label}"


def _weights(e: Emitter, op: Op) -> tuple[str, str, str, str, int]:
    """weights, slot, trained, columns, n_columns of the Conv struct."""
    variable, data = e.variable(op.inputs[1]), e.constant(op.inputs[1])
    flash, trained = f"weights{op.label}", f"w{op.label}"
    e.tables.add("int8_t", flash, data)
    if variable is None:
        return flash, "nullptr", "nullptr", "nullptr", 0
    if variable.resident:
        return trained, "nullptr", trained, "nullptr", 0
    if variable.in_pool and variable.axis == 0:
        return flash, f"slot{op.label}", "nullptr", "nullptr", 0
    if variable.in_pool:  # the pool says which columns; the kernels' scratch is for as many as may learn
        return flash, "nullptr", "nullptr", "nullptr", variable.room
    if variable.axis != 0:
        return flash, "nullptr", trained, channel_table(e, variable), len(variable.channels)
    slot = np.full(data.shape[0], -1)
    slot[list(variable.channels)] = np.arange(len(variable.channels))
    return flash, e.tables.add("int16_t", f"slot{op.label}", slot), trained, "nullptr", 0


def channel_table(e: Emitter, variable: Variable) -> str:
    """The table of trained channels; nullptr when all train."""
    if variable.whole:
        return "nullptr"
    name = f"channels{'_b' if variable.bias else ''}{variable.layer.label}"
    return e.tables.add("int16_t", name, variable.channels)
