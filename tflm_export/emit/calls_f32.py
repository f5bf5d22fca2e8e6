"""Kernel calls of the backward pass in float32, one an op; `CALLS` is the whole list."""

from __future__ import annotations

from tflm_export.emit import structs
from tflm_export.emit.calls import Call, blocks, elements, kernel_call, reduce_text, spread_text
from tflm_export.emit.engine import Engine
from tflm_export.emit.tables import literal
from tflm_export.gradients.loss import exp_table_f32
from tflm_export.ir import Op
from tflm_export.ops.result import tensor_quant


def _crossentropy(e: Engine, op: Op, masks: bool) -> list[str]:
    q = op.inputs[0]
    table = e.tables.add("float", "loss_exp", exp_table_f32(tensor_quant(e.graph, q).scale[0]))
    args = (e.at(q, "s8"), e.tensor(q).size, "label", e.at(op.outputs[0], "f32"), "&observed")
    return kernel_call("softmax_cross_entropy_f32", table, *args)


def _mse(e: Engine, op: Op, masks: bool) -> list[str]:
    q = op.inputs[0]
    n = e.tensor(q).size
    factor = literal("float", tensor_quant(e.graph, q).scale[0] / n)
    args = (e.at(q, "s8"), "target", n, e.at(op.outputs[0], "f32"), "&observed")
    return kernel_call("mean_squared_error_f32", factor, *args)


def _layer(e: Engine, op: Op, masks: bool) -> list[str]:
    layer = e.layer(op)
    kind = "depthwise" if layer.kind == "DEPTHWISE_CONV_2D" else "conv"
    args = (structs.conv(e, layer), structs.weight_scales(e, layer), e.at(op.inputs[0], "f32"))
    return kernel_call(f"{kind}_input_grad_f32", *args, e.at(op.outputs[0], "f32"), e.scratch(op))


def _add(e: Engine, op: Op, masks: bool) -> list[str]:
    a, b = (e.at(g, "f32") for g in op.inputs)
    return kernel_call("add_grads_f32", a, b, elements(e, op), e.at(op.outputs[0], "f32"))


def _mask(e: Engine, op: Op, masks: bool) -> list[str]:
    g, mask = op.inputs
    args = (e.at(g, "f32"), e.at(mask, "bits"), elements(e, op), e.at(op.outputs[0], "f32"))
    return kernel_call("mask_grad_f32", *args)


def _negate(e: Engine, op: Op, masks: bool) -> list[str]:
    g, out = e.at(op.inputs[0], "f32"), e.at(op.outputs[0], "f32")
    return kernel_call("negate_grad_f32", g, elements(e, op), out)


def _logistic(e: Engine, op: Op, masks: bool) -> list[str]:
    g, y = op.inputs
    args = (e.at(y, "s8"), e.at(g, "f32"), elements(e, op), e.at(op.outputs[0], "f32"))
    return kernel_call("logistic_input_grad_f32", *args)


def _product(e: Engine, op: Op, masks: bool) -> list[str]:
    (g, _, partner), layer, position = op.inputs, e.layer(op), op.attrs["position"]
    own, other = (spread_text(e, layer, i) for i in (position, 1 - position))
    scale = literal("float", tensor_quant(e.graph, partner).scale[0])
    args = (scale, e.zero(partner), e.at(partner, "s8"), other, e.at(g, "f32"), e.tensor(g).size, own)
    return kernel_call("mul_input_grad_f32", *args, e.at(op.outputs[0], "f32"))


def _sum(e: Engine, op: Op, masks: bool) -> list[str]:
    g, own = op.inputs[0], spread_text(e, e.layer(op), op.attrs["position"])
    args = (op.attrs["sign"], e.at(g, "f32"), e.tensor(g).size, own, e.at(op.outputs[0], "f32"))
    return kernel_call("sum_grad_f32", *args)


def _lookup(e: Engine, op: Op, masks: bool) -> list[str]:
    g, x = op.inputs
    slope = e.tables.add("int16_t", f"slope{e.index(op)}", e.layer(op).attrs["slope"])
    args = (e.at(x, "s8"), e.at(g, "f32"), elements(e, op), e.at(op.outputs[0], "f32"))
    return kernel_call("lookup_input_grad_f32", slope, *args)


