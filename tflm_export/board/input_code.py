"""C++ that brings what a sensor gives into an engine's input, by the input contract: `put_pixel`,
`put_value`, and of sounds `frame_features` and `put_frame`."""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from tflm_export.compiler import Compiled
from tflm_export.cpp import literal, wrap
from tflm_export.features.log_mel import LogMel
from tflm_export.features.tables import struct_text, tables
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
_PUT_FRAME = """\
// Log-mel features of one frame of sound, $window samples of 16 bits at $rate Hz, as the model takes them:
// $bands int8. A frame begins every $hop samples, $frames make an input. Keep them in a ring of your own: an
// engine uses its input up.
inline void frame_features(const int16_t* samples, int8_t* to) {
  $tables
  static const LogMel kLogMel = $struct;
  static const float kMean[$means_size] = {$means};
  static const float kGain[$means_size] = {$gains};
  static float scratch[log_mel_scratch($fft)], features[$bands];
  log_mel_frame(kLogMel, samples, scratch, features);
  for (int32_t m = 0; m < $bands; ++m) {
    to[m] = quantize_value(features[m], kMean[m % $means_size], kGain[m % $means_size], $zero);
  }
}

// The same, put where the model takes frame `index`.
inline void put_frame(uint32_t index, const int16_t* samples) {
  frame_features(samples, net::input() + $bands * index);
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
    fields: dict[str, str | int]
    fields = {"means": _floats(mean.tolist()), "gains": _floats(gain.tolist()), "zero": zero}
    values = Template(_PUT_VALUE).substitute(
        fields, text=contract.text, channels=contract.shape[-1], tables=len(mean)
    )
    return values if contract.sound is None else values + _frame_code(contract.sound, contract.shape, fields)


def _frame_code(spec: LogMel, shape: tuple[int, ...], fields: dict[str, str | int]) -> str:
    arrays = tables(spec).definitions().replace("const ", "static const ")
    return Template(_PUT_FRAME).substitute(
        fields,
        means_size=str(fields["means"]).count(",") + 1,
        window=spec.window,
        rate=f"{spec.sample_rate:,}",
        bands=spec.bands,
        hop=spec.hop,
        fft=spec.fft,
        frames=shape[0],
        tables=arrays.replace("\n", "\n  ").replace("\n  \n", "\n"),
        struct=struct_text(spec),
    )


def _floats(values: Iterable[float]) -> str:
    return ", ".join(literal("float", value) for value in values)
