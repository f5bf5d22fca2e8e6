"""Parameter structs of the kernels as C++ text; every call of these adds the tables it points to."""

from __future__ import annotations

import numpy as np

from tflm_export.emit.engine import Engine
from tflm_export.emit.tables import literal
from tflm_export.errors import ExportError
from tflm_export.geometry import Geometry
from tflm_export.gradients.arithmetic import fraction_q15
from tflm_export.gradients.conv import conv_scale, weight_scale
from tflm_export.gradients.rates import rate_factor
from tflm_export.ir import Op
from tflm_export.memory.storage import Variable
from tflm_export.ops.check import where


def conv(e: Engine, op: Op) -> str:
    """`constexpr tfodl::Conv conv3`; its name is returned."""
    g, a, i = Geometry.of(op, e.graph), op.attrs, e.index(op)
    if a.get("depth_multiplier", 1) != 1:
        raise ExportError(
            f"{where(op)}: depth multiplier {a['depth_multiplier']} is not supported; allowed: 1."
        )
    weights = _weights(e, op)
    bias = e.variable(op.inputs[2]) if len(op.inputs) > 2 else None
    start = e.tables.add("int32_t", f"bias{i}", _bias(e, op, g.out_shape[2]))
    multiplier = e.tables.add("int32_t", f"multiplier{i}", _per_channel(a["multiplier"], g.out_shape[2]))
    shift = e.tables.add("int8_t", f"shift{i}", _per_channel(a["shift"], g.out_shape[2]))
    (h, w, c), (p, q, o) = g.in_shape, g.out_shape
    rows = [
        f"{h}, {w}, {c}, {p}, {q}, {o},  // input, output map",
        f"{g.kernel[0]}, {g.kernel[1]}, {g.stride[0]}, {g.stride[1]}, {g.pad[0]}, {g.pad[1]},"
        "  // kernel, stride, padding before",
        f"{e.zero(op.inputs[0])}, {e.zero(op.outputs[0])}, {a['act_min']}, {a['act_max']},"
        "  // zero points, clamp",
        f"{weights[0]}, {start if bias is None else f'b{i}'}, {multiplier}, {shift},",
        f"{weights[1]}, {weights[2]}, {weights[3]}, {weights[4]},  // slot, trained, columns, n_columns",
    ]
    return _struct(e, "Conv", f"conv{i}", rows)


def _struct(e: Engine, kind: str, name: str, rows: list[str]) -> str:
    body = "\n".join(f"    {row}" for row in rows)
    text = f"constexpr tfodl::{kind} {name} = {{\n{body}\n}};"
    if text not in e.structs:
        e.structs.append(text)
    return name


def _per_channel(values: object, count: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(values), (count,))


def _bias(e: Engine, op: Op, count: int) -> np.ndarray:
    if len(op.inputs) < 3 or not op.inputs[2]:
        return np.zeros(count, np.int32)
    return e.constant(op.inputs[2])


def _weights(e: Engine, op: Op) -> tuple[str, str, str, str, int]:
    """weights, slot, trained, columns, n_columns of the Conv struct."""
    variable, i = e.variable(op.inputs[1]), e.index(op)
    data = e.constant(op.inputs[1])
    if variable is None:
        return e.tables.add("int8_t", f"weights{i}", data), "nullptr", "nullptr", "nullptr", 0
    trained, channels = f"w{i}", list(variable.op.attrs["channels"])
    if variable.op.kind.startswith("DEPTHWISE") or variable.whole:
        e.tables.add("int8_t", f"weights{i}", data)
        return trained, "nullptr", trained, "nullptr", 0
    if variable.op.attrs["axis"] == "in":
        e.tables.add("int8_t", f"weights{i}", data)
        return f"weights{i}", "nullptr", trained, _channels(e, variable), len(channels)
    slot = np.full(data.shape[0], -1)
    slot[channels] = np.arange(len(channels))
    e.tables.add("int8_t", f"weights{i}", data)
    return f"weights{i}", e.tables.add("int16_t", f"slot{i}", slot), trained, "nullptr", 0


def _channels(e: Engine, variable: Variable) -> str:
    """The table of trained channels; nullptr when all train."""
    if variable.whole:
        return "nullptr"
    name = f"channels{'_b' if variable.bias else ''}{e.index(variable.layer)}"
    return e.tables.add("int16_t", name, variable.op.attrs["channels"])


def conv_grad(e: Engine, op: Op) -> str:
    """A ConvGrad, to be built where the gradient is called."""
    scale = conv_scale(e.layer(op), e.graph)
    return f"{{{e.factors(op)}, {scale.exponent}, {scale.headroom}}}"


def factors(e: Engine, op: Op) -> str:
    """The call that computes its Q15 factors."""
    scale = conv_scale(e.layer(op), e.graph)
    return f"tfodl::grad_factors({conv(e, e.layer(op))}, {scale.multiplier}, {scale.shift}, {e.factors(op)});"


def weight_scales(e: Engine, layer: Op) -> str:
    """The table `weight_scale3` of s_w, one an output channel."""
    return e.tables.add("float", f"weight_scale{e.index(layer)}", weight_scale(layer, e.graph))


