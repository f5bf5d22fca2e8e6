"""A product's sketch on a board whose sensor gives what was recorded: on this computer and on an emulated
Cortex-M4 (tests/cpp/sensor_board.cpp)."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from serial_board import SANITIZE

from tflm_export.board.examples import Example
from tflm_export.board.host_sketch import link_host, write_sketch
from tflm_export.compiler import Compiled
from tflm_export.machines.emulator import ARDUINO_FLAGS, ROOMY, build, run
from tflm_export.template import template_text

CPP = Path(__file__).parents[1] / "cpp"
STUBS = CPP / "arduino"
BOARD = CPP / "sensor_board.cpp"
HEAD = "#ifndef TFODL_HOST\n#define TFODL_HOST\n#endif\n#include <Arduino.h>\n"  # its flash is the harness's
BUTTON_DOWN, BUTTON_UP = 0x80, 0x81


def run_host(compiled: Compiled, example: Example, folder: Path, sensor: bytes, keys: Sequence, names=()):
    """What the sketch says, under sanitizers: lines (ms, text)."""
    source, sketch = _written(compiled, example, folder, names)
    (folder / "board.h").write_text(template_text("host_board.h"))
    flags = (*SANITIZE, "-Wall", "-Wextra", "-Werror", f"-I{STUBS}", f"-I{folder}")
    program = link_host(compiled, [BOARD, sketch], source, folder / "program", flags)
    _recorded(folder, sensor, keys)
    done = subprocess.run([program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return _lines(done.stdout)


def run_m4(compiled: Compiled, example: Example, folder: Path, sensor: bytes, keys: Sequence, names=()):
    """The same on the emulated core, built as the Arduino IDE does."""
    source, sketch = _written(compiled, example, folder, names)
    sources = [sketch, *sorted(source.rglob("*.cpp"))]
    elf = build(sources, [source, STUBS], BOARD.read_text(), folder / "program.elf", ARDUINO_FLAGS, ROOMY)
    return _lines(run(elf, {"sensor.bin": sensor, "keys.bin": _keys(keys)}).stdout)


def _written(compiled, example, folder, names):
    source = write_sketch(compiled, folder, names, example)
    sketch = folder / "sketch.cpp"
    sketch.write_text(HEAD + (folder / example.path).read_text())
    return source, sketch


def _recorded(folder, sensor, keys):
    (folder / "sensor.bin").write_bytes(sensor)
    (folder / "keys.bin").write_bytes(_keys(keys))


def _keys(keys):
    """Of (ms, a character or a number)."""
    return np.array(
        [(ms, ord(key) if isinstance(key, str) else key) for ms, key in keys], np.uint32
    ).tobytes()


def _lines(text):
    lines = text.splitlines()
    return [(int(ms.removeprefix("ms ")), said) for ms, said in zip(lines[::2], lines[1::2], strict=False)]
