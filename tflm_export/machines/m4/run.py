"""Run a program on QEMU's Cortex-M4F board, one instruction a nanosecond, so that counts repeat exactly."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tflm_export.errors import ExportError
from tflm_export.machines.m4.build import find_tool
from tflm_export.machines.m4.elf import Elf

_MACHINE = (
    "-machine",
    "mps2-an386",
    "-icount",
    "shift=0",
    "-nographic",
    "-monitor",
    "none",
    "-serial",
    "none",
)
_SEMIHOSTING = ("-semihosting-config", "enable=on,target=native")


@dataclass(frozen=True)
class M4Result:
    """What a program printed, and every file that it left."""

    stdout: str
    files: Mapping[str, bytes]

    def number(self, name: str) -> int:
        """The value that the program printed by `board_print_number(name, value)`, the last one.

        >>> M4Result("ticks 3\\nticks 4\\n", {}).number("ticks")
        4
        """
        for line in reversed(self.stdout.splitlines()):
            key, _, value = line.rpartition(" ")
            if key == name and value.isdigit():
                return int(value)
        raise ExportError(f"Cortex-M4 run: the program printed no {name!r}: {_tail(self.stdout)}")


def run(elf: Elf, files_in: Mapping[str, bytes], timeout: float = 120.0) -> M4Result:
    """Run `elf` in an empty folder that holds `files_in`.

    timeout: seconds of the host's clock.
    Raises `ExportError` on a fault, a non-zero exit status, a timeout, or when QEMU is not installed.
    """
    qemu = find_tool("qemu-system-arm", "qemu-system-arm")
    with tempfile.TemporaryDirectory(prefix="m4-run-") as name:
        folder = Path(name)
        for file, data in files_in.items():
            (folder / file).write_bytes(data)
        command = [qemu, *_MACHINE, *_SEMIHOSTING, "-kernel", str(elf.path.resolve())]
        stdout = _execute(command, folder, timeout)
        return M4Result(stdout, {path.name: path.read_bytes() for path in folder.iterdir()})


def _execute(command: list[str], folder: Path, timeout: float) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, timeout=timeout, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ExportError(f"Cortex-M4 run: no end within {timeout:g} s; give it a longer timeout.") from error
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        raise ExportError(f"Cortex-M4 run: exit status {done.returncode}: {_tail(text)}")
    return text


def _tail(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
