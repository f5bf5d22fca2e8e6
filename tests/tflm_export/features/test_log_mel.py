"""Log-mel features: the definition against a plain sum, and the board's code within an LSB of int8 of it."""

import subprocess
from functools import cache

import numpy as np
import pytest

from tflm_export.errors import TfodlError
from tflm_export.features.log_mel import LogMel
from tflm_export.features.tables import struct_text, tables
from tflm_export.library import library_root
from tflm_export.machines.emulator import ARDUINO_FLAGS, build, run
from tflm_export.machines.host import compile_cpp

SPECS = {
    "16 kHz": LogMel.at(16000),
    "8 kHz": LogMel.at(8000),
    "odd window": LogMel.at(22050, bands=20),
    "whole band": LogMel(16000, 400, 160, 512, 32, 0.0, 8000.0),
    "no padding": LogMel(16000, 256, 128, 256, 16, 100.0, 7000.0, 1e-9),
}
MAIN = """#include <stdio.h>
#include "tfodl/features/log_mel.h"
namespace {{
{tables}
const tfodl::LogMel kLogMel = {struct};
}}
int main() {{
  static int16_t samples[{window}];
  static float scratch[tfodl::log_mel_scratch({fft})], features[{bands}];
  while (fread(samples, 2, {window}, stdin) == {window}) {{
    tfodl::log_mel_frame(kLogMel, samples, scratch, features);
    fwrite(features, 4, {bands}, stdout);
  }}
}}
"""
SANITIZED = ("-std=c++14", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined")


def main_text(spec):
    fields = {"window": spec.window, "fft": spec.fft, "bands": spec.bands}
    return MAIN.format(tables=tables(spec).definitions(), struct=struct_text(spec), **fields)


@pytest.fixture(scope="module")
def on_host(tmp_path_factory):
    """Frames int16 [n, window] through the C++ of a spec: float32 [n, bands]."""

    @cache
    def program(name):
        folder = tmp_path_factory.mktemp("log_mel")
        (folder / "main.cpp").write_text(main_text(SPECS[name]))
        source = library_root() / "src" / "tfodl" / "features" / "log_mel.cpp"
        command = [str(folder / "main.cpp"), str(source), f"-I{library_root() / 'src'}"]
        compile_cpp([*command, "-o", str(folder / "main")], SANITIZED)
        return folder / "main"

    def run(name, frames):
        done = subprocess.run([program(name)], input=frames.tobytes(), capture_output=True, check=True)
        return np.frombuffer(done.stdout, np.float32).reshape(len(frames), -1)

    return run


def sounds(spec):
    """Frames of noise, of silence, of the largest values, and of tones loud and faint."""
    rng = np.random.default_rng(0)
    t = np.arange(spec.window) / spec.sample_rate
    tones = [np.sin(2 * np.pi * hz * t) for hz in (60, 437.5, 1000, 3333, spec.sample_rate * 0.45)]
    frames = [rng.normal(0, level, (20, spec.window)) for level in (1, 100, 8000)]
    frames += [
        np.zeros((1, spec.window)),
        np.full((1, spec.window), -32768),
        np.full((1, spec.window), 32767),
    ]
    frames += [np.where(rng.random((4, spec.window)) < 0.5, -32768, 32767)]
    frames += [np.where(np.arange(spec.window) % 2, -32768, 32767)[None]]
    frames += [level * np.stack(tones) for level in (32767, 1000, 3)]
    return np.clip(np.rint(np.concatenate(frames)), -32768, 32767).astype(np.int16)


def test_it_is_what_the_text_says():
    """The transform as a plain sum, the triangles point by point."""
    spec = LogMel(8000, 200, 80, 256, 10, 100.0, 3500.0)
    sound = np.random.default_rng(1).integers(-9000, 9000, 520).astype(np.int16)
    n, k = np.arange(200), np.arange(129)
    h = 0.5 - 0.5 * np.cos(2 * np.pi * n / 200)
    mel = np.linspace(*(2595 * np.log10(1 + f / 700) for f in (100.0, 3500.0)), 12)
    edges = 700 * (10 ** (mel / 2595) - 1)
    for frame, found in enumerate(spec.features(sound)):
        s = sound[80 * frame : 80 * frame + 200] / 32768
        turned = np.exp(-2j * np.pi * np.outer(k, n) / 256)
        p = np.abs(turned @ (h * s)) ** 2 / h.sum() ** 2
        for m in range(10):
            w = np.interp(k * 8000 / 256, edges[m : m + 3], [0, 1, 0])
            assert found[m] == pytest.approx(np.log(max((w * p).sum(), 1e-8)), abs=1e-5)
    assert spec.frames(520) == 5 and spec.samples(5) == 520


def test_a_full_sine_at_a_peak_has_its_power():
    spec = LogMel()
    hz = spec.edges[20]
    tone = 32767 * np.sin(2 * np.pi * hz * np.arange(480) / 16000)
    x = spec.features(tone.astype(np.int16))[0]
    assert x.argmax() == 19 and -1.5 < x.max() < 0


@pytest.mark.parametrize("name", SPECS)
def test_the_board_s_code_is_within_an_lsb(name, on_host):
    """An LSB of an int8 input that spans what features can be."""
    spec = SPECS[name]
    frames = sounds(spec)
    wanted = np.concatenate([spec.features(frame) for frame in frames])
    found = on_host(name, frames)
    scale = (0 - np.log(spec.floor)) / 255
    off = np.abs(np.rint(found / scale) - np.rint(wanted / scale))
    assert off.max() <= 1 and (off != 0).mean() < 0.01
    assert np.abs(found - wanted).max() < scale / 8
    np.testing.assert_allclose(found[60], np.log(spec.floor), rtol=1e-6)  # silence


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"fft": 500}, r"fft must be in \(256, 512, 1024\), got 500"),
        ({"window": 600}, r"window must be 2..fft \(512\), got 600"),
        ({"bands": 0}, "bands must be a whole number >= 1"),
        ({"hop": 1.5}, "hop must be a whole number >= 1"),
        ({"high_hz": 9000.0}, "needs 0 <= low_hz < high_hz <= 8000"),
        ({"floor": 0.0}, "floor must be in"),
        ({"bands": 200}, "200 bands are too narrow for 512 points"),
    ],
)
def test_anything_else_is_refused(changes, words):
    with pytest.raises(TfodlError, match=words):
        LogMel(**changes)


