"""Boards that engines are made for, and what they leave to a sketch.

>>> BOARDS["nano33ble"].ram_bytes
208720
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tflm_export.errors import ExportError

CORE_BYTES = 53_424  # static data of mbed core 2.4.1 with USB and Serial's buffers on a Nano 33 BLE
Area = Literal["", "sketch", "partition", "constants", "beside", "bank"]


@dataclass(frozen=True)
class FlashRange:
    """Addresses [start, end) of a chip's flash, whole pages.

    >>> FlashRange(0x90000, 0xE0000).nbytes
    327680
    """

    start: int
    end: int

    @property
    def nbytes(self) -> int:
        """How much it holds."""
        return self.end - self.start


@dataclass(frozen=True)
class CycleModel:
    """How a core's cycles are counted (docs/measuring.md).

    source: "Arm's table", or what an estimate goes by.

    >>> BOARDS["pico2"].cycles.estimate
    True
    """

    source: str
    estimate: bool = False


MODELS = {  # by core, as compilers call it
    "cortex-m0plus": CycleModel("Arm's table"),
    "cortex-m4": CycleModel("Arm's table"),
    "cortex-m33": CycleModel("by the table of the Cortex-M4", estimate=True),
    "cortex-m7": CycleModel("two instructions a cycle in their order", estimate=True),
    "rv32imc": CycleModel("an instruction a cycle in their order", estimate=True),
    "xtensa": CycleModel("an instruction a cycle in their order, of an ESP8266's code", estimate=True),
}


@dataclass(frozen=True)
class Board:
    """What a sketch may use, bytes, and how fast it runs.

    ram_bytes: static data of the engine, after the core's own and what USB and Serial take. stack_bytes: the
    thread's stack on which the engine runs. flash_bytes: program and constants. fqbn: the name for
    arduino-cli. clock_hz: of the core. core: as compilers call it, of `MODELS`. measured: whether RAM was
    read off an empty sketch of this board; elsewhere it is the published limit less `CORE_BYTES`. area:
    where a store or a pool lies: at the end of the "sketch"'s flash, in a "partition" of its own, at the
    end of the "constants" beside the sketch, "beside" the sketch, or in the other "bank", in sectors of
    128 KB, where no pool can lie; "": the library has no place for it. platformio: platform and board
    there; "" where its registry has none. constants: flash beside the sketch where an engine's constants
    go (docs/sketch.md); None: they are part of it. loaded_bytes: RAM into which a sketch is loaded, that
    the engine's program and static data share, after what the sketch itself and its loader take; 0:
    programs run in flash.
    """

    title: str
    fqbn: str
    ram_bytes: int
    stack_bytes: int
    flash_bytes: int
    clock_hz: int = 64_000_000
    core: str = "cortex-m4"
    measured: bool = False
    area: Area = ""
    platformio: str = ""
    constants: FlashRange | None = None
    loaded_bytes: int = 0

    @property
    def cycles(self) -> CycleModel:
        """The model of its core's cycles."""
        return MODELS[self.core]

    def milliseconds(self, cycles: int) -> float:
        """How long the core takes for `cycles`.

        >>> BOARDS["nano33ble"].milliseconds(6_400_000)
        100.0
        """
        return cycles * 1000 / self.clock_hz


@dataclass(frozen=True)
class _Published:
    """A board by its core's boards.txt: the most of static data and of a sketch, bytes; MHz; the stack."""

    title: str
    fqbn: str
    data: int
    sketch: int
    megahertz: int
    core: str
    stack: int
    platformio: str = ""
    area: Area = ""
    constants: FlashRange | None = None
    loaded: int = 0

    def board(self) -> Board:
        """Its row."""
        ram, hertz = self.data - CORE_BYTES, self.megahertz * 1_000_000
        return Board(
            self.title, self.fqbn, ram, self.stack, self.sketch, hertz, self.core,
            area=self.area, platformio=self.platformio, constants=self.constants, loaded_bytes=self.loaded,
        )  # fmt: skip


