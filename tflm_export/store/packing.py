"""Pieces of a store, unpacked: docs/store.md, "Packing".

>>> unpack(bytes([0, 0b1011]), 3).tolist()    # ones, then a zero: 2, 1, 0, which stand for 1, -1, 0
[1, -1, 0]
"""

from __future__ import annotations

import numpy as np

from tflm_export.errors import ExportError

RAW, MOST_ONES, MOST_PARAMETER = 0xFF, 20, 24


def unpack(payload: bytes, count: int, width: int = 4) -> np.ndarray:
    """`count` differences, int64, from the payload of a record. Raises `ExportError` when it is too short."""
    if payload[0] == RAW:
        if len(payload) != 1 + count * width:
            raise ExportError(f"store: a piece of {count} values has {len(payload)} bytes; it is damaged.")
        return np.frombuffer(payload, f"<i{width}", offset=1).astype(np.int64)
    if payload[0] > MOST_PARAMETER:
        raise ExportError(f"store: a piece is packed by an unknown rule, {payload[0]}.")
    bits = np.unpackbits(np.frombuffer(payload, np.uint8, offset=1), bitorder="little").tolist()
    values, at = [], 0
    for _ in range(count):
        value, at = _value(bits, at, payload[0])
        values.append((value >> 1) ^ -(value & 1))
    if at > len(bits):
        raise ExportError(f"store: a piece of {count} values ends too soon; it is damaged.")
    return np.array(values, np.int64)


def _value(bits: list[int], at: int, parameter: int) -> tuple[int, int]:
    """The unsigned value at bit `at`, and where the next one is."""
    ones = 0
    while ones < MOST_ONES and at + ones < len(bits) and bits[at + ones]:
        ones += 1
    if ones == MOST_ONES:
        return _plain(bits, at + ones, 32), at + ones + 32
    low = at + ones + 1
    return ones << parameter | _plain(bits, low, parameter), low + parameter


def _plain(bits: list[int], at: int, n: int) -> int:
    return sum(bit << i for i, bit in enumerate(bits[at : at + n]))
