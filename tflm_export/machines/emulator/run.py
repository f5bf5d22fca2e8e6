"""Run a program on one of QEMU's boards and count its cycles."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tflm_export.errors import ExportError
from tflm_export.machines.emulator.build import find_tool
from tflm_export.machines.emulator.core import CORTEX_M4F, Core
from tflm_export.machines.emulator.counter import Cost, plugin, read_costs
from tflm_export.machines.emulator.elf import Elf

_QUIET = ("-nographic", "-monitor", "none", "-serial", "none")


@dataclass(frozen=True)
class CoreResult:
    """What a program printed, every file that it left, and what its `board_measure`s counted."""

    stdout: str
    files: Mapping[str, bytes]
    costs: tuple[Cost, ...] = ()

    def cost(self, name: str) -> Cost:
        """The last measurement called `name`."""
        for cost in reversed(self.costs):
            if cost.name == name:
                return cost
        raise ExportError(f"emulated run: the program measured no {name!r}: {_tail(self.stdout)}")

    def number(self, name: str) -> int:
        """The value that the program printed by `board_print_number(name, value)`, the last one.

        >>> CoreResult("ticks 3\\nticks 4\\n", {}).number("ticks")
        4
        """
        for line in reversed(self.stdout.splitlines()):
            key, _, value = line.rpartition(" ")
            if key == name and value.isdigit():
                return int(value)
        raise ExportError(f"emulated run: the program printed no {name!r}: {_tail(self.stdout)}")


def run(
    elf: Elf,
    files_in: Mapping[str, bytes],
    timeout: float = 120.0,
    memory: Mapping[int, bytes] | None = None,
    core: Core = CORTEX_M4F,
) -> CoreResult:
    """Run `elf` in an empty folder that holds `files_in`.

    timeout: seconds of the host's clock. memory: what lies in flash beside the program, by address. core:
    that it was built for.
    Raises `ExportError` on a fault, a non-zero exit status, a timeout, or when QEMU, or the gcc that
    compiles the cycle counter, is not installed.
    """
    qemu = find_tool(core.toolchain.qemu, core.toolchain.qemu_packages)
    with tempfile.TemporaryDirectory(prefix="tfodl-run-") as name:
        folder, marks = Path(name) / "files", Path(name) / "marks"
        folder.mkdir()
        for file, data in files_in.items():
            (folder / file).write_bytes(data)
        counter = f"{plugin()},model={core.model},harness={elf.harness_address:#x},"
        counter += f"ram={core.roomy.ram:#x},out={marks}"
        command = [qemu, *core.machine, *core.toolchain.qemu_flags, *_QUIET]
        command += ["-kernel", str(elf.path.resolve()), "-plugin", counter]
        command += _loaders(memory or {}, Path(name))
        stdout = _execute(command, folder, timeout)
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        return CoreResult(stdout, files, read_costs(stdout, marks.read_text()))


def _loaders(memory: Mapping[int, bytes], folder: Path) -> list[str]:
    """QEMU's options that put bytes at addresses before the program starts."""
    options = []
    for address, data in memory.items():
        file = folder / f"{address:#x}.bin"
        file.write_bytes(data)
        options += ["-device", f"loader,file={file},addr={address:#x},force-raw=on"]
    return options


def _execute(command: list[str], folder: Path, timeout: float) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, timeout=timeout, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"emulated run: no end within {timeout:g} s; give it a longer timeout.") from error
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode and ("Could not load plugin" in text or "-plugin: invalid option" in text):
        raise ExportError(
            f"emulated run: QEMU takes no plugin of interface 1, which counts cycles; "
            f"QEMU 6 to 8 built with plugins do (Debian 12 has 7.2): {_tail(text)}"
        )
    if done.returncode:
        raise ExportError(f"emulated run: exit status {done.returncode}: {_tail(text)}")
    return text


def _tail(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
