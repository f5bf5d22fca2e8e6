"""Frames of the serial protocol as bytes, and a reader that finds them among text and rubbish.

>>> reader = FrameReader()
>>> reader.feed(b"loss:0.5\\n" + frame(1, 7, b"abc")[:-1])
>>> reader.next(), reader.texts()
(None, ['loss:0.5'])
>>> reader.feed(frame(1, 7, b"abc")[-1:])
>>> reader.next()
Frame(kind=1, sequence=7, payload=b'abc')
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

MAGIC = b"\xa5\x7e"
HEADER = struct.Struct("<2sBBIH")
SIGNED = 8  # header bytes under a checksum
TAIL = 4
ANSWER = 0x80
MOST_PAYLOAD = 2**20  # of an answer


@dataclass(frozen=True)
class Frame:
    """A whole and undamaged frame."""

    kind: int
    sequence: int
    payload: bytes


def frame(command: int, sequence: int, payload: bytes = b"") -> bytes:
    """The bytes of a frame."""
    head = struct.pack("<2sBBI", MAGIC, command, sequence, len(payload))
    crc = zlib.crc32(head)
    return head + struct.pack("<H", crc & 0xFFFF) + payload + struct.pack("<I", zlib.crc32(payload, crc))


class FrameReader:
    """Takes bytes as they come, gives frames; what stands between them is text."""

    def __init__(self) -> None:
        self._pending = b""
        self._text = b""

    def feed(self, data: bytes) -> None:
        """More bytes."""
        self._pending += data

    def next(self) -> Frame | None:
        """The next frame; None until it is whole."""
        while True:
            self._to_magic()
            if len(self._pending) < HEADER.size:
                return None
            _, kind, sequence, length, check = HEADER.unpack_from(self._pending)
            crc = zlib.crc32(self._pending[:SIGNED])
            if crc & 0xFFFF != check or length > MOST_PAYLOAD:
                self.skip()
                continue
            end = HEADER.size + length
            if len(self._pending) < end + TAIL:
                return None
            payload = self._pending[HEADER.size : end]
            (final,) = struct.unpack_from("<I", self._pending, end)
            if zlib.crc32(payload, crc) != final:
                self.skip()
                continue
            self._pending = self._pending[end + TAIL :]
            return Frame(kind, sequence, payload)

    @property
    def in_a_frame(self) -> bool:
        """Whether a frame has begun that is not whole."""
        return len(self._pending) >= len(MAGIC)

    def skip(self) -> None:
        """Give up the frame that has begun: the search goes on behind its first byte."""
        self._pending = self._pending[1:]

    def clear(self) -> None:
        """Forget what came from a line that is no more."""
        self._pending = self._text = b""

    def texts(self) -> list[str]:
        """The whole text lines so far, each given once."""
        whole, end, self._text = self._text.rpartition(b"\n")
        return [line for line in (whole + end).decode("ascii", "replace").splitlines() if line]

    def _to_magic(self) -> None:
        at = self._pending.find(MAGIC)
        if at < 0:  # the first half of a magic may be there
            at = len(self._pending) - self._pending.endswith(MAGIC[:1])
        self._text += self._pending[:at]
        self._pending = self._pending[at:]
