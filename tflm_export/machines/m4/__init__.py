"""A Cortex-M4F in the place of a board: build with arm-none-eabi-gcc, run and count on QEMU."""

from tflm_export.machines.m4.build import ARDUINO_FLAGS, NRF52840, O2_FLAGS, ROOMY, VAST, Memories, build
from tflm_export.machines.m4.counter import Cost, Count
from tflm_export.machines.m4.elf import Elf, read_elf
from tflm_export.machines.m4.run import M4Result, run

__all__ = [
    "ARDUINO_FLAGS",
    "NRF52840",
    "O2_FLAGS",
    "ROOMY",
    "VAST",
    "Cost",
    "Count",
    "Elf",
    "M4Result",
    "Memories",
    "build",
    "read_elf",
    "run",
]