_MBED_STACK, _PICO_STACK, _ESP_STACK = 32_768, 4_096, 8_192  # of the thread or task that runs loop()
_ESP_DATA, _ESP_SKETCH = 327_680, 1_310_720  # of the family's dev modules, 4 MB of flash in the default parts
_PUBLISHED = {
    # Sketches of at most 96 KB are loaded into 131,072 B of RAM there, of which we leave 24,000: of a sketch
    # for mbv2-w0.35 6,138 B are not the engine's, and the loader holds 16,812 B of symbols' names beside it.
    # The constants lie where neither core nor sketch is in any of ArduinoCore-zephyr's partitions that we
    # know (docs/add_board.md).
    "nano33ble_zephyr": _Published(
        "Arduino Nano 33 BLE (Zephyr)", "arduino:zephyr:nano33ble", 131_072, 98_304, 64, "cortex-m4", 4_096,
        area="constants", constants=FlashRange(0x90000, 0xE0000), loaded=107_072,
    ),
    "portenta_h7": _Published(
        "Arduino Portenta H7 (M7)", "arduino:mbed_portenta:envie_m7", 523_624, 786_432, 480, "cortex-m7",
        _MBED_STACK, "ststm32/portenta_h7_m7", "bank",
    ),
    "giga": _Published(
        "Arduino Giga R1 (M7)", "arduino:mbed_giga:giga", 523_624, 1_966_080, 480, "cortex-m7",
        _MBED_STACK, "ststm32/giga_r1_m7", "bank",
    ),
    "nicla_vision": _Published(
        "Arduino Nicla Vision", "arduino:mbed_nicla:nicla_vision", 523_624, 1_966_080, 480, "cortex-m7",
        _MBED_STACK, "ststm32/nicla_vision", "bank",
    ),
    "nano_rp2040": _Published(
        "Arduino Nano RP2040 Connect", "arduino:mbed_nano:nanorp2040connect", 270_336, 16_777_216, 125,
        "cortex-m0plus", _MBED_STACK, "raspberrypi/nanorp2040connect", "beside",
    ),
    "pico": _Published(
        "Raspberry Pi Pico", "rp2040:rp2040:rpipico", 262_144, 2_093_056, 125, "cortex-m0plus",
        _PICO_STACK, "raspberrypi/pico", "sketch",
    ),
    "pico2": _Published(
        "Raspberry Pi Pico 2 (RP2350)", "rp2040:rp2040:rpipico2", 524_288, 4_186_112, 150, "cortex-m33",
        _PICO_STACK, area="sketch",
    ),
    "esp32": _Published(
        "ESP32", "esp32:esp32:esp32", _ESP_DATA, _ESP_SKETCH, 240, "xtensa",
        _ESP_STACK, "espressif32/esp32dev", "partition",
    ),
    "esp32s3": _Published(
        "ESP32-S3", "esp32:esp32:esp32s3", _ESP_DATA, _ESP_SKETCH, 240, "xtensa",
        _ESP_STACK, "espressif32/esp32-s3-devkitc-1", "partition",
    ),
    "esp32c3": _Published(
        "ESP32-C3", "esp32:esp32:esp32c3", _ESP_DATA, _ESP_SKETCH, 160, "rv32imc",
        _ESP_STACK, "espressif32/esp32-c3-devkitm-1", "partition",
    ),
}  # fmt: skip
BOARDS: dict[str, Board] = {
    # 216,720 B left beside an empty sketch of mbed core 2.4.1, 8,000 kept for USB and Serial buffers
    "nano33ble": Board(
        "Arduino Nano 33 BLE", "arduino:mbed_nano:nano33ble", 208_720, _MBED_STACK, 888_000,
        measured=True, area="sketch", platformio="nordicnrf52/nano33ble",
    ),
} | {name: row.board() for name, row in _PUBLISHED.items()}  # fmt: skip


def board(name: str) -> Board:
    """The board called `name`. Raises `ExportError` for an unknown one."""
    if name not in BOARDS:
        raise ExportError(f"board {name!r} is not known; allowed: {', '.join(BOARDS)}.")
    return BOARDS[name]
