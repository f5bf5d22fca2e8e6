"""C++ that brings what a sensor gives into an engine's input, by the input contract: `put_pixel`,
`put_value`."""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from tflm_export.compiler import Compiled
from tflm_export.cpp import literal, wrap
from tflm_export.input_contract import InputContract
from tflm_export.ir import QParams
from tflm_export.ops.result import tensor_quant
from tflm_export.signal_contract import SignalContract

COLOURS = ("grey", "red", "green", "blue")
_PUT_PIXEL = """\
// Puts a picture's pixel where the model takes it; index = row * width + column.
// $text
inline void put_pixel(uint32_t index, $parameters) {
  static const int8_t kPixel[$tables][256] = {
$rows
  };
  int8_t* to = net::input() + $channels * index;
$stores
}

"""
_PUT_VALUE = """\
// Puts a sensor's value where the model takes it; index = time * $channels + channel.
// $text
inline void put_value(uint32_t index, float value) {
  static const float kMean[$tables] = {$means};
  static const float kGain[$tables] = {$gains};
  net::input()[index] = quantize_value(value, kMean[index % $tables], kGain[index % $tables], $zero);
}

"""


def input_code(compiled: Compiled) -> str:
    """The functions for the engine's contract; empty without one."""
    contract, graph = compiled.contract, compiled.graph
    if contract is None:
        return ""
    quant = tensor_quant(graph, graph.inputs[0])
    return (
        _value_code(contract, quant) if isinstance(contract, SignalContract) else _pixel_code(contract, quant)
    )


def _pixel_code(contract: InputContract, quant: QParams) -> str:
    table = contract.table(quant).T
    names = {"grey": ("grey",), "rgb": ("red", "green", "blue"), "bgr": ("blue", "green", "red")}
    channels = names[contract.order]
    rows = ",\n".join(f"    {{\n{wrap(map(str, row.tolist()))}\n    }}" for row in table)
    return Template(_PUT_PIXEL).substitute(
        text=contract.text,
        channels=len(channels),
        rows=rows,
        tables=len(table),
        parameters=", ".join(f"uint8_t {name}" for name in sorted(channels, key=COLOURS.index)),
        stores="\n".join(f"  to[{c}] = kPixel[{c % len(table)}][{name}];" for c, name in enumerate(channels)),
    )


def _value_code(contract: SignalContract, quant: QParams) -> str:
    mean, gain, zero = contract.steps(quant)
    return Template(_PUT_VALUE).substitute(
        text=contract.text,
        channels=contract.shape[-1],
        tables=len(mean),
        means=_floats(mean.tolist()),
        gains=_floats(gain.tolist()),
        zero=zero,
    )


def _floats(values: Iterable[float]) -> str:
    return ", ".join(literal("float", value) for value in values)
