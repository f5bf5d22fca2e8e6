"""UNIDIRECTIONAL_SEQUENCE_LSTM, int8 with an int16 cell: every step of it is one op with one output.

`front/recurrent.py` has made its two variables one state of bytes: the hidden values int8 [U], then the cells
int16 [U]. The op writes the hidden values of all steps and then the cells, so that its last 3 U bytes are the
next state (LSTM_STATE puts them there) and what comes before the cells is the layer's output (LSTM_OUTPUT).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op, QParams
from tflm_export.ops import check
from tflm_export.ops.kind import Emitter, OpKind, Options
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, centred, operand, tensor_quant
from tflm_export.ops.sigmoid_q15 import HIGHEST, LOWEST, TABLE, logistic, tanh, tanh_scaling
from tflm_export.ops.text import kernel_call

GATES = ("input", "forget", "cell", "output")  # x, 4 weights, 4 recurrent weights, 4 biases, state
INNER = np.float32(2.0**-12)  # scale of what a sigmoid or tanh reads
OUTER = 2.0**-15  # and of what it gives
Pair = tuple[int, int]


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Multipliers and shifts of the four gates and of the products between them."""
    _, qx = check.activation(op, tensors, op.inputs[0])
    _, qh = check.activation(op, tensors, op.outputs[0])
    units, depth = tensors[op.inputs[1]].shape
    a = op.attrs
    check.require(a["activation"] == "TANH", op, f"its activation is {a['activation']}; allowed: TANH.")
    power = round(math.log2(a["cell_scale"]))
    exact = a["cell_scale"] == 2.0**power and -24 <= power <= 0
    check.require(exact, op, f"its cell's scale is {a['cell_scale']:g}; allowed: 2^-24 to 1, powers of two.")
    gates = [_gate(op, tensors, k, (units, depth), (qx, qh)) for k in range(4)]
    return {
        "units": units,
        "depth": depth,
        "steps": tensors[op.inputs[0]].size // depth,
        "gates": tuple(gates),
        "keep": quantize_multiplier(OUTER),
        "add": quantize_multiplier(OUTER**2 / a["cell_scale"]),
        "give": quantize_multiplier(OUTER**2 / qh.scale[0]),
        "tanh": tanh_scaling(power),
        "clip": min(HIGHEST, int(a["cell_clip"] / a["cell_scale"])) if a["cell_clip"] > 0 else 0,
    }


def _gate(
    op: Op, tensors: check.Tensors, k: int, size: tuple[int, int], quants: tuple[QParams, QParams]
) -> tuple[Pair, Pair]:
    """Multiplier and shift of what gate `k` makes of the input, and of the hidden values."""
    units, depth = size
    bias = check.constant(op, tensors, op.inputs[9 + k], "int32")
    check.shape(op, tensors[op.inputs[9 + k]], (units,))
    largest = int(np.abs(bias.astype(np.int64)).max()), 0
    found = []
    for i, (at, columns) in enumerate(((1 + k, depth), (5 + k, units))):
        weights = tensors[op.inputs[at]]
        check.constant(op, tensors, weights.name, "int8")
        check.shape(op, weights, (units, columns))
        _, quant = check.activation(op, tensors, weights.name)
        check.require(quant.zero_point == (0,), op, f"weights {weights.name!r} must have zero point 0.")
        product = np.float32(quants[i].scale[0]) * np.float32(quant.scale[0])
        pair = quantize_multiplier(float(product) / float(INNER))
        check.headroom(op, columns * 255 * 128 + largest[i], [pair[1]])
        found.append(pair)
    return found[0], found[1]


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`c = f c + i g`, `h = o tanh(c)`, with the gates i, f, g, o of the input and of the last h."""
    a = op.attrs
    units = a["units"]
    x = centred(graph, values, op.inputs[0]).reshape(-1, a["steps"], a["depth"])
    state = np.broadcast_to(operand(graph, values, op.inputs[-1]), (len(x), 3 * units))
    zero = tensor_quant(graph, op.outputs[0]).zero_point[0]
    h, c = state[:, :units].astype(np.int64), _cells(state[:, units:])
    hidden = []
    for t in range(a["steps"]):
        i, f, g, o = (_gate_values(op, graph, values, k, x[:, t], h - zero) for k in range(4))
        c = _short(_short(requantize(f * c, *a["keep"])) + _short(requantize(i * g, *a["add"])))
        c = np.clip(c, -a["clip"], a["clip"]) if a["clip"] else c
        h = np.clip(requantize(tanh(c, *a["tanh"]) * o, *a["give"]) + zero, INT8_MIN, INT8_MAX)
        hidden.append(h.astype(np.int8))
    return Result(np.concatenate([*hidden, np.ascontiguousarray(c, "<i2").view(np.int8)], axis=1))


def _gate_values(op: Op, graph: Graph, values: Values, k: int, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Gate `k` of x [N, C] and h [N, U] less their zero points: int64 [N, U] in 2^-15."""
    of_x, of_h = op.attrs["gates"][k]
    w, r, b = (operand(graph, values, op.inputs[at + k]).astype(np.int64) for at in (1, 5, 9))
    total = _short(_short(requantize(x @ w.T + b, *of_x)) + _short(requantize(h @ r.T, *of_h)))
    return tanh(total, *tanh_scaling(-12)) if GATES[k] == "cell" else logistic(total)


