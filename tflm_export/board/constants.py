"""Constants that lie beside the sketch, written into a board's flash over its cable.

>>> from tflm_export.apart import apart
>>> from tflm_export.board.simulated import SimulatedBoard
>>> compiled = apart(compile_model(tflite, plan), 0x90000)
>>> with SimulatedBoard(compiled, constants=b"") as board, board.client() as client:
...     client.train(inputs[0], 3)
Traceback (most recent call last):
...
tflm_export.errors.ExportError: the board refuses TRAIN: the constants in its flash are missing, ...
>>> with SimulatedBoard(compiled, constants=b"") as board, board.client() as client:
...     pages = write_constants(client, compiled)
...     pages, client.train(inputs[0], 3).steps
(1, 1)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tflm_export.apart import apart
from tflm_export.board.client import BoardClient, chunks
from tflm_export.board.commands import Command
from tflm_export.compiler import Compiled
from tflm_export.emit.constants import HEAD, HEAD_BYTES
from tflm_export.errors import ExportError

STATUS = ("ok", "missing", "foreign", "damaged")  # tfodl::ConstantsStatus
_ANSWER = struct.Struct(f"<BI{HEAD_BYTES}s")
_TRIES = 3  # of a page, before its flash is called worn


@dataclass(frozen=True)
class ConstantsPlace:
    """What a board says of its constants: `status` of `STATUS`, pages of `page_bytes`, the image's `head`."""

    status: str
    page_bytes: int
    head: bytes

    @property
    def address(self) -> int:
        """Where the image begins."""
        return int(HEAD.unpack_from(self.head)[3])


def constants_place(board: BoardClient) -> ConstantsPlace:
    """What the board says. Raises `ExportError` where its sketch has its constants in it."""
    answer = board.ask(Command.CONSTANTS, b"", _ANSWER.size)
    number, page_bytes, head = _ANSWER.unpack(answer)
    return ConstantsPlace(STATUS[number] if number < len(STATUS) else str(number), page_bytes, head)


def write_constants(
    board: BoardClient,
    compiled: Compiled,
    *,
    over: bool = False,
    on_page: Callable[[int, int], None] | None = None,
) -> int:
    """Write the image of an engine's constants, and start the engine; how many pages were written.

    Pages that are right already are left alone: after a cut it goes on where it was. Until the last one is
    there and the board has checked the whole, it neither predicts nor learns. over: write over what is no
    image of ours, too. on_page: told (pages done, pages in all).
    Raises `ExportError` where the board runs another engine, has its constants in its sketch, has something
    else there, or its flash does not take them; `LinkLost` when the cable is pulled.
    """
    board.info().check(compiled)
    place = constants_place(board)
    image = apart(compiled, place.address).constants
    assert image is not None
    if image.head != place.head:
        raise ExportError(
            f"the board's sketch reads other constants at {place.address:#x} than engine {compiled.name!r} "
            "has; make its sketch anew with tflm-export sketch, and flash it."
        )
    if place.status == "ok":
        return 0
    board.ask(Command.BEGIN_CONSTANTS, image.head + bytes([over]))
    starts = range(0, len(image.data), place.page_bytes)
    written = 0
    for page, start in enumerate(starts):
        written += _write_page(board, page, image.data[start : start + place.page_bytes])
        if on_page is not None:
            on_page(page + 1, len(starts))
    board.ask(Command.END_CONSTANTS)
    return written


def _write_page(board: BoardClient, page: int, data: bytes) -> bool:
    """Whether the page had to be written."""
    wanted = zlib.crc32(data)
    for tried in range(_TRIES + 1):
        if _page_crc(board, page) == wanted:
            return tried > 0
        for at, n in chunks(len(data)) if tried < _TRIES else ():
            board.ask(Command.WRITE_CONSTANTS, struct.pack("<HH", page, at) + data[at : at + n])
    raise ExportError(f"the board's flash does not keep page {page} of its constants; it may be worn.")


def _page_crc(board: BoardClient, page: int) -> int:
    answer = board.ask(Command.CONSTANTS_PAGE, struct.pack("<H", page), 4)
    return int.from_bytes(answer, "little")