def test_sound_of_another_form_is_refused():
    for sound in (np.zeros(1000), np.zeros(479, np.int16), np.zeros((2, 1000), np.int16)):
        with pytest.raises(TfodlError, match=r"sound must be int16 \[samples >= 480\]"):
            LogMel().features(sound)


BOARD = """#include "board.h"
#include "tfodl/features/log_mel.h"
namespace {{
{tables}
const tfodl::LogMel kLogMel = {struct};
int16_t* samples;
float scratch[tfodl::log_mel_scratch({fft})], features[{bands}];
void frame(void*) {{ tfodl::log_mel_frame(kLogMel, samples, scratch, features); }}
}}
int main() {{
  const uint32_t bytes = board_file_size("sound.bin"), frames = bytes / (2 * {window});
  samples = static_cast<int16_t*>(board_alloc(bytes));
  float* all = static_cast<float*>(board_alloc(4 * {bands} * frames));
  board_read("sound.bin", samples, bytes);
  for (uint32_t i = 0; i < frames; ++i, samples += {window}) {{
    board_measure("frame", frame, nullptr);
    for (int m = 0; m < {bands}; ++m) all[{bands} * i + m] = features[m];
  }}
  board_write("features.bin", all, 4 * {bands} * frames);
  return 0;
}}
"""


def test_a_frame_on_the_cortex_m4(tmp_path):
    """40 bands of 512 points in 75,000 cycles, the same features as the definition's."""
    spec = SPECS["16 kHz"]
    fields = {"window": spec.window, "fft": spec.fft, "bands": spec.bands}
    text = BOARD.format(tables=tables(spec).definitions(), struct=struct_text(spec), **fields)
    source = library_root() / "src"
    engine = [source / "tfodl" / "features" / "log_mel.cpp"]
    elf = build(engine, [source], text, tmp_path / "frame.elf", ARDUINO_FLAGS)
    frames = sounds(spec)[[0, 25, 45, 60, 70]]
    result = run(elf, {"sound.bin": frames.tobytes()})
    found = np.frombuffer(result.files["features.bin"], np.float32).reshape(5, 40)
    wanted = np.concatenate([spec.features(frame) for frame in frames])
    assert np.abs(found - wanted).max() < 0.01
    cost = result.cost("frame")
    assert cost.count.cycles < 75_000 and cost.stack_bytes < 200
