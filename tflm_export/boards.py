"""Boards that engines are made for, and what they leave to a sketch.

>>> BOARDS["nano33ble"].ram_bytes
208720
"""

from __future__ import annotations

from dataclasses import dataclass

from tflm_export.errors import ExportError


@dataclass(frozen=True)
class Board:
    """What a sketch may use, bytes, and how fast it runs.

    ram_bytes: static data of the engine, after the core's own and what USB and Serial take.
    stack_bytes: the main thread's stack, on which the engine runs. flash_bytes: program and constants.
    fqbn: the name for arduino-cli. clock_hz: of the core.
    """

    title: str
    fqbn: str
    ram_bytes: int
    stack_bytes: int
    flash_bytes: int
    clock_hz: int = 64_000_000

    def milliseconds(self, cycles: int) -> float:
        """How long the core takes for `cycles`.

        >>> BOARDS["nano33ble"].milliseconds(6_400_000)
        100.0
        """
        return cycles * 1000 / self.clock_hz


BOARDS: dict[str, Board] = {
    # mbed core 2.4.1: 216,720 B left beside an empty sketch, 8,000 kept for USB and Serial buffers
    "nano33ble": Board("Arduino Nano 33 BLE", "arduino:mbed_nano:nano33ble", 208_720, 32_768, 888_000),
}


def board(name: str) -> Board:
    """The board called `name`. Raises `ExportError` for an unknown one."""
    if name not in BOARDS:
        raise ExportError(f"board {name!r} is not known; allowed: {', '.join(BOARDS)}.")
    return BOARDS[name]
