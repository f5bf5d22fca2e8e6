"""The store's log, read from an image of its flash area: docs/store.md, "Format".

>>> read_log(bytes(4 * 4096), Identity(b"8 bytes.", (0, 1)))
Traceback (most recent call last):
tflm_export.errors.ExportError: store: the area holds no log; let the device save something first.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from tflm_export.errors import ExportError
from tflm_export.store.geometry import NORDIC, PAGE_HEAD, RECORD_HEAD, Geometry

MAGIC, VERSION = 0x4C445400, 1
FIRST, CONTINUES = 1, 2
DATA, COMMIT = 0xD1, 0xC3
LAST_SEQUENCE = 0xFFFFFF00
Records = dict[tuple[int, int], bytes]


@dataclass(frozen=True)
class Identity:
    """What a log must be of. engine: 8 bytes. first: first record number of every key, and their count."""

    engine: bytes
    first: tuple[int, ...]

    def allows(self, key: int, index: int) -> bool:
        """Whether there can be such a record."""
        return key < len(self.first) - 1 and index < self.first[key + 1] - self.first[key]


@dataclass(frozen=True)
class _Page:
    """The head of a page."""

    version: int
    identity: bytes
    sequence: int
    accepted_end: int
    previous_end: int
    accepted_page: int
    oldest: int
    flags: int
    pages: int


@dataclass(frozen=True)
class _Record:
    kind: int
    key: int
    index: int
    payload: bytes
    end: int


class _Area:
    """Pages and records of an image, unchecked in their order."""

    def __init__(self, image: bytes, geometry: Geometry):
        self.image, self.geometry, self.page_bytes = image, geometry, geometry.page_bytes
        self.count = len(image) // self.page_bytes
        self.heads = [self._head(i) for i in range(self.count)]

    def _head(self, page: int) -> _Page | None:
        raw = self.image[page * self.page_bytes :][: PAGE_HEAD.size]
        magic, *fields, crc = PAGE_HEAD.unpack(raw)
        whole = magic & ~0xFF == MAGIC and zlib.crc32(raw[:-4]) == crc and fields[1] < LAST_SEQUENCE
        return _Page(magic & 0xFF, *fields) if whole else None

    def record(self, page: int, sequence: int, at: int) -> _Record | None:
        """The record at `at` of a page; None where there is no whole one."""
        if at + self.geometry.room(0) > self.page_bytes:
            return None
        data = self.image[page * self.page_bytes :][: self.page_bytes]
        size, kind, _, key, index = RECORD_HEAD.unpack_from(data, at)
        end = at + self.geometry.room(size)
        commit = kind == COMMIT and size == 0 and key < self.count
        if not (commit or kind == DATA) or end > self.page_bytes:
            return None
        signed = at + RECORD_HEAD.size + size
        if zlib.crc32(data[at:signed], sequence) != int.from_bytes(data[signed : signed + 4], "little"):
            return None
        return _Record(kind, key, index, data[at + RECORD_HEAD.size : signed], end)

    def records(self, page: int, sequence: int) -> Iterator[_Record]:
        """Whole records from the start of a page, up to the first that is not."""
        at = self.geometry.head
        while record := self.record(page, sequence, at):
            yield record
            at = record.end


def read_log(image: bytes, identity: Identity, geometry: Geometry = NORDIC) -> Records:
    """The last committed records by (key, index), bit for bit what the device finds at its start.

    geometry: of the flash that `image` is of.

    Raises `ExportError` when the area holds no log, another engine's, or a damaged one.
    """
    page_bytes = geometry.page_bytes
    if len(image) % page_bytes or not 4 <= len(image) // page_bytes <= 64:
        raise ExportError(
            f"store: the image has {len(image)} bytes; expected 4 to 64 whole pages of {page_bytes} bytes."
        )
    area = _Area(image, geometry)
    newest = max((h.sequence, i) for i, h in enumerate(area.heads) if h) if any(area.heads) else None
    if newest is None:
        raise ExportError("store: the area holds no log; let the device save something first.")
    head = area.heads[newest[1]]
    assert head is not None
    _check_owner(head, identity, area)
    records = _rebuild(area, head, newest[1], identity)
    if records is None:
        raise ExportError("store: a committed record is damaged; format the store on the device.")
    return records


def _owned(head: _Page, identity: Identity, area: _Area) -> bool:
    ends = max(head.accepted_end, head.previous_end) * area.geometry.grain <= area.page_bytes
    pages = head.accepted_page < area.count and head.oldest < area.count and head.pages == area.count
    return head.version == VERSION and head.identity == identity.engine and pages and ends


def _check_owner(head: _Page, identity: Identity, area: _Area) -> None:
    if head.version != VERSION:
        raise ExportError(f"store: version {head.version} of the log is not supported; allowed: {VERSION}.")
    if not _owned(head, identity, area):
        raise ExportError(
            f"store: the log is of engine {head.identity.hex()} in {head.pages} pages; this is engine "
            f"{identity.engine.hex()} in {area.count} pages. Use the engine that wrote it."
        )


def _rebuild(area: _Area, head: _Page, newest: int, identity: Identity) -> Records | None:
    """The committed records, or None where the log is damaged."""
    accepted = (
        (newest, area.geometry.head)
        if head.flags & FIRST
        else (head.accepted_page, area.geometry.grain * head.accepted_end)
    )
    oldest = head.oldest
    for record in area.records(newest, head.sequence):
        if record.kind == COMMIT:
            accepted, oldest = (newest, record.end), record.key
    ends = _trace(area, newest, oldest, accepted, identity)
    if ends is None:
        return None
    found: Records = {}
    depth = (newest - oldest) % area.count
    for page in ((oldest + i) % area.count for i in range(depth + 1)):
        if page in ends and not _apply(area, page, *ends[page], identity, found):
            return None
    return {key: payload for key, payload in found.items() if payload}


def _trace(
    area: _Area, newest: int, oldest: int, accepted: tuple[int, int], identity: Identity
) -> dict[int, tuple[int, bool]] | None:
    """Where what was committed ends in every page, and whether a commit stands there; None: damaged."""
    depth, age, page = (newest - oldest) % area.count, 0, newest
    ends = {newest: (accepted[1], True)} if accepted[0] == newest and accepted[1] else {}
    head = area.heads[newest]
    while age < depth:
        assert head is not None
        if head.flags & FIRST:
            return None
        whole = bool(head.flags & CONTINUES) and page in ends
        target = (page - 1) % area.count if whole else head.accepted_page
        target_age = (newest - target) % area.count
        if not age < target_age <= depth:
            return ends
        end = area.geometry.grain * (head.previous_end if whole else head.accepted_end)
        ends[target] = (end, not whole)
        below = area.heads[target]
        if below is None or not _owned(below, identity, area) or below.sequence >= head.sequence:
            return None
        head, page, age = below, target, target_age
    return ends


def _apply(area: _Area, page: int, end: int, committed: bool, identity: Identity, found: Records) -> bool:
    """Take over the records of a page; False: they do not end where they should."""
    head, at = area.heads[page], area.geometry.head
    while head is not None and at < end:
        if committed and at + area.geometry.room(0) == end:
            return True
        record = area.record(page, head.sequence, at)
        if record is None or (record.kind == DATA and not identity.allows(record.key, record.index)):
            return False
        if record.kind == DATA:
            found[record.key, record.index] = record.payload
        at = record.end
    return at == end
