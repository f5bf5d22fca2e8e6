"""Cores that the emulator has: a compiler's flags, QEMU's machine, its memories, the model of its cycles.

>>> CORES["cortex-m0plus"].machine
('-machine', 'mps2-an385')
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tflm_export.boards import Board
from tflm_export.machines.emulator.toolchain import ARM, RISCV, XTENSA, Toolchain

RAM = 0x2000_0000


@dataclass(frozen=True)
class Memories:
    """Flash and RAM that a program may use, KiB; the harness's own 1 MB of each stands behind them.

    flash, ram: where they begin. vectors: where the core looks for its vectors; they stand alone there when
    the flash begins elsewhere. stack_kib: of a stack that lies below the RAM instead of at its end.
    """

    flash_kib: int
    ram_kib: int
    harness_flash: int
    harness_ram: int
    flash: int = 0
    ram: int = RAM
    vectors: int = 0
    stack_kib: int = 0

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
        after = ['REGION_ALIAS("VECTORS", FLASH)']
        if self.flash != self.vectors:
            rows.append(f"VECTORS (rx) : ORIGIN = {self.vectors:#x}, LENGTH = 4K")
            after = []
        if self.stack_kib:
            after.append(f"STACK_START = {self.ram - self.stack_kib * 1024:#x}; STACK_END = {self.ram:#x};")
        return "\n".join(["MEMORY {", *rows, "}", *after, ""])


NRF52840 = Memories(1024, 256, 0x0010_0000, 0x2010_0000)
# What the emulator has, for programs that fit no nRF52840; the last one's flash is a memory outside the chip.
ROOMY = Memories(3072, 3072, 0x0030_0000, 0x2030_0000)
VAST = Memories(8192, 3072, 0x2180_0000, 0x2030_0000, 0x2100_0000)


@dataclass(frozen=True)
class Core:
    """A core as compilers and QEMU call it.

    cpu: the compiler's flags; without `-mfpu` floats are the library's. machine: QEMU's options. model: the
    plugin's name of the model of its cycles. memories: what a program has unless told otherwise; roomy: for
    what may fit no board; vast: the same with more flash.
    """

    title: str
    cpu: tuple[str, ...]
    machine: tuple[str, ...]
    model: str
    memories: Memories = ROOMY
    roomy: Memories = ROOMY
    vast: Memories = VAST
    toolchain: Toolchain = ARM

    def flags(self, flags: Sequence[str]) -> tuple[str, ...]:
        """`flags`, and those of the core, with its float ABI.

        >>> CORES["cortex-m0plus"].flags(["-O2", "-mfloat-abi=hard"])
        ('-O2', '-mfloat-abi=soft', '-mcpu=cortex-m0plus', '-mthumb')
        >>> CORES["rv32imc"].flags(["-O2", "-mfloat-abi=hard"])
        ('-O2', '-march=rv32imc', '-mabi=ilp32')
        """
        if not self.toolchain.float_abi:
            flags = [flag for flag in flags if not _is_float_abi(flag)]
        elif not any(flag.startswith("-mfpu=") for flag in self.cpu):
            flags = ["-mfloat-abi=soft" if _is_float_abi(flag) else flag for flag in flags]
        return (*flags, *self.cpu)

    def cpu_flags(self, flags: Sequence[str]) -> tuple[str, ...]:
        """Of `flags` the float ABI alone, and those of the core."""
        return self.flags([flag for flag in flags if _is_float_abi(flag)])


def _is_float_abi(flag: str) -> bool:
    return flag.startswith("-mfloat-abi=")


def _machine(name: str, *more: str) -> tuple[str, ...]:
    return ("-machine", name, *more)


CORTEX_M4F = Core(
    "Cortex-M4F",
    ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16"),
    _machine("mps2-an386"),
    "cortex-m4",
    NRF52840,
)
# A part of QEMU's RAM plays the flash.
_RISCV = Memories(8192, 3072, 0x8080_0000, 0x8130_0000, 0x8000_0000, 0x8100_0000, 0x8000_0000)
# The stack lies at the beginning of a memory, so that what overflows leaves it.
_XTENSA = Memories(8192, 3072, 0x5080_0000, 0x6040_0000, 0x5000_0000, 0x6004_0000, 0x5000_0000, 256)
_SECURE = Memories(3072, 3072, 0x1030_0000, 0x3830_0000, 0x1000_0000, 0x3800_0000, 0x1000_0000)
CORES = {
    # QEMU has no Cortex-M0+ with room; ARMv6-M is a part of what its Cortex-M3 runs.
    "cortex-m0plus": Core(
        "Cortex-M0+", ("-mcpu=cortex-m0plus", "-mthumb"), _machine("mps2-an385"), "cortex-m0plus"
    ),
    "cortex-m4": CORTEX_M4F,
    "cortex-m7": Core(
        "Cortex-M7", ("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16"), _machine("mps2-an500"), "cortex-m7",
        vast=Memories(8192, 3072, 0x6080_0000, 0x2030_0000, 0x6000_0000),
    ),
    "cortex-m33": Core(
        "Cortex-M33", ("-mcpu=cortex-m33", "-mthumb", "-mfpu=fpv5-sp-d16"), _machine("mps2-an505"),
        "cortex-m33", _SECURE, _SECURE, _SECURE,
    ),
    "rv32imc": Core(
        "RV32IMC", ("-march=rv32imc", "-mabi=ilp32"),
        _machine("virt", "-cpu", "rv32,a=false,f=false,d=false"), "rv32imc", _RISCV, _RISCV, _RISCV, RISCV,
    ),
    # ESP32 and ESP32-S3 run what is compiled for an ESP8266's LX106, of whose instructions theirs are more.
    "xtensa": Core(
        "Xtensa LX106", (), _machine("sim", "-cpu", "lx106"), "xtensa", _XTENSA, _XTENSA, _XTENSA, XTENSA
    ),
}  # fmt: skip


def core_of(board: Board) -> Core:
    """The board's core."""
    return CORES[board.core]
