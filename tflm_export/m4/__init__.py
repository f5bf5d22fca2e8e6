"""A Cortex-M4F in the place of a board: build with arm-none-eabi-gcc, run and count on QEMU."""

from tflm_export.m4.build import ARDUINO_FLAGS, O2_FLAGS, build
from tflm_export.m4.elf import Elf, read_elf
from tflm_export.m4.run import M4Result, run

__all__ = ["ARDUINO_FLAGS", "O2_FLAGS", "Elf", "M4Result", "build", "read_elf", "run"]
