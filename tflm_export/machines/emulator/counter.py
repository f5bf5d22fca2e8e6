"""The QEMU plugin that counts cycles: compiled with the host's gcc once for every content, and its counts."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tflm_export.errors import ExportError
from tflm_export.machines.emulator.build import find_tool

PLUGIN = Path(__file__).parent / "plugin"
FLAGS = ("-std=gnu11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True)
class Count:
    """What code of the engine cost, without wait states (docs/measuring.md).

    flash_reads: reads of data in flash, one a register; each may wait.

    >>> (Count(50, 40, 3) - Count(20, 15, 1)).cycles
    30
    """

    cycles: int
    instructions: int
    flash_reads: int

    def __sub__(self, other: Count) -> Count:
        return Count(
            self.cycles - other.cycles,
            self.instructions - other.instructions,
            self.flash_reads - other.flash_reads,
        )


@dataclass(frozen=True)
class Cost:
    """One `board_measure`. laps: every part's number and what it cost, the laps' own cost taken off."""

    name: str
    count: Count
    stack_bytes: int
    laps: tuple[tuple[int, Count], ...] = ()


def plugin() -> Path:
    """The plugin's shared library. Raises `ExportError` when gcc is missing or does not compile it."""
    return _compiled(find_tool("gcc", "gcc"))


@functools.cache
def _compiled(gcc: str) -> Path:
    sources = sorted(PLUGIN.glob("*.[ch]"))
    digest = hashlib.sha256(repr(FLAGS).encode())
    for source in sources:
        digest.update(source.name.encode() + source.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"tfodl-counter-{os.getuid()}"
    library = folder / f"{digest.hexdigest()[:24]}.so"
    if not library.is_file():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = folder / f"{os.getpid()}.so"
        files = [str(source) for source in sources if source.suffix == ".c"]
        done = subprocess.run([gcc, *FLAGS, *files, "-o", str(fresh)], capture_output=True, text=True)
        if done.returncode:
            complaint = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
            raise ExportError(f"cycle counter: gcc failed: {complaint.strip()}")
        fresh.rename(library)
    return library


def read_costs(stdout: str, marks: str) -> tuple[Cost, ...]:
    """The measurements of a program that printed `stdout`, in order; `marks` is what the plugin wrote.

    >>> read_costs("f stack 8\\n", "begin 10 5 0\\nend 16 9 2\\n")
    (Cost(name='f', count=Count(cycles=6, instructions=4, flash_reads=2), stack_bytes=8, laps=()),)
    """
    rows = (line.split() for line in marks.splitlines())
    events = iter([(kind, Count(*map(int, numbers))) for kind, *numbers in rows])
    costs: list[Cost] = []
    numbers: list[int] = []
    for line in stdout.splitlines():
        key, _, value = line.rpartition(" ")
        if key == "lap":
            numbers.append(int(value))
        elif key.endswith(" stack"):
            costs.append(_cost(key.removesuffix(" stack"), int(value), numbers, events))
            numbers = []
    return tuple(costs)


def _cost(name: str, stack_bytes: int, numbers: list[int], events: Iterable[tuple[str, Count]]) -> Cost:
    """The next measurement of `events`: begin, laps, end."""
    at: list[Count] = []
    for kind, count in events:
        at = [count] if kind == "begin" else [*at, count]
        if kind == "end":
            return Cost(name, at[-1] - at[0], stack_bytes, _laps(numbers, at[1:-1]))
    raise ExportError("cycle counter: the emulator wrote no counts; its plugin and board_cost.c disagree.")


def _laps(numbers: list[int], at: list[Count]) -> tuple[tuple[int, Count], ...]:
    """The parts between laps; the first two follow on each other."""
    if len(at) < 2:
        return ()
    own = at[1] - at[0]
    return tuple((n, b - a - own) for n, a, b in zip(numbers[2:], at[1:], at[2:], strict=False))