def _mean(e: Engine, op: Op, masks: bool) -> list[str]:
    args = (e.at(op.inputs[0], "f32"), reduce_text(e, e.layer(op)), e.at(op.outputs[0], "f32"))
    return kernel_call("mean_input_grad_f32", *args)


def _average_pool(e: Engine, op: Op, masks: bool) -> list[str]:
    args = (structs.pool(e, e.layer(op)), e.at(op.inputs[0], "f32"), e.at(op.outputs[0], "f32"))
    return kernel_call("average_pool_input_grad_f32", *args)


def _max_pool(e: Engine, op: Op, masks: bool) -> list[str]:
    g, x = op.inputs
    args = (structs.pool(e, e.layer(op)), e.at(x, "s8"), e.at(g, "f32"), e.at(op.outputs[0], "f32"))
    return kernel_call("max_pool_input_grad_f32", *args)


def _pad(e: Engine, op: Op, masks: bool) -> list[str]:
    args = (structs.pad(e, e.layer(op)), e.at(op.inputs[0], "f32"), e.at(op.outputs[0], "f32"))
    return kernel_call("pad_input_grad_f32", *args)


def _concatenation(e: Engine, op: Op, masks: bool) -> list[str]:
    shape = blocks(e, e.layer(op), op.attrs["position"])
    args = (e.at(op.inputs[0], "f32"), *shape, e.at(op.outputs[0], "f32"))
    return kernel_call("concatenation_input_grad_f32", *args)


def _weights_update(e: Engine, op: Op, masks: bool) -> list[str]:
    layer, variable = e.layer(op), e.variable(op.inputs[3])
    assert variable is not None
    g, _, x, _ = op.inputs
    depthwise, columns = op.kind.startswith("DEPTHWISE"), op.kind.endswith("COLUMNS_UPDATE")
    kernel = "depthwise_weights" if depthwise else "conv_columns" if columns else "conv_weights"
    args = (structs.conv(e, layer), e.at(x, "s8"), e.at(g, "f32"), "sgd", structs.update_state(e, variable))
    return [structs.rates(e, variable), *kernel_call(f"{kernel}_update_f32", *args, f"w{e.index(op)}")]


def _bias_update(e: Engine, op: Op, masks: bool) -> list[str]:
    variable = e.variable(op.inputs[2])
    assert variable is not None
    g, _, bias = op.inputs
    channels = e.tensor(bias).size
    args = (e.at(g, "f32"), e.tensor(g).size // channels, channels, "sgd", structs.update_state(e, variable))
    return [structs.rates(e, variable), *kernel_call("bias_update_f32", *args, f"b{e.index(op)}")]


CALLS: dict[str, Call] = {
    "SOFTMAX_CROSSENTROPY": _crossentropy,
    "MEAN_SQUARED_ERROR": _mse,
    "ADD_GRADIENTS": _add,
    "AVERAGE_POOL_2D_INPUT_GRADIENT": _average_pool,
    "CONCATENATION_INPUT_GRADIENT": _concatenation,
    "CONV_2D_INPUT_GRADIENT": _layer,
    "DEPTHWISE_CONV_2D_INPUT_GRADIENT": _layer,
    "FULLY_CONNECTED_INPUT_GRADIENT": _layer,
    "LOGISTIC_INPUT_GRADIENT": _logistic,
    "LOOKUP_INPUT_GRADIENT": _lookup,
    "MASK_GRADIENT": _mask,
    "MAX_POOL_2D_INPUT_GRADIENT": _max_pool,
    "MEAN_INPUT_GRADIENT": _mean,
    "MUL_INPUT_GRADIENT": _product,
    "NEGATE_GRADIENT": _negate,
    "PAD_INPUT_GRADIENT": _pad,
    "SUM_GRADIENT": _sum,
    "BIAS_UPDATE": _bias_update,
    "CONV_2D_COLUMNS_UPDATE": _weights_update,
    "CONV_2D_WEIGHTS_UPDATE": _weights_update,
    "DEPTHWISE_CONV_2D_WEIGHTS_UPDATE": _weights_update,
    "FULLY_CONNECTED_COLUMNS_UPDATE": _weights_update,
    "FULLY_CONNECTED_WEIGHTS_UPDATE": _weights_update,
}
