"""What builds and runs programs for a family of cores: Debian's compiler and QEMU, with their packages.

>>> ARM.tool("g++")
'arm-none-eabi-g++'
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SUPPORT = Path(__file__).parent / "support"
_NEWLIB = ("-isystem", "/usr/include/newlib")  # its headers serve compilers that come without a C library


@dataclass(frozen=True)
class Toolchain:
    """prefix: of the compiler's programs. compile, link: flags of each call.

    support: folders of `support/` whose sources belong to every program of this family.
    """

    prefix: str
    packages: str
    qemu: str
    qemu_packages: str
    qemu_flags: tuple[str, ...]
    support: tuple[str, ...]
    compile: tuple[str, ...] = ()
    link: tuple[str, ...] = ("-nostdlib",)
    libraries: tuple[str, ...] = ("-lgcc",)
    float_abi: bool = False

    def tool(self, name: str) -> str:
        """One of its programs."""
        return self.prefix + name

    def sources(self) -> list[Path]:
        """The harness, and what the family lacks of a C library."""
        folders = [SUPPORT, *(SUPPORT / name for name in self.support)]
        return sorted(path for folder in folders for path in folder.glob("*.[cS]"))


_SEMIHOSTING = ("-semihosting-config", "enable=on,target=native")
ARM = Toolchain(
    "arm-none-eabi-",
    "gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib",
    "qemu-system-arm",
    "qemu-system-arm",
    _SEMIHOSTING,
    ("arm", "semihosting"),
    link=("-nostartfiles", "--specs=nano.specs"),
    libraries=("-lm",),
    float_abi=True,
)
RISCV = Toolchain(
    "riscv64-unknown-elf-",
    "gcc-riscv64-unknown-elf libnewlib-dev",
    "qemu-system-riscv32",
    "qemu-system-misc",
    (*_SEMIHOSTING, "-bios", "none", "-m", "32M"),
    ("riscv", "semihosting", "libc"),
    compile=("-msmall-data-limit=0", *_NEWLIB),
)
XTENSA = Toolchain(
    "xtensa-lx106-elf-",
    "gcc-xtensa-lx106 libnewlib-dev",
    "qemu-system-xtensa",
    "qemu-system-misc",
    ("-semihosting", "-m", "16M"),
    ("xtensa", "libc"),
    compile=("-mlongcalls", "-mtext-section-literals", *_NEWLIB),
)
