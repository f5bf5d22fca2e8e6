"""C++ that brings what a sensor gives into an engine's input, by the input contract: `put_pixel`,
`put_value`, and of sounds `frame_features` and `put_frame`."""

from __future__ import annotations

import math
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
ORDERS = {"grey": ("grey",), "rgb": ("red", "green", "blue"), "bgr": ("blue", "green", "red")}
_PIXEL_TO = """\
// The picture: rows, columns, $colours a pixel.
constexpr int32_t kRows = $height, kColumns = $width, kChannels = $channels;

// One pixel, $colours, as the model takes it: int8 [kChannels].
// $text
inline void pixel_to(int8_t* to, const uint8_t* pixel) {
  static const int8_t kPixel[$tables][256] = {
$rows
  };
$stores
}

"""
_PUT_PIXEL = """\
// Puts a picture's pixel where the model takes it; index = row * width + column.
inline void put_pixel(uint32_t index, $parameters) {
  const uint8_t pixel[] = {$names};
  pixel_to(net::input() + $channels * index, pixel);
}

// Lets the engine see a picture: `row` writes row y, int8 [kColumns][kChannels].
inline void look(void (*row)(int32_t y, int8_t* to)) {
  for (int32_t y = 0; y < kRows; ++y) row(y, net::input() + kColumns * kChannels * y);
}

"""
_LOOK = """\
// Where pictures come from: the engine asks `row` for row y, int8 [kColumns][kChannels], when it needs it.
inline void look(void (*row)(int32_t y, int8_t* to)) { net::set_rows(row); }

"""
_PUT_VALUE = """\
constexpr int32_t kChannels = $channels, kTimes = $times;  // of values

// Puts a sensor's value where the model takes it; index = time * $channels + channel.
// $text
inline void put_value(uint32_t index, float value) {
  static const float kMean[$tables] = {$means};
  static const float kGain[$tables] = {$gains};
  net::input()[index] = quantize_value(value, kMean[index % $tables], kGain[index % $tables], $zero);
}

"""
_PUT_FRAME = """\
// Sounds: samples a second, of a frame and from one to the next, frames of an input and features of a frame.
constexpr int32_t kSoundHz = $plain_rate, kFrameSamples = $window, kHopSamples = $hop;
constexpr int32_t kFrames = $frames, kBands = $bands;

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
    if isinstance(contract, SignalContract):
        return _value_code(contract, quant)
    return _pixel_code(contract, quant, compiled.facts["row_fed"])


def _pixel_code(contract: InputContract, quant: QParams, row_fed: bool) -> str:
    table = contract.table(quant).T
    channels = ORDERS[contract.order]
    given = sorted(channels, key=COLOURS.index)  # as a camera has them
    rows = ",\n".join(f"    {{\n{wrap(map(str, row.tolist()))}\n    }}" for row in table)
    height, width, _ = contract.shape
    fields = {
        "text": contract.text,
        "height": height,
        "width": width,
        "channels": len(channels),
        "colours": ", ".join(given),
        "rows": rows,
        "tables": len(table),
        "parameters": ", ".join(f"uint8_t {name}" for name in given),
        "names": ", ".join(given),
        "stores": "\n".join(
            f"  to[{c}] = kPixel[{c % len(table)}][pixel[{given.index(name)}]];"
            for c, name in enumerate(channels)
        ),
    }
    return "".join(
        Template(part).substitute(fields) for part in (_PIXEL_TO, _LOOK if row_fed else _PUT_PIXEL)
    )


def _value_code(contract: SignalContract, quant: QParams) -> str:
    mean, gain, zero = contract.steps(quant)
    fields: dict[str, str | int]
    fields = {"means": _floats(mean.tolist()), "gains": _floats(gain.tolist()), "zero": zero}
    values = Template(_PUT_VALUE).substitute(
        fields,
        text=contract.text,
        channels=contract.shape[-1],
        times=math.prod(contract.shape[:-1]),
        tables=len(mean),
    )
    return values if contract.sound is None else values + _frame_code(contract.sound, contract.shape, fields)


def _frame_code(spec: LogMel, shape: tuple[int, ...], fields: dict[str, str | int]) -> str:
    arrays = tables(spec).definitions().replace("const ", "static const ")
    return Template(_PUT_FRAME).substitute(
        fields,
        means_size=str(fields["means"]).count(",") + 1,
        window=spec.window,
        rate=f"{spec.sample_rate:,}",
        plain_rate=spec.sample_rate,
        bands=spec.bands,
        hop=spec.hop,
        fft=spec.fft,
        frames=shape[0],
        tables=arrays.replace("\n", "\n  ").replace("\n  \n", "\n"),
        struct=struct_text(spec),
    )


def _floats(values: Iterable[float]) -> str:
    return ", ".join(literal("float", value) for value in values)
