"""Sizes of sections and of what is in flash, of a linked 32-bit little-endian ELF file."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tflm_export.errors import ExportError

_IN_FLASH = (".text", ".ARM.extab", ".ARM.exidx", ".data")
_IN_RAM = (".data", ".bss")
_HARNESS, _NO_HARNESS = ".board_text", 0xFFFF_FFFF
_SYMBOLS, _NAMES = ".symtab", ".strtab"


@dataclass(frozen=True)
class Elf:
    """A linked program. The two sizes leave out the harness, which has sections of its own.

    flash_bytes: code, constants and the initial values of variables.
    static_ram_bytes: initialised and zeroed variables (the arena is one of them); no stack.
    harness_address: where the harness's code begins; the engine's lies below.
    symbols: bytes of every function and constant of `.text`, by its name as the linker has it.
    """

    path: Path
    flash_bytes: int
    static_ram_bytes: int
    harness_address: int
    symbols: Mapping[str, int] = field(default_factory=dict)


def read_elf(path: Path) -> Elf:
    """The sizes of the program at `path`. Raises `ExportError` when it is not a 32-bit ELF file."""
    data = path.read_bytes()
    if data[:5] != b"\x7fELF\x01":
        raise ExportError(f"{path}: not a 32-bit ELF file; build it again.")
    sections = _sections(data)
    sizes = {name: nbytes for name, (_, nbytes, _) in sections.items()}
    return Elf(
        path,
        sum(sizes.get(name, 0) for name in _IN_FLASH),
        sum(sizes.get(name, 0) for name in _IN_RAM),
        sections[_HARNESS][0] if _HARNESS in sections else _NO_HARNESS,
        _in_text(data, sections),
    )


def _in_text(data: bytes, sections: Mapping[str, tuple[int, int, int]]) -> dict[str, int]:
    """Bytes by name of what lies in `.text`; of several names of one place the first, equal names as one."""
    if not {_SYMBOLS, ".text"} <= sections.keys():
        return {}
    start, nbytes, _ = sections[".text"]
    at_place: dict[int, tuple[str, int]] = {}
    for name, address, size in _symbols(data, sections):
        if start <= address < start + nbytes and size:
            at_place.setdefault(address & ~1, (name, size))
    found: dict[str, int] = {}
    for name, size in at_place.values():
        found[name] = found.get(name, 0) + size
    return found


def _symbols(data: bytes, sections: Mapping[str, tuple[int, int, int]]) -> Iterator[tuple[str, int, int]]:
    """(name, address, bytes)."""
    (_, nbytes, table), (_, _, names) = sections[_SYMBOLS], sections[_NAMES]
    for at in range(table, table + nbytes, 16):
        name, address, size = struct.unpack_from("<III", data, at)
        yield _string(data, names + name), address, size


def _sections(data: bytes) -> dict[str, tuple[int, int, int]]:
    """(address, bytes, place in the file) of every section."""
    table_at, entry_bytes, count, names_index = struct.unpack_from("<I10xHHH", data, 32)
    rows = [struct.unpack_from("<10I", data, table_at + i * entry_bytes) for i in range(count)]
    names_at = rows[names_index][4]
    return {_string(data, names_at + row[0]): (row[3], row[5], row[4]) for row in rows}


def _string(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode("ascii")
