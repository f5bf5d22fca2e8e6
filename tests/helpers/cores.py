"""Every kind of core: the library compiled for it, warnings as errors, and programs run where QEMU has it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tflm_export.machines.emulator.build import SUPPORT

HERE = Path(__file__).parents[1] / "cpp" / "cores"
STRICT = ("-Wall", "-Wextra", "-Werror")
LEAN = ("-fno-rtti", "-fno-exceptions", "-ffunction-sections", "-fdata-sections", "-fno-threadsafe-statics")
SEMIHOSTING = (
    "-nographic",
    "-monitor",
    "none",
    "-serial",
    "none",
    "-semihosting-config",
    "enable=on,target=native",
)


@dataclass(frozen=True)
class Core:
    """A compiler's flags for a core; machine: QEMU's, with code and data where it has them."""

    flags: tuple[str, ...]
    machine: str = ""
    code: int = 0
    data: int = 0x2000_0000
    tools: tuple[str, str, str] = ("arm-none-eabi-gcc", "arm-none-eabi-g++", "arm-none-eabi-nm")


NEWLIB = ("-isystem", "/usr/include/newlib")
CORES = {
    "m0plus": Core(("-mcpu=cortex-m0plus", "-mthumb")),
    "m3": Core(("-mcpu=cortex-m3", "-mthumb"), "mps2-an385"),
    "m4": Core(("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"), "mps2-an386"),
    "m7": Core(("-mcpu=cortex-m7", "-mthumb", "-mfpu=fpv5-d16", "-mfloat-abi=hard"), "mps2-an500"),
    "m33": Core(
        ("-mcpu=cortex-m33", "-mthumb", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard"),
        "mps2-an505",
        0x1000_0000,
        0x3800_0000,
    ),  # fmt: skip
    "riscv32": Core(
        ("-march=rv32imc", "-mabi=ilp32", *NEWLIB),
        tools=("riscv64-unknown-elf-gcc", "riscv64-unknown-elf-g++", "riscv64-unknown-elf-nm"),
    ),
}
CLANG_M4 = Core(
    ("--target=arm-none-eabi", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", *NEWLIB),
    tools=("clang", "clang++", "arm-none-eabi-nm"),
)


def compile_all(
    core: Core,
    sources: Sequence[Path],
    include: Sequence[Path],
    folder: Path,
    flags: Sequence[str] = ("-O0",),
) -> list[Path]:
    """Objects of C and C++ sources, without a warning."""
    headers = [f"-I{path}" for path in include]

    def one(job: tuple[int, Path]) -> Path:
        number, source = job
        out = folder / f"{number}_{source.stem}.o"
        is_c = source.suffix == ".c"
        command = [core.tools[0], "-std=gnu11"] if is_c else [core.tools[1], "-std=gnu++14", *LEAN]
        command += [*core.flags, *STRICT, *flags, *headers]
        done = subprocess.run([*command, "-c", str(source), "-o", str(out)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:3000]
        return out

    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, enumerate(sources)))


def harness(core: Core, folder: Path) -> list[Path]:
    """Start-up and semihosting (tflm_export/machines/emulator/support/board.h)."""
    sources = [HERE / "start.c", SUPPORT / "board_io.c"]
    return compile_all(core, sources, [SUPPORT], folder, ("-O1", "-ffreestanding", "-fno-builtin"))


def link(core: Core, objects: Sequence[Path], out: Path) -> Path:
    """A program from objects and a `harness`."""
    script = (HERE / "cores.ld").read_text().replace("CODE", hex(core.code)).replace("DATA", hex(core.data))
    out.with_suffix(".ld").write_text(script)
    options = ["-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections", f"-T{out.with_suffix('.ld')}"]
    command = [core.tools[1], *core.flags, *options, *map(str, objects), "-lm", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    return out


def run_on(core: Core, elf: Path, folder: Path, files: Mapping[str, bytes], timeout: float = 120) -> str:
    """What the program printed; its files are read and left in `folder`."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    command = ["qemu-system-arm", "-machine", core.machine, *SEMIHOSTING, "-kernel", str(elf.resolve())]
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}  # the emulator's console is either
    done = subprocess.run(command, cwd=folder, text=True, timeout=timeout, **out)
    assert done.returncode == 0, (done.returncode, done.stdout[-2000:])
    return done.stdout


def addresses(core: Core, elf: Path) -> dict[str, int]:
    """Where every symbol of a program lies."""
    listing = subprocess.run([core.tools[2], str(elf)], check=True, capture_output=True, text=True)
    rows = (line.split() for line in listing.stdout.splitlines())
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3}


def symbols(core: Core, objects: Sequence[Path], *options: str) -> set[str]:
    """Names in objects; with "-u" those that they need from others."""
    listing = subprocess.run(
        [core.tools[2], *options, *map(str, objects)], check=True, capture_output=True, text=True
    )
    return {line.split()[-1] for line in listing.stdout.splitlines() if line and not line.endswith(":")}
