"""A core in the place of a board, a Cortex-M4F unless told otherwise: build with gcc, count on QEMU."""

from tflm_export.machines.emulator.build import ARDUINO_FLAGS, O2_FLAGS, build, link
from tflm_export.machines.emulator.core import (
    CORES,
    CORTEX_M4F,
    NRF52840,
    ROOMY,
    VAST,
    Core,
    Memories,
    core_of,
)
from tflm_export.machines.emulator.counter import Cost, Count
from tflm_export.machines.emulator.elf import Elf, read_elf
from tflm_export.machines.emulator.run import CoreResult, run

__all__ = [
    "ARDUINO_FLAGS",
    "CORES",
    "CORTEX_M4F",
    "NRF52840",
    "O2_FLAGS",
    "ROOMY",
    "VAST",
    "Core",
    "Cost",
    "Count",
    "Elf",
    "CoreResult",
    "Memories",
    "build",
    "core_of",
    "link",
    "read_elf",
    "run",
]
