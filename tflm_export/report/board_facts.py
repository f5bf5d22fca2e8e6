"""What a report says of the board that it speaks of: its core, its clock, how its cycles are counted.

>>> board_text(board_facts("nano33ble"))
"Arduino Nano 33 BLE, Cortex-M4F at 64 MHz; cycles: Arm's table"
>>> board_facts("giga")["estimate"]
True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tflm_export.boards import BOARDS
from tflm_export.machines.emulator import core_of


def board_facts(name: str) -> dict[str, Any]:
    """Plain values. cycles_by: the source of the model; estimate: whether nobody publishes timings of the
    core; ram_measured: whether the board's RAM was read off an empty sketch of it.
    """
    board, core = BOARDS[name], core_of(BOARDS[name])
    return {
        "name": name,
        "title": board.title,
        "core": core.title,
        "clock_hz": board.clock_hz,
        "cycles_by": board.cycles.source,
        "estimate": board.cycles.estimate,
        "ram_measured": board.measured,
    }


def board_text(facts: Mapping[str, Any]) -> str:
    """The same for people."""
    model = f"an estimate, {facts['cycles_by']}" if facts["estimate"] else facts["cycles_by"]
    ram = "" if facts["ram_measured"] else "; its RAM by its core's published limits"
    return f"{facts['title']}, {facts['core']} at {facts['clock_hz'] / 1e6:g} MHz; cycles: {model}{ram}"