def _short(values: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.clip(values, LOWEST, HIGHEST)
    return result


def _cells(state: np.ndarray) -> np.ndarray:
    """int64 [N, U] of bytes [N, 2 U]."""
    return np.ascontiguousarray(state).view("<i2").astype(np.int64)


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    a, i = op.attrs, op.label
    table = e.tables.add("uint16_t", "sigmoid_q16", TABLE)
    gates = []
    for k, ((m, n), (rm, rn)) in enumerate(a["gates"]):
        bias = e.tables.add("int32_t", f"bias{i}_{GATES[k]}", e.constant(op.inputs[9 + k]))
        weights = f"{e.at(op.inputs[1 + k], 's8')}, {e.at(op.inputs[5 + k], 's8')}"
        gates.append(f"{{{weights}, {bias}, {m}, {n}, {rm}, {rn}}},  // {GATES[k]}")
    pairs = ", ".join(f"{m}, {n}" for m, n in (a["keep"], a["add"], a["give"], a["tanh"]))
    rows = [
        f"{a['steps']}, {a['depth']}, {a['units']},",
        f"{e.zero(op.inputs[0])}, {e.zero(op.outputs[0])}, {a['clip']},  // zero points, clip of the cells",
        f"{pairs},  // f c, i g, o tanh(c), tanh",
        f"{table},",
        "{",
        *(f"    {gate}" for gate in gates),
        "},",
    ]
    x, state, y = e.at(op.inputs[0], "s8"), e.at(op.inputs[-1], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("lstm_s8", e.struct("Lstm", f"lstm{i}", rows), x, state, y)


def macs(op: Op, graph: Graph) -> int:
    """Multiply-accumulates of the gates."""
    a = op.attrs
    result: int = 4 * a["steps"] * a["units"] * (a["depth"] + a["units"])
    return result


def prepare_part(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Nothing to keep."""
    return {}


def last_state(op: Op, graph: Graph, values: Values) -> Result:
    """The last bytes."""
    return Result(operand(graph, values, op.inputs[0])[:, -graph.tensors[op.outputs[0]].size :])


def state_call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One copy: a concatenation of one part."""
    size = e.tensor(op.outputs[0]).size
    at = f"{e.at(op.inputs[0], 's8')} + {e.tensor(op.inputs[0]).size - size}"
    return kernel_call("concatenation_s8", at, 1, size, size, 0, e.at(op.outputs[0], "s8"))


def output(op: Op, graph: Graph, values: Values) -> Result:
    """The first bytes."""
    y = graph.tensors[op.outputs[0]]
    return Result(operand(graph, values, op.inputs[0])[:, : y.size].reshape(-1, *y.shape[1:]))


KIND = OpKind(
    prepare, forward, call,
    Options("UnidirectionalSequenceLSTMOptions", {
        "activation": "FusedActivationFunction", "cell_clip": "CellClip", "time_major": "TimeMajor",
    }),
    macs=macs,
)  # fmt: skip
STATE = OpKind(prepare_part, last_state, state_call, over=1)
OUTPUT = OpKind(prepare_part, output, view=True)
