"""Cores that the emulator has: a compiler's flags, QEMU's machine, its memories, the model of its cycles.

>>> core_of(BOARDS["pico"]).machine
'mps2-an385'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tflm_export.boards import BOARDS, Board
from tflm_export.errors import ExportError

RAM = 0x2000_0000


@dataclass(frozen=True)
class Memories:
    """Flash and RAM that a program may use, KiB; the harness's own 1 MB of each stands behind them.

    flash, ram: where they begin. vectors: where the core looks for its vectors; they stand alone there when
    the flash begins elsewhere.
    """

    flash_kib: int
    ram_kib: int
    harness_flash: int
    harness_ram: int
    flash: int = 0
    ram: int = RAM
    vectors: int = 0

    def defines(self) -> list[str]:
        """Compiler flags for board_start.c."""
        values = {"FLASH_BYTES": self.flash_kib * 1024, "RAM_BYTES": self.ram_kib * 1024}
        values |= {"HARNESS_FLASH": self.harness_flash, "HARNESS_RAM": self.harness_ram}
        values |= {"FLASH_BASE": self.flash, "RAM_BASE": self.ram}
        return [f"-D{name}={value}u" for name, value in values.items()]

    def script(self) -> str:
        """memory.ld of the linker."""
        rows = [
            f"FLASH (rx) : ORIGIN = {self.flash:#010x}, LENGTH = {self.flash_kib}K",
            f"BOARD_FLASH (rx) : ORIGIN = {self.harness_flash:#x}, LENGTH = 1024K",
            f"RAM (rwx) : ORIGIN = {self.ram:#x}, LENGTH = {self.ram_kib}K",
            f"BOARD_RAM (rwx) : ORIGIN = {self.harness_ram:#x}, LENGTH = 1024K",
        ]
        if self.flash != self.vectors:
            vectors = f"VECTORS (rx) : ORIGIN = {self.vectors:#x}, LENGTH = 4K"
            return "\n".join(["MEMORY {", vectors, *rows, "}", ""])
        return "\n".join(["MEMORY {", *rows, "}", 'REGION_ALIAS("VECTORS", FLASH)', ""])


NRF52840 = Memories(1024, 256, 0x0010_0000, 0x2010_0000)
# What the emulator has, for programs that fit no nRF52840; the last one's flash is a memory outside the chip.
ROOMY = Memories(3072, 3072, 0x0030_0000, 0x2030_0000)
VAST = Memories(8192, 3072, 0x2180_0000, 0x2030_0000, 0x2100_0000)


@dataclass(frozen=True)
class Core:
    """A core as compilers and QEMU call it.

    cpu: the compiler's flags; without `-mfpu` floats are the library's. model: the plugin's name of the model
    of its cycles. memories: what a program has unless told otherwise; roomy: for what may fit no board; vast:
    the same with more flash.
    """

    title: str
    cpu: tuple[str, ...]
    machine: str
    model: str
    memories: Memories = ROOMY
    roomy: Memories = ROOMY
    vast: Memories = VAST

    def float_abi(self, flags: Sequence[str]) -> str:
        """The float ABI that `flags` ask for; the library's where the core has no floating point.

        >>> CORES["cortex-m0plus"].float_abi(["-O2", "-mfloat-abi=hard"])
        '-mfloat-abi=soft'
        """
        if not any(flag.startswith("-mfpu=") for flag in self.cpu):
            return "-mfloat-abi=soft"
        return next(flag for flag in flags if flag.startswith("-mfloat-abi="))

    def flags(self, flags: Sequence[str]) -> tuple[str, ...]:
        """`flags` with the core's float ABI."""
        abi = self.float_abi(flags)
        return tuple(abi if flag.startswith("-mfloat-abi=") else flag for flag in flags)


CORTEX_M4F = Core(
    "Cortex-M4F", ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16"), "mps2-an386", "cortex-m4", NRF52840
)
_SECURE = Memories(3072, 3072, 0x1030_0000, 0x3830_0000, 0x1000_0000, 0x3800_0000, 0x1000_0000)
CORES = {
    # QEMU has no Cortex-M0+ with room; ARMv6-M is a part of what its Cortex-M3 runs.
    "cortex-m0plus": Core(
        "Cortex-M0+", ("-mcpu=cortex-m0plus", "-mthumb"), "mps2-an385", "cortex-m0plus"
    ),
    "cortex-m4": CORTEX_M4F,
    "cortex-m7": Core(
        "Cortex-M7", ("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16"), "mps2-an500", "cortex-m7",
        vast=Memories(8192, 3072, 0x6080_0000, 0x2030_0000, 0x6000_0000),
    ),
    "cortex-m33": Core(
        "Cortex-M33", ("-mcpu=cortex-m33", "-mthumb", "-mfpu=fpv5-sp-d16"), "mps2-an505", "cortex-m33",
        _SECURE, _SECURE, _SECURE,
    ),
}  # fmt: skip


def core_of(board: Board) -> Core:
    """The board's core. Raises `ExportError` where its cycles have no model, as nothing here emulates it."""
    if board.cycles is None:
        counted = ", ".join(name for name, other in BOARDS.items() if other.cycles is not None)
        raise ExportError(
            f"{board.title}: its core, {board.core}, is not emulated here and has no cycles "
            f"model, so neither sizes nor cycles can be counted; boards that have one: {counted}. "
            "tflm-export sketch makes sketches for it all the same; their size is what its own compiler says."
        )
    return CORES[board.core]
