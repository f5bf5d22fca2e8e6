"""Exact gradient sums of trained weights and biases, and the calls that update them.

Arrays as in gradient.py: integers in float64, or float32 in the order of the board's kernels.
"""

from __future__ import annotations

import numpy as np

from tflm_export.cpp import literal
from tflm_export.geometry import Geometry
from tflm_export.ir import Op
from tflm_export.ops import ordered
from tflm_export.ops.call import Call, Mask, gate
from tflm_export.ops.convolution import scratch
from tflm_export.ops.convolution.gradient import real_type
from tflm_export.ops.convolution.layer import channel_table, conv_struct, layer_kernel
from tflm_export.ops.convolution.rates import rate_factor
from tflm_export.ops.kind import Emitter, UpdateKind
from tflm_export.ops.result import tensor_quant
from tflm_export.ops.text import kernel_call
from tflm_export.plan import Optimizer
from tflm_export.variable import Variable

STATE_BYTES = {"batch": 4, "momentum": 4, "accumulator": 2}  # of one parameter


def weight_sums(g: np.ndarray, x: np.ndarray, geometry: Geometry) -> np.ndarray:
    """`sum g x` over the output map: g [P, Q, O], x [H, W, C] -> [O, k_h, k_w, C], or [1, k_h, k_w, C].

    `x` has its zero point taken off already and may hold some of the input channels only.
    """
    (h, w, _), (top, left) = geometry.in_shape, geometry.pad
    height, width = geometry.padded
    dtype = real_type(g)
    x = np.pad(x.astype(dtype), ((top, height - h - top), (left, width - w - left), (0, 0)))
    channels, outputs = x.shape[2], g.shape[2]
    g = g.astype(dtype).reshape(-1, outputs)
    out: np.ndarray = np.zeros((1 if geometry.depthwise else outputs, *geometry.kernel, channels), dtype)
    for ky, kx, pixels in geometry.taps():
        seen = x[pixels].reshape(-1, channels)
        if geometry.depthwise:
            out[0, ky, kx] = ordered.total(g * seen)
        else:
            out[:, ky, kx] = ordered.outer(g, seen) if dtype == np.float32 else g.T @ seen
    return out


def weight_gradient(call: Call, g: np.ndarray, passing: Mask, x: np.ndarray) -> np.ndarray:
    """`A_W` of the trained weights, exact in float64; in float32 where g is.

    Shape: rows `[n, k_h, k_w, C]`, columns `[O, k_h, k_w, n]`, depthwise `[1, k_h, k_w, n]`.
    g: values of the output's gradient. x: int8 input, or only its trained channels (columns, depthwise).
    """
    op, channels = call.forward, list(call.op.attrs["channels"])
    geometry = Geometry.of(op, call.graph)
    g = gate(g, passing).reshape(geometry.out_shape)
    x = x.astype(np.float64).reshape(*geometry.in_shape[:2], -1)
    x = x - tensor_quant(call.graph, op.inputs[0]).zero_point[0]
    by_input = call.op.attrs["along"] != 0
    if by_input and x.shape[2] != len(channels):
        x = x[:, :, channels]
    if geometry.depthwise or not by_input:
        g = g[:, :, channels]
    return weight_sums(g, x, geometry)


def bias_gradient(call: Call, g: np.ndarray, passing: Mask) -> np.ndarray:
    """`A_b` [n] of the trained biases, exact in float64, in float32 where g is; `g` [..., O]."""
    g = gate(g, passing).astype(real_type(g))
    return ordered.total(g.reshape(-1, g.shape[-1]))[list(call.op.attrs["channels"])]


def momentum_q15(optimizer: Optimizer) -> int:
    """The plan's momentum in Q15, 0..32767."""
    return min(32767, int(np.floor(optimizer.momentum * 2**15 + 0.5)))


def state_arrays(optimizer: Optimizer, variable: Variable) -> dict[str, bool]:
    """Which state arrays the optimizer keeps for a trained tensor."""
    return _arrays(optimizer, variable.bias)


def state_bytes(optimizer: Optimizer, bias: bool) -> int:
    """Bytes that the optimizer keeps of one trained weight or bias."""
    return sum(STATE_BYTES[name] for name, on in _arrays(optimizer, bias).items() if on)


def _arrays(optimizer: Optimizer, bias: bool) -> dict[str, bool]:
    return {
        "batch": optimizer.batch > 1,
        "momentum": momentum_q15(optimizer) > 0,
        "accumulator": optimizer.rounding == "accumulator" and not bias,
    }


def _state(e: Emitter, op: Op, variable: Variable) -> str:
    """The UpdateState `update_w3`: in flash, for all that it holds is known; its name is returned."""
    symbol = f"{'b' if variable.bias else 'w'}{op.label}"
    if variable.pooled:  # the pool says which channels learn, and where their state lies
        first = f"{e.rates_address(op)}, nullptr, nullptr, nullptr, {op.attrs['tensor']}, nullptr, 0"
        e.declare(f"tfodl::UpdateState update_{symbol} = {{{first}}};")
        return f"update_{symbol}"
    arrays = state_arrays(e.plan.optimizer, variable).items()
    rows = [
        f"{e.rates_address(op)},  // rates",
        ", ".join(f"{kind}_{symbol}" if on else "nullptr" for kind, on in arrays) + ",",
        f"{op.attrs['tensor']}, {channel_table(e, variable)}, {len(variable.channels)},"
        "  // number of the tensor, channels",
    ]
    return e.struct("UpdateState", f"update_{symbol}", rows, constant=False)


