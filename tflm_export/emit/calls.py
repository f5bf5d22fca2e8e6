"""One kernel call an op, as C++ text, gradients in int16; `CALLS` is the whole list."""

from __future__ import annotations

import math
from collections.abc import Callable

from tflm_export.emit import structs
from tflm_export.emit.engine import Engine
from tflm_export.emit.names import ring_symbol
from tflm_export.errors import ExportError
from tflm_export.geometry import Geometry
from tflm_export.gradients.arithmetic import fraction_q15
from tflm_export.gradients.loss import exp_table, mse_factor
from tflm_export.ir import Op
from tflm_export.memory.scratch import is_pointwise
from tflm_export.memory.stream import rings
from tflm_export.ops.broadcast import reduce, spread
from tflm_export.ops.check import where
from tflm_export.ops.result import tensor_quant

Call = Callable[[Engine, Op, bool], list[str]]


def kernel_call(name: str, *arguments: object) -> list[str]:
    """`tfodl::name(arguments);`."""
    return [f"tfodl::{name}({', '.join(map(str, arguments))});"]


def _mask(e: Engine, op: Op, masks: bool) -> str:
    return e.at(op.outputs[1], "bits") if masks and len(op.outputs) > 1 else "nullptr"


def elements(e: Engine, op: Op) -> int:
    """Size of what the op writes."""
    return e.tensor(op.outputs[0]).size


def layer_kernel(e: Engine, layer: Op) -> str:
    """Which family of kernels runs a layer: conv, pointwise, depthwise, fully_connected."""
    geometry = Geometry.of(layer, e.graph)
    if layer.kind == "FULLY_CONNECTED" and geometry.out_shape[:2] == (1, 1):
        return "fully_connected"
    if geometry.depthwise:
        return "depthwise"
    return "pointwise" if is_pointwise(geometry) else "conv"


def _layer(e: Engine, op: Op, masks: bool) -> list[str]:
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    name = f"{layer_kernel(e, op)}_s8"
    return kernel_call(name, structs.conv(e, op), x, y, _mask(e, op, masks), e.scratch(op))


def _whole(e: Engine, op: Op) -> bool:
    """Whether no operand of ADD, SUB or MUL is broadcast."""
    return {e.tensor(name).size for name in op.inputs} == {elements(e, op)}


def spread_text(e: Engine, op: Op, position: int) -> str:
    """The `Spread` of an operand of forward op `op`."""
    shapes = [e.tensor(name).shape for name in (*op.inputs, op.outputs[0])]
    if op.kind == "REPEAT_CHANNELS":
        return f"{{{op.attrs['times']}, {math.prod(shapes[0])}}}"
    found = spread(shapes[position], shapes[-1])
    if found is None:
        raise ExportError(
            f"{where(op)}: broadcasting {list(shapes[position])} to {list(shapes[-1])} is not supported; "
            "allowed: along the first and along the last axes. Repeat the operand in the model, or "
            "reorder its axes."
        )
    return f"{{{found[0]}, {found[1]}}}"


def _elementwise(e: Engine, op: Op, masks: bool) -> list[str]:
    """ADD, SUB, MUL."""
    struct = structs.requantize(e, op) if op.kind == "MUL" else structs.add(e, op)
    operands: list[str] = [e.at(name, "s8") for name in op.inputs]
    if not _whole(e, op):
        operands = [text for i, at in enumerate(operands) for text in (at, spread_text(e, op, i))]
    name = f"{op.kind.lower()}_s8" if _whole(e, op) else f"{op.kind.lower()}_broadcast_s8"
    args = (elements(e, op), e.at(op.outputs[0], "s8"), _mask(e, op, masks))
    return kernel_call(name, struct, *operands, *args)


def _repeat(e: Engine, op: Op, masks: bool) -> list[str]:
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("repeat_s8", x, spread_text(e, op, 0), elements(e, op), y)


def _requantize(e: Engine, op: Op, masks: bool) -> list[str]:
    x, y, n = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8"), elements(e, op)
    name = "requantize_s8" if op.kind == "QUANTIZE" else "relu_s8"
    return kernel_call(name, structs.requantize(e, op), x, n, y, _mask(e, op, masks))


def _lookup(e: Engine, op: Op, masks: bool) -> list[str]:
    table = e.tables.add("int8_t", f"{op.kind.lower()}{e.index(op)}", op.attrs["table"])
    name = "logistic_s8" if op.kind == "LOGISTIC" else "lookup_s8"
    return kernel_call(name, table, e.at(op.inputs[0], "s8"), elements(e, op), e.at(op.outputs[0], "s8"))


def _softmax(e: Engine, op: Op, masks: bool) -> list[str]:
    n = e.tensor(op.inputs[0]).shape[-1]
    table = e.tables.add("int32_t", f"softmax{e.index(op)}", op.attrs["exp"])
    rows, x, y = elements(e, op) // n, e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("softmax_s8", table, x, rows, n, y)


