"""How a flash is divided: pages that are erased, units that are written.

>>> Geometry().room(5), BANK.room(5)
(20, 32)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tflm_export.round_up import round_up

PAGE_HEAD = struct.Struct("<I8sIHHBBBBI")
RECORD_HEAD = struct.Struct("<HBBHH")
CRC_BYTES = 4
LARGEST_END = 32_768  # of ends in heads, 16 bits of which the lowest is free


@dataclass(frozen=True)
class Geometry:
    """page_bytes: erased at a time. write_bytes: written at a time, once between two erases."""

    page_bytes: int = 4096
    write_bytes: int = 4

    @property
    def head(self) -> int:
        """Bytes of a page's head."""
        return self.aligned(PAGE_HEAD.size)

    @property
    def usable(self) -> int:
        """Bytes of a page, behind its head, before a last commit."""
        return self.page_bytes - self.head - self.room(0)

    @property
    def grain(self) -> int:
        """Bytes that an end in a page's head counts."""
        return max(1, self.page_bytes // LARGEST_END)

    def aligned(self, nbytes: int) -> int:
        """`nbytes` in whole units."""
        return round_up(nbytes, self.write_bytes)

    def room(self, payload_bytes: int) -> int:
        """Bytes of flash that a record takes."""
        return self.aligned(RECORD_HEAD.size + payload_bytes + CRC_BYTES)


NORDIC = Geometry()  # of the nRF52840; that of Picos and ESP32s is taken as the same
BANK, BANK_PAGES = Geometry(131_072, 32), 4  # of an STM32H7, and its area


def geometry_of(image: bytes) -> Geometry:
    """Of the flash that an area's image is of: no area of pages of 4 KB is as large as an STM32H7's.

    >>> geometry_of(bytes(16_384)).page_bytes, geometry_of(bytes(4 * 131_072)).page_bytes
    (4096, 131072)
    """
    return BANK if len(image) == BANK_PAGES * BANK.page_bytes else NORDIC
