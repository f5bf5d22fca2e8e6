"""`Example`: the sketch that goes into the library, and whether it fits the engine.

>>> Example("motion", hz=100, unit="g").path
'examples/LearnGestures/LearnGestures.ino'
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tflm_export.boards import BOARDS, Board
from tflm_export.compiler import Compiled
from tflm_export.cpp import literal
from tflm_export.errors import ExportError
from tflm_export.input_contract import InputContract
from tflm_export.library import library_root
from tflm_export.ops import LOSSES
from tflm_export.signal_contract import SignalContract

UNITS = {"g": 1.0, "m/s2": 9.80665}  # what a recording has where the sensor says 1 g
MICROPHONE_HZ = 16_000
IMU = "Arduino_LSM9DS1"


def _serial(compiled: Compiled) -> str:
    rows = "the engine asks for its picture by rows, and this sketch takes it whole, over the cable"
    return rows if compiled.facts["row_fed"] else ""


def _camera(compiled: Compiled) -> str:
    if not isinstance(compiled.contract, InputContract):
        return f"it takes pictures, and the engine's input is {_input(compiled)}"
    return _of_classes(compiled)


def _motion(compiled: Compiled) -> str:
    rows = _misses_rows(compiled, lambda shape: len(shape) == 2 and shape[-1] == 3)
    return rows or _of_classes(compiled)


def _sound(compiled: Compiled) -> str:
    contract = compiled.contract
    if not isinstance(contract, SignalContract) or contract.sound is None:
        return f"it takes log-mel features, and the engine's input is {_input(compiled)}"
    if MICROPHONE_HZ % contract.sound.sample_rate:
        return f"the microphone has {MICROPHONE_HZ} Hz, and the model takes {contract.sound.sample_rate} Hz"
    return _of_classes(compiled)


def _anomaly(compiled: Compiled) -> str:
    loss = compiled.graph.loss
    assert loss is not None
    if LOSSES[loss.kind].target != "input":
        return f"it is for autoencoders, and {_learns(compiled)}"
    return _misses_rows(compiled, lambda shape: math.prod(shape) % 3 == 0)


def _misses_rows(compiled: Compiled, fits: Callable[[tuple[int, ...]], bool]) -> str:
    """What is wrong where the input is no rows of an accelerometer. fits: whether its shape may be one's."""
    contract = compiled.contract
    if isinstance(contract, SignalContract) and contract.sound is None and fits(contract.shape):
        return ""
    return f"it takes rows of x, y and z, and the engine's input is {_input(compiled)}"


def _of_classes(compiled: Compiled) -> str:
    loss = compiled.graph.loss
    assert loss is not None
    return "" if LOSSES[loss.kind].by_label else f"it teaches classes, and {_learns(compiled)}"


def _learns(compiled: Compiled) -> str:
    return f"the engine learns by {compiled.plan.loss}"


def _input(compiled: Compiled) -> str:
    if compiled.contract is None:
        return "int8 values of which nobody said what they are (tflm-export compile --input)"
    return compiled.contract.text


@dataclass(frozen=True)
class Kind:
    """folder: below arduino/examples. library: that it needs beside the core. misfit: why an engine is none
    for it, or nothing. recorded: whether it must know how recordings were made. boards: a part of the fqbn of
    those that it runs on, all without it."""

    folder: str
    library: str
    misfit: Callable[[Compiled], str]
    recorded: bool = False
    boards: str = ""


EXAMPLES: dict[str, Kind] = {
    "serial": Kind("TrainOverSerial", "", _serial),
    "camera": Kind("LearnFromCamera", "Arduino_OV767X", _camera, boards=":nano33ble"),
    "motion": Kind("LearnGestures", IMU, _motion, recorded=True),
    "sound": Kind("LearnWords", "", _sound, boards="arduino:"),
    "anomaly": Kind("WarnOfChange", IMU, _anomaly, recorded=True),
}


@dataclass(frozen=True)
class Example:
    """A sketch by its name in `EXAMPLES`. hz, unit: rows a second and unit of an accelerometer's recordings.

    Raises `ExportError` for an unknown name, and for recordings that are not described, or must not be.
    """

    name: str = "serial"
    hz: float | None = None
    unit: str | None = None

    def __post_init__(self) -> None:
        if self.name not in EXAMPLES:
            raise ExportError(f"example {self.name!r} is not known; allowed: {', '.join(EXAMPLES)}.")
        if not self.kind.recorded:
            if (self.hz, self.unit) != (None, None):
                raise ExportError(
                    f"example {self.name!r} has no --hz and no --unit; they are an accelerometer's."
                )
        elif self.hz is None or not (math.isfinite(self.hz) and self.hz > 0) or self.unit not in UNITS:
            raise ExportError(
                f"example {self.name!r} must know how recordings were made: give --hz, rows a second, and "
                f"--unit {' or '.join(UNITS)}; got {self.hz} and {self.unit}."
            )

    @property
    def kind(self) -> Kind:
        """What is known of it."""
        return EXAMPLES[self.name]

    @property
    def path(self) -> str:
        """Its file below the library's folder."""
        return self.beside(f"{self.kind.folder}.ino")

    def beside(self, name: str) -> str:
        """A file in its folder."""
        return f"examples/{self.kind.folder}/{name}"

    def check(self, compiled: Compiled, target: Board) -> None:
        """Raise `ExportError` where it is not for this engine, with those that are, or not for this board."""
        if self.kind.boards not in target.fqbn:
            rows = BOARDS.items()
            running = ", ".join(
                n for n, row in rows if self.kind.boards in row.fqbn and row.constants is None
            )
            raise ExportError(
                f"example {self.name!r} does not run on {target.title}: its sensor's library is for "
                f"{running}."
            )
        if target.constants is not None and self.name != "serial":
            raise ExportError(
                f"example {self.name!r} does not run on {target.title}: the constants lie beside the sketch "
                "there, and it has no words for it where they are missing; take --example serial."
            )
        reason = self.kind.misfit(compiled)
        if reason:
            fitting = [name for name, kind in EXAMPLES.items() if not kind.misfit(compiled)]
            others = f"--example {' or '.join(fitting)} fits" if fitting else "none fits: write your own"
            raise ExportError(
                f"example {self.name!r} is not for engine {compiled.name!r}: {reason}; {others}."
            )

    def text(self) -> str:
        """The sketch."""
        found = (library_root() / self.path).read_text("utf-8")
        if self.hz is not None and self.unit is not None:
            for field, value in (("kHz", self.hz), ("kUnit", UNITS[self.unit])):
                before, _, rest = found.partition(f"float {field} = ")
                found = f"{before}float {field} = {literal('float', value)};{rest.partition(';')[2]}"
        return found
