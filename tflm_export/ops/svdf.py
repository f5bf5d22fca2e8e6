"""SVDF, int8 with a state of int8 or int16: a dense layer of the input, and what it gave in the last steps.

`front/recurrent.py` has made two ops of it. SVDF moves the state [F, M] on by a step and puts the filters'
values of the present input at its end; SVDF_OUTPUT weighs the steps and adds up the filters of every unit.
A state of int16 is bytes here, two a value.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.kind import Emitter, OpKind, Options
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, centred, operand, output_quant, tensor_quant
from tflm_export.ops.text import kernel_call


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Requantisation from the input to the state. Inputs x [1, C], weights [F, C], state [1, F M]."""
    x, qx = check.activation(op, tensors, op.inputs[0])
    weights = tensors[op.inputs[1]]
    _, quant = check.activation(op, tensors, weights.name)
    check.constant(op, tensors, weights.name, "int8")
    check.require(quant.zero_point == (0,), op, f"weights {weights.name!r} must have zero point 0.")
    check.shape(op, weights, (weights.shape[0], x.size))
    state = np.float32(tensors[op.inputs[2]].quant.scale[0])  # type: ignore[union-attr]
    product = np.float32(qx.scale[0]) * np.float32(quant.scale[0])
    multiplier, shift = quantize_multiplier(float(product / state))
    check.headroom(op, x.size * 255 * 128, [shift])
    return {"multiplier": multiplier, "shift": shift, "wide": op.attrs["wide"]}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The state one step on."""
    x, weights = centred(graph, values, op.inputs[0]), operand(graph, values, op.inputs[1])
    x = x.reshape(-1, weights.shape[1])
    state = operand(graph, values, op.inputs[2])
    steps = _steps(op, np.broadcast_to(state, (len(x), state.size)), len(weights))
    sums = requantize(x @ weights.astype(np.int64).T, op.attrs["multiplier"], op.attrs["shift"])
    limits = np.iinfo(steps.dtype)
    # TFLite Micro adds the zero point after the clamp, in the state's own width
    last = (np.clip(sums, limits.min, limits.max) + output_quant(op, graph).zero_point[0]).astype(steps.dtype)
    moved = np.concatenate([steps[:, :, 1:], last[:, :, None]], axis=2)
    return Result(moved.reshape(len(x), -1).view(np.int8))


def _steps(op: Op, state: np.ndarray, filters: int) -> np.ndarray:
    """[N, F, M] int8 or int16 of the state's bytes."""
    dtype = "<i2" if op.attrs["wide"] else "i1"
    return np.ascontiguousarray(state).view(dtype).reshape(len(state), filters, -1)


def prepare_output(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Requantisation from state to output. Inputs: state, time weights [F, M], a bias [F / R] or none."""
    a, time = op.attrs, tensors[op.inputs[1]]
    y, qy = check.activation(op, tensors, op.outputs[0])
    check.constant(op, tensors, time.name, "int16" if a["wide"] else "int8")
    check.require(time.quant is not None, op, f"weights {time.name!r} have no scale.")
    assert time.quant is not None
    check.require(time.quant.zero_point == (0,), op, f"weights {time.name!r} must have zero point 0.")
    filters, memory = time.shape
    check.shape(op, y, (1, filters // a["rank"]))
    allowed = a["activation"] == "NONE" or (a["activation"] == "RELU" and qy.zero_point == (INT8_MIN,))
    check.require(allowed, op, f"its activation is {a['activation']}; allowed: NONE, RELU from -128 on.")
    if op.bias:
        check.constant(op, tensors, op.bias, "int32")
        check.shape(op, tensors[op.bias], (y.size,))
    state = np.float32(tensors[op.inputs[0]].quant.scale[0])  # type: ignore[union-attr]
    real = state * np.float32(time.quant.scale[0]) / np.float32(qy.scale[0])
    multiplier, shift = quantize_multiplier(float(real))
    check.headroom(op, 0 if a["wide"] else a["rank"] * memory * 255 * 128, [shift])
    check.require(not a["wide"] or shift <= 0, op, "its output's scale is too small beside its state's.")
    return {**a, "multiplier": multiplier, "shift": shift}


def output(op: Op, graph: Graph, values: Values) -> Result:
    """`acc[u] = b[u] + sum over its filters and their steps of state w`."""
    time = operand(graph, values, op.inputs[1]).astype(np.int64)
    zero = tensor_quant(graph, op.inputs[0]).zero_point[0]
    steps = _steps(op, operand(graph, values, op.inputs[0]), len(time)).astype(np.int64) - zero
    acc = (steps * time).sum(axis=2).reshape(len(steps), -1, op.attrs["rank"]).sum(axis=2)
    acc = acc + operand(graph, values, op.bias) if op.bias else acc
    acc = acc.astype(np.int32)  # sums of int16 products may go round, as they do in TFLite Micro
    raw = requantize(acc, op.attrs["multiplier"], op.attrs["shift"]) + output_quant(op, graph).zero_point[0]
    return Result(np.clip(raw, INT8_MIN, INT8_MAX).astype(np.int8))


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    filters, depth = e.tensor(op.inputs[1]).shape
    memory = e.tensor(op.outputs[0]).size // filters // (2 if op.attrs["wide"] else 1)
    rows = [
        f"{depth}, {filters}, {memory}, {e.zero(op.inputs[0])}, {e.zero(op.outputs[0])},  // zero points",
        f"{op.attrs['multiplier']}, {op.attrs['shift']}, {e.at(op.inputs[1], 's8')},",
    ]
    struct = e.struct("SvdfState", f"svdf_state{op.label}", rows)
    return kernel_call(
        f"svdf_state_{_width(op)}", struct, e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    )


def output_call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    a, i = op.attrs, op.label
    time = e.constant(op.inputs[1])
    weights = e.tables.add("int16_t" if a["wide"] else "int8_t", f"time{i}", time)
    bias = e.tables.add("int32_t", f"bias{i}", e.constant(op.bias)) if op.bias else "nullptr"
    units, (_, memory) = e.tensor(op.outputs[0]).size, time.shape
    rows = [
        f"{units}, {a['rank']}, {memory}, {e.zero(op.inputs[0])}, {e.zero(op.outputs[0])},  // zero points",
        f"{a['multiplier']}, {a['shift']}, {weights}, {bias},",
    ]
    struct = e.struct("SvdfOutput", f"svdf_output{i}", rows)
    state, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call(f"svdf_output_{_width(op)}", struct, state, y)


def _width(op: Op) -> str:
    return "s16" if op.attrs["wide"] else "s8"


def macs(op: Op, graph: Graph) -> int:
    """Multiply-accumulates: one a weight."""
    return graph.tensors[op.inputs[1]].size


OPTIONS = Options("SVDFOptions", {"rank": "Rank", "activation": "FusedActivationFunction"})
KIND = OpKind(prepare, forward, call, OPTIONS, macs=macs, over=2)
OUTPUT = OpKind(prepare_output, output, output_call, macs=macs)
