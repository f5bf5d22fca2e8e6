"""Section sizes of a linked 32-bit little-endian ELF file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from tflm_export.errors import ExportError

_IN_FLASH = (".text", ".ARM.extab", ".ARM.exidx", ".data")
_IN_RAM = (".data", ".bss")
_HARNESS, _NO_HARNESS = ".board_text", 0xFFFF_FFFF


@dataclass(frozen=True)
class Elf:
    """A linked program. The two sizes leave out the harness, which has sections of its own.

    flash_bytes: code, constants and the initial values of variables.
    static_ram_bytes: initialised and zeroed variables (the arena is one of them); no stack.
    harness_address: where the harness's code begins; the engine's lies below.
    """

    path: Path
    flash_bytes: int
    static_ram_bytes: int
    harness_address: int


def read_elf(path: Path) -> Elf:
    """The sizes of the program at `path`. Raises `ExportError` when it is not a 32-bit ELF file."""
    data = path.read_bytes()
    if data[:5] != b"\x7fELF\x01":
        raise ExportError(f"{path}: not a 32-bit ELF file; build it again.")
    sections = _sections(data)
    sizes = {name: nbytes for name, (_, nbytes) in sections.items()}
    return Elf(
        path,
        sum(sizes.get(name, 0) for name in _IN_FLASH),
        sum(sizes.get(name, 0) for name in _IN_RAM),
        sections[_HARNESS][0] if _HARNESS in sections else _NO_HARNESS,
    )


def _sections(data: bytes) -> dict[str, tuple[int, int]]:
    """(address, bytes) of every section."""
    table_at, entry_bytes, count, names_index = struct.unpack_from("<I10xHHH", data, 32)
    rows = [struct.unpack_from("<10I", data, table_at + i * entry_bytes) for i in range(count)]
    names_at = rows[names_index][4]
    return {_string(data, names_at + row[0]): (row[3], row[5]) for row in rows}


def _string(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode("ascii")