def update_state(e: Engine, variable: Variable) -> str:
    """An UpdateState, to be built where the update is called."""
    letter, i = "b" if variable.bias else "w", e.index(variable.layer)
    states = [f"{kind}_{letter}{i}" if on else "nullptr" for kind, on in state_arrays(e, variable).items()]
    tensor, n = variable.op.attrs["tensor"], len(variable.op.attrs["channels"])
    return f"{{{e.rates(variable.op)}, {', '.join(states)}, {tensor}, {_channels(e, variable)}, {n}}}"


def rates(e: Engine, variable: Variable) -> str:
    """The call that computes the steps per unit of learning rate of every output channel."""
    factor, inverse = rate_factor(variable.op, variable.layer, e.graph, e.plan.optimizer.qas)
    arguments = f"{conv(e, variable.layer)}, {literal('float', float(factor))}, {str(inverse).lower()}"
    return f"tfodl::update_rates({arguments}, {e.rates(variable.op)});"


def state_arrays(e: Engine, variable: Variable) -> dict[str, bool]:
    """Which state arrays the optimizer keeps for this tensor."""
    optimizer = e.plan.optimizer
    return {
        "batch": optimizer.batch > 1,
        "momentum": momentum_q15(e) > 0,
        "accumulator": optimizer.rounding == "accumulator" and not variable.bias,
    }


def momentum_q15(e: Engine) -> int:
    """The plan's momentum in Q15."""
    return min(32767, int(np.floor(e.plan.optimizer.momentum * 2**15 + 0.5)))


def add(e: Engine, op: Op, swapped: bool = False) -> str:
    """`constexpr tfodl::Add add4` for ADD and SUB; `swapped`: operands of an ADD change places."""
    a, y = op.attrs, op.outputs[0]
    (x1, x2), (one, two) = op.inputs, ("input1", "input2")
    if swapped:
        x1, x2, one, two = x2, x1, two, one
    rows = [
        f"{e.zero(x1)}, {e.zero(x2)}, {e.zero(y)}, {a['act_min']}, {a['act_max']},  // zero points, clamp",
        f"{a[f'{one}_multiplier']}, {a[f'{two}_multiplier']}, {a['output_multiplier']},",
        f"{a[f'{one}_shift']}, {a[f'{two}_shift']}, {a['output_shift']},",
    ]
    return _struct(e, "Add", f"add{e.index(op)}", rows)


def requantize(e: Engine, op: Op) -> str:
    """`constexpr tfodl::Requantize requantize4` for MUL, QUANTIZE, RELU, RELU6, MEAN."""
    a, b = op.attrs, e.zero(op.inputs[1]) if op.kind == "MUL" else 0
    low, high = a.get("act_min", -128), a.get("act_max", 127)
    rows = [
        f"{e.zero(op.inputs[0])}, {b}, {e.zero(op.outputs[0])}, {low}, {high},  // zero points, clamp",
        f"{a['multiplier']}, {a['shift']},",
    ]
    return _struct(e, "Requantize", f"requantize{e.index(op)}", rows)


def pool(e: Engine, op: Op) -> str:
    """`constexpr tfodl::Pool pool5`."""
    a, (_, h, w, c) = op.attrs, e.tensor(op.inputs[0]).shape
    _, p, q, _ = e.tensor(op.outputs[0]).shape
    rows = [
        f"{h}, {w}, {c}, {p}, {q},",
        f"{a['k_h']}, {a['k_w']}, {a['stride_h']}, {a['stride_w']}, {a['pad_top']}, {a['pad_left']},"
        "  // kernel, stride, padding before",
        f"{a['act_min']}, {a['act_max']},",
    ]
    return _struct(e, "Pool", f"pool{e.index(op)}", rows)


def pad(e: Engine, op: Op) -> str:
    """`constexpr tfodl::Pad pad5`."""
    x, y = e.tensor(op.inputs[0]), e.tensor(op.outputs[0])
    if len(x.shape) != 4:
        raise ExportError(f"{where(op)}: PAD of {len(x.shape)} dimensions is not supported; allowed: 4.")
    before = [b for b, _ in op.attrs["padding"]][1:]
    rows = [
        f"{', '.join(map(str, x.shape[1:]))}, {', '.join(map(str, y.shape[1:]))},  // input, output map",
        f"{', '.join(map(str, before))}, {op.attrs['value']},  // before, value",
    ]
    return _struct(e, "Pad", f"pad{e.index(op)}", rows)


def pool_factors(e: Engine, op: Op) -> tuple[str, str]:
    """Tables of Q15 factors and exponents of 1/count for count = 1..k_h k_w."""
    i, largest = e.index(op), op.attrs["k_h"] * op.attrs["k_w"]
    pairs = [fraction_q15(1 / count) for count in range(1, largest + 1)]
    factors = e.tables.add("int16_t", f"pool_factor{i}", [f for f, _ in pairs])
    return factors, e.tables.add("int16_t", f"pool_exponent{i}", [k for _, k in pairs])