def reduce_text(e: Engine, op: Op) -> str:
    """The `Reduce` of a MEAN."""
    shape = e.tensor(op.inputs[0]).shape
    found = reduce(shape, op.attrs["axes"])
    if found is None:
        raise ExportError(
            f"{where(op)}: axes {op.attrs['axes']} of {list(shape)} are not supported; allowed: at most two "
            "stretches of neighbouring axes."
        )
    return f"{{{', '.join(map(str, found))}}}"


def _mean(e: Engine, op: Op, masks: bool) -> list[str]:
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("mean_s8", structs.requantize(e, op), reduce_text(e, op), x, y)


def _pool(e: Engine, op: Op, masks: bool) -> list[str]:
    name = "max_pool_s8" if op.kind == "MAX_POOL_2D" else "average_pool_s8"
    return kernel_call(name, structs.pool(e, op), e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8"))


def _pad(e: Engine, op: Op, masks: bool) -> list[str]:
    return kernel_call("pad_s8", structs.pad(e, op), e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8"))


def blocks(e: Engine, op: Op, position: int) -> tuple[int, int, int, int]:
    """outer, inner, total, offset of one input of a CONCATENATION."""
    axis, shapes = op.attrs["axis"], [e.tensor(name).shape for name in op.inputs]
    inners = [math.prod(s[axis:]) for s in shapes]
    outer = math.prod(shapes[0][:axis])
    return outer, inners[position], sum(inners), sum(inners[:position])


def _concatenation(e: Engine, op: Op, masks: bool) -> list[str]:
    lines = []
    for position, name in enumerate(op.inputs):
        shape = blocks(e, op, position)
        lines += kernel_call("concatenation_s8", e.at(name, "s8"), *shape, e.at(op.outputs[0], "s8"))
    return lines


def _gather(e: Engine, op: Op, masks: bool) -> list[str]:
    x, channels = e.tensor(op.inputs[0]), op.attrs["channels"]
    table = e.tables.add("int16_t", f"channels{e.index(op)}", channels)
    of, y = op.attrs["of"], e.at(op.outputs[0], "s8")
    args = (e.at(op.inputs[0], "s8"), x.size // of, of, table, len(channels), y)
    return kernel_call("gather_channels_s8", *args)


def _crossentropy(e: Engine, op: Op, masks: bool) -> list[str]:
    q = op.inputs[0]
    table = e.tables.add("uint32_t", "loss_exp", exp_table(tensor_quant(e.graph, q).scale[0]))
    args = (e.at(q, "s8"), e.tensor(q).size, "label", e.at(op.outputs[0], "s16"), e.scale(op), "&observed")
    return kernel_call("softmax_cross_entropy_s8", table, *args)


def _mse(e: Engine, op: Op, masks: bool) -> list[str]:
    q = op.inputs[0]
    n = e.tensor(q).size
    factor, exponent = mse_factor(tensor_quant(e.graph, q).scale[0], n)
    args = (e.at(q, "s8"), "target", n, e.at(op.outputs[0], "s16"), e.scale(op), "&observed")
    return kernel_call("mean_squared_error_s8", factor, exponent, *args)


def _layer_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    layer = e.layer(op)
    name = f"{layer_kernel(e, layer)}_input_grad_s16"
    g, mask, _ = op.inputs
    args = (e.at(g, "s16"), e.exponent(g), e.at(mask, "bits"), e.at(op.outputs[0], "s16"), e.scale(op))
    call = kernel_call(name, structs.conv(e, layer), structs.conv_grad(e, op), *args, e.scratch(op))
    return [structs.factors(e, op), *call]


def _add_gradients(e: Engine, op: Op, masks: bool) -> list[str]:
    pairs = [text for g in op.inputs for text in (e.at(g, "s16"), e.exponent(g))]
    return kernel_call("add_grads_s16", *pairs, elements(e, op), e.at(op.outputs[0], "s16"), e.scale(op))


def _mask_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    name = "negate_grad_s16" if op.kind == "NEGATE_GRADIENT" else "mask_grad_s16"
    g, mask = op.inputs
    return kernel_call(name, e.at(g, "s16"), e.at(mask, "bits"), elements(e, op), e.at(op.outputs[0], "s16"))


def _product_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    g, mask, partner = op.inputs
    factor, exponent = fraction_q15(tensor_quant(e.graph, partner).scale[0])
    args = (e.zero(partner), e.at(partner, "s8"), e.at(g, "s16"), e.exponent(g), e.at(mask, "bits"))
    result, layer = (e.at(op.outputs[0], "s16"), e.scale(op)), e.layer(op)
    if _whole(e, layer):
        return kernel_call("mul_input_grad_s16", factor, exponent, *args, elements(e, op), *result)
    position = op.attrs["position"]
    own, other = (spread_text(e, layer, i) for i in (position, 1 - position))
    spread = (*args[:2], other, *args[2:], e.tensor(g).size, own)
    return kernel_call("mul_broadcast_input_grad_s16", factor, exponent, *spread, *result)


def _logistic_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    g, y = op.inputs
    args = (e.at(y, "s8"), e.at(g, "s16"), e.exponent(g), elements(e, op), e.at(op.outputs[0], "s16"))
    return kernel_call("logistic_input_grad_s16", *args, e.scale(op))


def _mean_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    g, layer = op.inputs[0], e.layer(op)
    factor, exponent = fraction_q15(1 / layer.attrs["count"])
    args = (e.at(g, "s16"), e.exponent(g), reduce_text(e, layer), e.at(op.outputs[0], "s16"), e.scale(op))
    return kernel_call("mean_input_grad_s16", factor, exponent, *args)


def _sum_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    (g, mask), spread_of = op.inputs, spread_text(e, e.layer(op), op.attrs["position"])
    args = (e.at(g, "s16"), e.exponent(g), e.at(mask, "bits"), e.tensor(g).size, spread_of)
    return kernel_call("sum_grad_s16", op.attrs["sign"], *args, e.at(op.outputs[0], "s16"), e.scale(op))


def _lookup_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    g, x = op.inputs
    slope = e.tables.add("int16_t", f"slope{e.index(op)}", e.layer(op).attrs["slope"])
    args = (e.at(x, "s8"), e.at(g, "s16"), e.exponent(g), elements(e, op), e.at(op.outputs[0], "s16"))
    return kernel_call("lookup_input_grad_s16", slope, *args, e.scale(op))


def _average_pool_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    g, layer = op.inputs[0], e.layer(op)
    args = (e.at(g, "s16"), e.exponent(g), e.at(op.outputs[0], "s16"), e.scale(op))
    return kernel_call(
        "average_pool_input_grad_s16", structs.pool(e, layer), *structs.pool_factors(e, layer), *args
    )


def _max_pool_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    g, x = op.inputs
    args = (e.at(x, "s8"), e.at(g, "s16"), e.exponent(g), e.at(op.outputs[0], "s16"), e.scale(op))
    return kernel_call("max_pool_input_grad_s16", structs.pool(e, e.layer(op)), *args)


def _pad_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    pad = structs.pad(e, e.layer(op))
    return kernel_call("pad_input_grad_s16", pad, e.at(op.inputs[0], "s16"), e.at(op.outputs[0], "s16"))


def _concatenation_gradient(e: Engine, op: Op, masks: bool) -> list[str]:
    shape = blocks(e, e.layer(op), op.attrs["position"])
    args = (e.at(op.inputs[0], "s16"), *shape, e.at(op.outputs[0], "s16"))
    return kernel_call("concatenation_input_grad_s16", *args)


def _weights_update(e: Engine, op: Op, masks: bool) -> list[str]:
    layer, variable = e.layer(op), e.variable(op.inputs[3])
    assert variable is not None
    g, mask, x, _ = op.inputs
    kernel = {
        "CONV_2D_WEIGHTS_UPDATE": "conv_weights_update_s8",
        "FULLY_CONNECTED_WEIGHTS_UPDATE": "fully_connected_weights_update_s8",
        "DEPTHWISE_CONV_2D_WEIGHTS_UPDATE": "depthwise_weights_update_s8",
    }.get(op.kind, "conv_columns_update_s8")
    if kernel.startswith("fully") and layer_kernel(e, layer) == "pointwise":
        kernel = "conv_weights_update_s8"
    args = [structs.conv(e, layer), e.at(x, "s8"), e.at(g, "s16"), e.exponent(g), e.at(mask, "bits")]
    args += ["sgd", structs.update_state(e, variable), f"w{e.index(op)}"]
    if kernel != "fully_connected_weights_update_s8":
        args.append(e.scratch(op))
    return [structs.rates(e, variable), *kernel_call(kernel, *args)]


def _bias_update(e: Engine, op: Op, masks: bool) -> list[str]:
    variable = e.variable(op.inputs[2])
    assert variable is not None
    g, mask, bias = op.inputs
    channels = e.tensor(bias).size
    args = (e.at(g, "s16"), e.exponent(g), e.at(mask, "bits"), e.tensor(g).size // channels, channels, "sgd")
    call = kernel_call("bias_update_s32", *args, structs.update_state(e, variable), f"b{e.index(op)}")
    return [structs.rates(e, variable), *call]


def _stream(e: Engine, op: Op, masks: bool) -> list[str]:
    """A block with its stages on the stack, and one call."""
    stages, residual = op.attrs["stages"], op.attrs["residual"]
    rows = [f"      {_stage(e, op, i, masks)}," for i in range(len(stages))]
    lines = ["{", "  const tfodl::Stage stages[] = {", *rows, "  };"]
    if residual is not None:
        lines.append(f"  const tfodl::Residual residual = {_residual(e, op, masks)};")
    x, pointer = e.at(op.inputs[0], "s8"), "nullptr" if residual is None else "&residual"
    call = kernel_call("stream_s8", "stages", len(stages), x, pointer, e.scratch(op))
    return [*lines, f"  {call[0]}", "}"]


def _stage(e: Engine, op: Op, i: int, masks: bool) -> str:
    stage = op.attrs["stages"][i]
    conv = structs.conv(e, stage)
    kind = {"conv": "kConv", "pointwise": "kPointwise", "depthwise": "kDepthwise"}[layer_kernel(e, stage)]
    rows, _ = rings(op, e.graph)[i]
    ring = f"s8(at::{ring_symbol(op, i)})" if rows else e.at(stage.outputs[0], "s8")
    rows = rows or Geometry.of(stage, e.graph).out_shape[0]
    kept = next((k for k in op.attrs["kept"] if masks and k.inputs[0] == stage.outputs[0]), None)
    saved = "nullptr, nullptr, 0"
    if kept is not None:
        table = e.tables.add("int16_t", f"channels{e.index(kept)}", kept.attrs["channels"])
        saved = f"{e.at(kept.outputs[0], 's8')}, {table}, {len(kept.attrs['channels'])}"
    head = f"tfodl::StageKind::{kind}, &{conv}, {{{ring}, {rows}}}, {op.attrs['steps'][i]}"
    return f"{{{head}, {_mask(e, stage, masks)}, {saved}}}"


def _residual(e: Engine, op: Op, masks: bool) -> str:
    """The ADD of the last stage's output (first operand of the struct) and the skip."""
    add, last = op.attrs["residual"], op.attrs["stages"][-1].outputs[0]
    skip = next(name for name in add.inputs if name != last)
    struct = structs.add(e, add, swapped=add.inputs[0] != last)
    return f"{{&{struct}, {e.at(skip, 's8')}, {e.at(add.outputs[0], 's8')}, {_mask(e, add, masks)}}}"


CALLS: dict[str, Call] = {
    "STREAM": _stream,
    "ADD": _elementwise,
    "AVERAGE_POOL_2D": _pool,
    "CONCATENATION": _concatenation,
    "CONV_2D": _layer,
    "DEPTHWISE_CONV_2D": _layer,
    "FULLY_CONNECTED": _layer,
    "HARD_SWISH": _lookup,
    "LEAKY_RELU": _lookup,
    "LOGISTIC": _lookup,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "MUL": _elementwise,
    "PAD": _pad,
    "PADV2": _pad,
    "QUANTIZE": _requantize,
    "RELU": _requantize,
    "RELU6": _requantize,
    "RELU_N1_TO_1": _requantize,
    "REPEAT_CHANNELS": _repeat,
    "SOFTMAX": _softmax,
    "SUB": _elementwise,
    "TANH": _lookup,
    "GATHER_CHANNELS": _gather,
    "SOFTMAX_CROSSENTROPY": _crossentropy,
    "MEAN_SQUARED_ERROR": _mse,
    "ADD_GRADIENTS": _add_gradients,
    "AVERAGE_POOL_2D_INPUT_GRADIENT": _average_pool_gradient,
    "CONCATENATION_INPUT_GRADIENT": _concatenation_gradient,
    "CONV_2D_INPUT_GRADIENT": _layer_gradient,
    "DEPTHWISE_CONV_2D_INPUT_GRADIENT": _layer_gradient,
    "FULLY_CONNECTED_INPUT_GRADIENT": _layer_gradient,
    "LOGISTIC_INPUT_GRADIENT": _logistic_gradient,
    "LOOKUP_INPUT_GRADIENT": _lookup_gradient,
    "MASK_GRADIENT": _mask_gradient,
    "MAX_POOL_2D_INPUT_GRADIENT": _max_pool_gradient,
    "MEAN_INPUT_GRADIENT": _mean_gradient,
    "MUL_INPUT_GRADIENT": _product_gradient,
    "NEGATE_GRADIENT": _mask_gradient,
    "PAD_INPUT_GRADIENT": _pad_gradient,
    "SUM_GRADIENT": _sum_gradient,
    "BIAS_UPDATE": _bias_update,
    "CONV_2D_COLUMNS_UPDATE": _weights_update,
    "CONV_2D_WEIGHTS_UPDATE": _weights_update,
    "DEPTHWISE_CONV_2D_WEIGHTS_UPDATE": _weights_update,
    "FULLY_CONNECTED_COLUMNS_UPDATE": _weights_update,
    "FULLY_CONNECTED_WEIGHTS_UPDATE": _weights_update,
}
