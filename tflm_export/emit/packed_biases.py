"""First values of trained biases in flash: as many bits a number as most need, unpacked by `reset()`.

>>> packed = pack(np.array([3, -3, 100_000]))
>>> packed.bits, len(packed.data), unpack(packed, 3).tolist()
(3, 6, [3, -3, 100000])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

WORD = 32
ENTRY_BYTES = 12  # tfodl::PackedBias
CODE_BYTES = 160  # what unpacks them


@dataclass(frozen=True)
class Packed:
    """Signed numbers of `bits` bits, one behind the other, lowest bit first. The lowest number that these can
    hold says that one of 32 bits follows.
    """

    bits: int
    data: np.ndarray


def pack(values: np.ndarray) -> Packed:
    """int32 [n] in the fewest bytes."""
    needed = np.array([int(abs(int(v))).bit_length() + 1 for v in values.reshape(-1)])
    bits = min(range(1, WORD + 1), key=lambda b: b * needed.size + WORD * int((needed > b).sum()))
    text = "".join(_field(int(v), n, bits) for v, n in zip(values.reshape(-1), needed, strict=True))
    return Packed(bits, np.packbits(np.array(list(text), np.uint8), bitorder="little"))


def _field(value: int, needed: int, bits: int) -> str:
    """One number's bits."""
    if needed <= bits:
        return _binary(value, bits)
    return _binary(-(1 << (bits - 1)), bits) + _binary(value, WORD)


def _binary(value: int, bits: int) -> str:
    return format(value & ((1 << bits) - 1), f"0{bits}b")[::-1]


def unpack(packed: Packed, count: int) -> np.ndarray:
    """int32 [count]: what `tfodl::unpack_biases` does."""
    stream = int.from_bytes(packed.data.tobytes(), "little")
    found = []
    for _ in range(count):
        value, stream = _signed(stream, packed.bits), stream >> packed.bits
        if value == -(1 << (packed.bits - 1)):
            value, stream = _signed(stream, WORD), stream >> WORD
        found.append(value)
    return np.array(found, np.int32)


def _signed(stream: int, bits: int) -> int:
    value = stream & ((1 << bits) - 1)
    return value - (value >> (bits - 1) << bits)


def packed_biases(biases: Mapping[str, np.ndarray]) -> dict[str, Packed]:
    """Of biases int32 [n], by name; of none where the code that unpacks them takes more than they save."""
    found = {name: pack(values) for name, values in biases.items()}
    saved = sum(values.nbytes for values in biases.values())
    saved -= sum(packed.data.nbytes + ENTRY_BYTES for packed in found.values())
    return found if saved > CODE_BYTES else {}
