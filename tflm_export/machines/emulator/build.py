"""Cross-compile a program for an emulated core with Debian's compiler for it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tflm_export.errors import ExportError
from tflm_export.machines.emulator.core import CORTEX_M4F, Core, Memories
from tflm_export.machines.emulator.elf import Elf, read_elf
from tflm_export.machines.emulator.toolchain import SUPPORT

O2_FLAGS = ("-O2", "-std=c++14", "-mfloat-abi=hard", "-fno-rtti", "-fno-exceptions")
ARDUINO_FLAGS = (
    *("-Os", "-std=gnu++14", "-funsigned-char", "-mfloat-abi=softfp"),
    *("-fno-rtti", "-fno-exceptions", "-fno-threadsafe-statics"),
)
_SECTIONS = ("-ffunction-sections", "-fdata-sections")
_FREESTANDING = ("-O2", "-ffreestanding", "-fno-builtin", "-fno-tree-loop-distribute-patterns")
_C_FLAGS = ("-std=gnu11", *_FREESTANDING)


def find_tool(name: str, packages: str) -> str:
    """The path of program `name`. Raises `ExportError` naming the Debian packages that bring it."""
    path = shutil.which(name)
    if path is None:
        raise ExportError(f"{name} is not installed; on Debian or Ubuntu: apt-get install {packages}")
    return path


def build(
    sources: Iterable[Path],
    include: Sequence[Path],
    main: str,
    out: Path,
    flags: Sequence[str] = O2_FLAGS,
    memories: Memories | None = None,
    core: Core = CORTEX_M4F,
) -> Elf:
    """Compile and link `sources` and the C++ text `main` into the program `out`.

    sources: the engine: C++ files; what they hold counts in the sizes of the result.
    include: header folders.
    main: C++ with `int main()`; part of the harness, as is everything of `board.h`. It is linked into
        memory of its own and counts nowhere. `-D`s for it belong into its text.
    flags: optimisation, standard and float ABI of the engine, `O2_FLAGS` or `ARDUINO_FLAGS`; a core without
        floating point has an ABI of its own.
    memories: how much flash and RAM there is; of a Cortex-M4F what an nRF52840 has, of others what is roomy.

    Raises `ExportError` with the compiler's first complaint, or when there is no compiler.
    """
    compiler, target = _tool(core, "g++"), (*core.flags(flags), *core.toolchain.compile)
    headers = [f"-I{path}" for path in (*include, SUPPORT)]
    with tempfile.TemporaryDirectory(prefix="tfodl-build-") as name:
        board_main = Path(name) / "board_main.cpp"
        board_main.write_text(main)
        jobs = [(board_main, (compiler, *target, *_FREESTANDING, *headers))]
        jobs += [(Path(path), (compiler, *target, *headers)) for path in sources]
        return link(_compile_all(Path(name), jobs), out, flags, memories, core)


def link(
    objects: Sequence[Path],
    out: Path,
    flags: Sequence[str] = O2_FLAGS,
    memories: Memories | None = None,
    core: Core = CORTEX_M4F,
) -> Elf:
    """Link `objects`, compiled with `flags` for `core`, and the harness into the program `out`.

    Objects called board_* are the harness's, too. Raises as `build`.
    """
    tools, memories = core.toolchain, memories or core.memories
    target = (*core.cpu_flags(flags), *tools.compile)
    harness = (_tool(core, "gcc"), *_C_FLAGS, *target, *memories.defines(), f"-I{SUPPORT}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tfodl-link-") as name:
        (Path(name) / "memory.ld").write_text(memories.script())
        made = _compile_all(Path(name), [(path, harness) for path in tools.sources()])
        command = [_tool(core, "g++"), *target, *tools.link, "-Wl,--gc-sections", f"-L{name}"]
        command += [f"-T{SUPPORT / 'board.ld'}", *map(str, [*made, *objects]), *tools.libraries]
        _call([*command, "-o", str(out)], f"linking {out.name}")
    return read_elf(out)


def _tool(core: Core, name: str) -> str:
    return find_tool(core.toolchain.tool(name), core.toolchain.packages)


def _compile_all(folder: Path, jobs: Sequence[tuple[Path, Sequence[str]]]) -> list[Path]:
    """Objects of (source, command), in that order."""

    def one(numbered: tuple[int, tuple[Path, Sequence[str]]]) -> Path:
        number, (source, command) = numbered
        return _compile(folder / f"{number}", source, command)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, enumerate(jobs)))


def _compile(folder: Path, source: Path, command: Sequence[str]) -> Path:
    target = folder / f"{source.stem}.o"
    folder.mkdir()
    kept = _kept_object(source, command)
    if kept is not None and kept.is_file():
        shutil.copyfile(kept, target)
        return target
    _call([*command, *_SECTIONS, "-c", str(source), "-o", str(target)], f"compiling {source.name}")
    if kept is not None:
        _keep(target, kept)
    return target


def _kept_object(source: Path, command: Sequence[str]) -> Path | None:
    """Where the object of a kernel or of the harness is kept, by the content of all that it may include."""
    library = next((parent for parent in source.parents if parent == SUPPORT or parent.name == "tfodl"), None)
    if library is None:
        return None
    flags = [flag for flag in command if not flag.startswith("-I")]
    digest = hashlib.sha256(repr((flags, source.relative_to(library).as_posix())).encode())
    for file in [*sorted(library.rglob("*.h")), source]:
        digest.update(file.read_bytes())
    return Path(tempfile.gettempdir()) / f"tfodl-objects-{os.getuid()}" / f"{digest.hexdigest()[:32]}.o"


def _keep(made: Path, kept: Path) -> None:
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    staged = kept.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    shutil.copyfile(made, staged)
    staged.replace(kept)


def _call(command: Sequence[str], doing: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise ExportError(f"build for the emulated core: {doing} failed: {_complaint(done.stderr)}")


def _complaint(stderr: str) -> str:
    """The line that says most: by how much a memory overflowed, else the first error."""
    lines = stderr.splitlines() or ["no message"]
    for sign in ("overflowed by", "undefined reference", "error:", "error"):
        found = [line for line in lines if sign in line]
        if found:
            return found[0].rsplit("bin/ld: ", 1)[-1].strip()
    return lines[0]