def _rates(e: Emitter, op: Op, layer: Op) -> list[str]:
    """The call that computes the steps per unit of learning rate of every output channel."""
    factor, inverse = rate_factor(op, layer, e.graph, e.plan.optimizer.qas)
    arguments = (literal("float", float(factor)), str(inverse).lower(), e.rates(op))
    return kernel_call("update_rates", conv_struct(e, layer), *arguments)


def _variable(e: Emitter, op: Op) -> Variable:
    variable = e.variable(op.inputs[-1])
    assert variable is not None, op.name
    return variable


def weights_kernel(e: Emitter, op: Op, variable: Variable) -> str:
    """Which kernel updates the weights: conv, conv_columns, depthwise or fully_connected."""
    kernel = layer_kernel(e, e.layer(op))
    if kernel == "depthwise" or variable.axis != 0:
        return "depthwise" if kernel == "depthwise" else "conv_columns"
    return "fully_connected" if kernel == "fully_connected" else "conv"


def _weights(e: Emitter, op: Op) -> list[str]:
    layer, variable = e.layer(op), _variable(e, op)
    g, mask, x, _ = op.inputs
    kernel = weights_kernel(e, op, variable)
    name = "conv_columns_update_s8" if kernel == "conv_columns" else f"{kernel}_weights_update_s8"
    args = [conv_struct(e, layer), e.at(x, "s8"), e.at(g, "s16"), e.exponent(g), e.at(mask, "bits")]
    state, weights = _state(e, op, variable), f"w{op.label}"
    gather: list[str] = []
    if variable.in_pool:
        weights = f"conv{op.label}.trained"
    elif variable.pooled:
        gather, args[1] = _gather(e, op, layer, state)
    args += ["sgd", state, weights]
    if kernel != "fully_connected":
        args.append(e.scratch(op))
    return _where_any(variable, state, [*gather, *_rates(e, op, layer), *kernel_call(name, *args)])


def _gather(e: Emitter, op: Op, layer: Op, state: str) -> tuple[list[str], str]:
    """The call that lays the chosen channels of a depthwise layer's input side by side behind the scratch,
    and where they are."""
    geometry = Geometry.of(layer, e.graph)
    (h, w, depth), nbytes = geometry.in_shape, scratch.depthwise_sums_bytes(geometry)
    to = f"{e.scratch(op).replace('any(', 's8(')} + {nbytes}"
    args = (e.at(op.inputs[2], "s8"), h * w, depth, f"{state}.channels", f"{state}.n", to)
    return kernel_call("gather_channels_s8", *args), to


def _where_any(variable: Variable, state: str, calls: list[str]) -> list[str]:
    """The calls of an update; of a candidate's only where a channel of it learns."""
    if not variable.pooled:
        return calls
    return [f"if ({state}.n > 0) {{", *(f"  {call}" for call in calls), "}"]


def _weights_f32(e: Emitter, op: Op) -> list[str]:
    layer, variable = e.layer(op), _variable(e, op)
    g, _, x, _ = op.inputs
    kernel = weights_kernel(e, op, variable)
    kernel = {"depthwise": "depthwise_weights", "conv_columns": "conv_columns"}.get(kernel, "conv_weights")
    args = (
        conv_struct(e, layer),
        e.at(x, "s8"),
        e.at(g, "f32"),
        "sgd",
        _state(e, op, variable),
        f"w{op.label}",
    )
    return [*_rates(e, op, layer), *kernel_call(f"{kernel}_update_f32", *args)]


def _bias(e: Emitter, op: Op) -> list[str]:
    g, mask, bias = op.inputs
    channels = e.tensor(bias).size
    variable = _variable(e, op)
    state = _state(e, op, variable)
    args = (e.at(g, "s16"), e.exponent(g), e.at(mask, "bits"), e.tensor(g).size // channels, channels, "sgd")
    call = kernel_call("bias_update_s32", *args, state, f"b{op.label}")
    return _where_any(variable, state, [*_rates(e, op, e.layer(op)), *call])


def _bias_f32(e: Emitter, op: Op) -> list[str]:
    g, _, bias = op.inputs
    channels = e.tensor(bias).size
    args = (e.at(g, "f32"), e.tensor(g).size // channels, channels, "sgd", _state(e, op, _variable(e, op)))
    call = kernel_call("bias_update_f32", *args, f"b{op.label}")
    return [*_rates(e, op, e.layer(op)), *call]


WEIGHTS = UpdateKind(weight_gradient, _weights, _weights_f32, scratch.update)
BIAS = UpdateKind(bias_gradient, _bias, _bias_f32)
