"""`intel_hex`: bytes at an address as the text that flashing tools read.

A record is `:`, count, address (2 bytes), kind, data, and the byte that makes the sum of all of them 0. Kind
0 is data, 4 the upper half of the addresses that follow, 1 the end.
"""

from __future__ import annotations

ROW = 16  # bytes of data a record
BLOCK = 0x10000  # that one upper half covers


def intel_hex(address: int, data: bytes) -> str:
    """The file's text.

    >>> print(intel_hex(0x90000, bytes(3)), end="")
    :020000040009F1
    :03000000000000FD
    :00000001FF
    """
    lines: list[str] = []
    upper = -1
    at = address
    while at < address + len(data):
        size = min(ROW, BLOCK - at % BLOCK, address + len(data) - at)
        if at // BLOCK != upper:
            upper = at // BLOCK
            lines.append(_record(0, 4, upper.to_bytes(2, "big")))
        lines.append(_record(at % BLOCK, 0, data[at - address : at - address + size]))
        at += size
    return "\n".join([*lines, _record(0, 1, b""), ""])


def _record(at: int, kind: int, data: bytes) -> str:
    row = bytes([len(data), at >> 8, at & 0xFF, kind]) + data
    return f":{row.hex().upper()}{-sum(row) & 0xFF:02X}"
