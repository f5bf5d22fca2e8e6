"""Every kind of core: the library compiled for it, warnings as errors."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tflm_export.machines.emulator import CORES as EMULATED
from tflm_export.machines.emulator import Core
from tflm_export.machines.emulator.toolchain import ARM

STRICT = ("-std=gnu++14", "-mfloat-abi=hard", "-Wall", "-Wextra", "-Werror")
LEAN = ("-fno-rtti", "-fno-exceptions", "-ffunction-sections", "-fdata-sections", "-fno-threadsafe-statics")
CORTEX_M3 = replace(
    EMULATED["cortex-m0plus"], title="Cortex-M3", cpu=("-mcpu=cortex-m3", "-mthumb"), model="cortex-m4"
)
CORES = {**EMULATED, "cortex-m3": CORTEX_M3}
CLANG = replace(ARM, prefix="clang", compile=("--target=arm-none-eabi", "-isystem", "/usr/include/newlib"))
CLANG_M4 = replace(EMULATED["cortex-m4"], cpu=("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"), toolchain=CLANG)


def compiler(core: Core) -> str:
    return "clang++" if core.toolchain is CLANG else core.toolchain.tool("g++")


def compile_all(
    core: Core,
    sources: Sequence[Path],
    include: Sequence[Path],
    folder: Path,
    flags: Sequence[str] = ("-O0",),
) -> list[Path]:
    """Objects of C++ sources, without a warning."""
    command = [compiler(core), *core.flags([*STRICT, *LEAN, *flags]), *core.toolchain.compile]
    command += [f"-I{path}" for path in include]

    def one(job: tuple[int, Path]) -> Path:
        number, source = job
        out = folder / f"{number}_{source.stem}.o"
        done = subprocess.run([*command, "-c", str(source), "-o", str(out)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:3000]
        return out

    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, enumerate(sources)))


def needed(core: Core, objects: Iterable[Path]) -> set[str]:
    """Names that objects need from others."""
    listing = _output(core.toolchain.tool("nm"), "-u", *objects)
    return {line.split()[-1] for line in listing.splitlines() if line and not line.endswith(":")}


def in_section(core: Core, elf: Path, section: str) -> set[str]:
    """Symbols of a program that lie in one of its sections."""
    listing = _output(core.toolchain.tool("objdump"), "-t", elf)
    rows = (line.split() for line in listing.splitlines())
    return {row[-1] for row in rows if section in row[1:-1]}


def _output(*command: object) -> str:
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout
