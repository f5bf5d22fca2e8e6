"""Boards that engines are made for, and what they leave to a sketch.

>>> BOARDS["nano33ble"].ram_bytes
208720
"""

from __future__ import annotations

from dataclasses import dataclass

from tflm_export.errors import ExportError

CORE_BYTES = 53_424  # static data of mbed core 2.4.1 with USB and Serial's buffers on a Nano 33 BLE


@dataclass(frozen=True)
class Board:
    """What a sketch may use, bytes, and how fast it runs.

    ram_bytes: static data of the engine, after the core's own and what USB and Serial take.
    stack_bytes: the thread's stack on which the engine runs. flash_bytes: program and constants.
    fqbn: the name for arduino-cli. clock_hz: of the core. measured: whether RAM was read off an empty sketch
    of this board, and the cycle model is of its core; elsewhere it is the published limit less `CORE_BYTES`.
    """

    title: str
    fqbn: str
    ram_bytes: int
    stack_bytes: int
    flash_bytes: int
    clock_hz: int = 64_000_000
    core: str = "cortex-m4"
    measured: bool = False

    def milliseconds(self, cycles: int) -> float:
        """How long the core takes for `cycles`.

        >>> BOARDS["nano33ble"].milliseconds(6_400_000)
        100.0
        """
        return cycles * 1000 / self.clock_hz


def _published(
    title: str, fqbn: str, limit: int, flash: int, megahertz: int, core: str, stack: int = 32_768
) -> Board:
    """A board by its core's boards.txt: the most of static data and of a sketch, bytes."""
    return Board(title, fqbn, limit - CORE_BYTES, stack, flash, megahertz * 1_000_000, core)


BOARDS: dict[str, Board] = {
    # 216,720 B left beside an empty sketch of mbed core 2.4.1, 8,000 kept for USB and Serial buffers
    "nano33ble": Board(
        "Arduino Nano 33 BLE", "arduino:mbed_nano:nano33ble", 208_720, 32_768, 888_000, measured=True
    ),
    # Sketches are loaded into RAM there: what is left of 128 KB, and 96 KB of program and constants
    "nano33ble_zephyr": _published(
        "Arduino Nano 33 BLE (Zephyr)", "arduino:zephyr:nano33ble", 131_072, 98_304, 64, "cortex-m4", 4_096
    ),
    "portenta_h7": _published(
        "Arduino Portenta H7 (M7)", "arduino:mbed_portenta:envie_m7", 523_624, 786_432, 480, "cortex-m7"
    ),
    "nicla_vision": _published(
        "Arduino Nicla Vision", "arduino:mbed_nicla:nicla_vision", 523_624, 1_966_080, 480, "cortex-m7"
    ),
    "nano_rp2040": _published(
        "Arduino Nano RP2040 Connect",
        "arduino:mbed_nano:nanorp2040connect",
        270_336,
        16_777_216,
        125,
        "cortex-m0plus",
    ),
    "pico": _published(
        "Raspberry Pi Pico", "rp2040:rp2040:rpipico", 262_144, 2_093_056, 125, "cortex-m0plus", 4_096
    ),
    "esp32c3": _published("ESP32-C3", "esp32:esp32:esp32c3", 327_680, 1_310_720, 160, "rv32imc", 8_192),
}
MEASURED = {name: board for name, board in BOARDS.items() if board.measured}  # which `report` speaks of


def board(name: str) -> Board:
    """The board called `name`. Raises `ExportError` for an unknown one."""
    if name not in BOARDS:
        raise ExportError(f"board {name!r} is not known; allowed: {', '.join(BOARDS)}.")
    return BOARDS[name]
