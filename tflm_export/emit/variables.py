"""The variables of engine.cpp: what learns, its optimizer's state, gradients' scales; and their reset."""

from __future__ import annotations

import math

from tflm_export.cpp import literal
from tflm_export.emit.engine import Engine
from tflm_export.emit.names import display, parameter_name
from tflm_export.gradients.paths import first_shift
from tflm_export.ops.convolution.update import momentum_q15, state_arrays
from tflm_export.variable import Variable


def symbol_of(e: Engine, variable: Variable) -> str:
    """`w3` or `b3`."""
    return f"{'b' if variable.bias else 'w'}{variable.layer.label}"


def declarations(e: Engine) -> str:
    """The arrays in RAM."""
    lines = []
    lines += [f"int16_t slot{c.layer.label}[{c.channels}];" for c in e.candidates if c.has_slots]
    for variable in e.variables:
        if variable.in_pool:
            continue
        symbol, ctype = symbol_of(e, variable), "int32_t" if variable.bias else "int8_t"
        size = variable.nbytes // (4 if variable.bias else 1)
        lines.append(f"{ctype} {symbol}[{size}];  // {variable.count} train ({display(variable.tensor)})")
        for kind, on in state_arrays(e.plan.optimizer, variable).items():
            if on and not variable.pooled:
                width = "int16_t" if kind == "accumulator" else "int32_t"
                lines.append(f"{width} {kind}_{symbol}[{variable.count}];")
    return "\n".join(lines)


def scales(e: Engine) -> str:
    """Of the gradients."""
    rows = [f"tfodl::GradScale {e.scale(op)};" for op in e.scaled_ops()]
    lines = ["", "// Scale of every gradient: real = value * 2^exponent.", *rows, ""]
    return "\n".join(lines if rows else [""])


def reset(e: Engine) -> str:
    """Statements that bring back what was flashed."""
    lines = _unpacking(e)
    for variable in e.variables:
        lines += [] if variable.pooled else _reset_variable(e, variable)
    for op in e.scaled_ops():
        shift = 0 if op is e.loss else first_shift(op, e.graph)
        lines.append(f"{e.scale(op)} = {{0, {shift}}};")
    optimizer = e.plan.optimizer
    rate = literal("float", optimizer.learning_rate)
    per_batch = "" if optimizer.batch == 1 else f" / {literal('float', optimizer.batch)}"
    rounding = "kAccumulator" if optimizer.rounding == "accumulator" else "kStochastic"
    settings = f"{e.plan.seed}u, 0, {momentum_q15(e.plan.optimizer)}, tfodl::Rounding::{rounding}, true"
    lines.append(f"sgd = {{{rate}{per_batch}, {settings}}};")
    return "\n".join(f"  {line}" for line in lines)


def _unpacking(e: Engine) -> list[str]:
    """The call that unpacks the biases, and their table."""
    rows = []
    for variable in (v for v in e.variables if v.tensor in e.packed_biases):
        packed, table = e.packed_biases[variable.tensor], f"bias{variable.layer.label}"
        count = math.prod(variable.shape)  # all of a bias is in RAM, whatever part of it trains
        e.tables.add("uint8_t", table, packed.data, f"{count} of {packed.bits} bits")
        rows.append(f"    {{{table}, {symbol_of(e, variable)}, {count}, {packed.bits}}},")
    if not rows:
        return []
    text = "\n".join(rows)
    e.declare(f"constexpr tfodl::PackedBias packed_biases[] = {{  // table, bias, values, bits\n{text}\n}};")
    return [f"tfodl::unpack_biases(packed_biases, {len(rows)});"]


def _reset_variable(e: Engine, variable: Variable) -> list[str]:
    symbol, i = symbol_of(e, variable), variable.layer.label
    if variable.tensor in e.packed_biases:
        lines = []
    elif variable.resident:
        source = f"bias{i}" if variable.bias else f"weights{i}"
        lines = [f"memcpy({symbol}, {source}, sizeof {symbol});"]
    else:
        n, shape = len(variable.channels), variable.shape
        channels = e.tables.add("int16_t", f"channels{i}", variable.channels)
        if variable.axis != 0:
            rows, kernel = f"{math.prod(shape[:-1])}, {shape[-1]}, {channels}, {n}", "gather_channels_s8"
        else:
            rows, kernel = f"{channels}, {n}, {variable.count // n}", "copy_rows_s8"
        lines = [f"tfodl::{kernel}(weights{i}, {rows}, {symbol});"]
    states = state_arrays(e.plan.optimizer, variable).items()
    return lines + [f"memset({k}_{symbol}, 0, sizeof {k}_{symbol});" for k, on in states if on]


def resident(e: Engine) -> list[Variable]:
    """The trained tensors that have an array of their own."""
    return [variable for variable in e.variables if not variable.in_pool]


def parameter_table(e: Engine) -> str:
    """A row for every array that a host reads and writes by name."""
    rows = []
    for variable in resident(e):
        symbol = symbol_of(e, variable)
        rows.append(
            f'      {{"{parameter_name(variable.tensor)}", {symbol}, sizeof {symbol}, {int(variable.bias)}}},'
        )
    return "\n".join(rows)
