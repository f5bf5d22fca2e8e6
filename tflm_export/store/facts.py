"""What an engine's store takes, and how long it lasts: for reports.

>>> store_facts(compile_model(tflite, UpdatePlan()).graph, UpdatePlan()) is None
True
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.plan import PAGE_BYTES, PAGES, UpdatePlan
from tflm_export.store.arrays import StoredArray, stored_arrays
from tflm_export.store.geometry import NORDIC, Geometry
from tflm_export.store.samples import Samples, samples_in_flash

ERASES = 10_000  # a page of the nRF52840's flash takes as many; one of an STM32H7's, too
STORE_RAM_BYTES = 84  # tfodl::Store
CODE_BYTES = 7_680  # the library's part, at -Os for a Cortex-M4, from above
SAMPLES_CODE_BYTES = 2_048  # and that of samples


def store_facts(graph: Graph, plan: UpdatePlan) -> dict[str, Any] | None:
    """Bytes of RAM and flash, and saves; None where the plan keeps nothing.

    state_bytes: what learning changes, unpacked, samples apart. saves: of a state in which everything changed
    and nothing could be packed, at `ERASES` a page; 0 where the area cannot hold such a state beside the one
    before. samples: of a memory in flash, what `_sample_facts` gives.
    """
    if not plan.store_bytes or graph.loss is None:
        return None
    arrays, samples = stored_arrays(graph, plan), samples_in_flash(graph, plan)
    rooms = _all_rooms(arrays)
    pages = plan.store_bytes // PAGE_BYTES
    page = NORDIC.usable - max(rooms)
    pages_a_save = -(-sum(rooms) // page)
    resting = 0 if samples is None else _Room(rooms, samples, pages).resting
    fits = pages_a_save + sum(rooms) // page + 3 <= pages - resting  # store.cpp, begin
    records = len(rooms) + (0 if samples is None else samples.records)
    facts = {
        "area_bytes": plan.store_bytes,
        "code_bytes": CODE_BYTES + (0 if samples is None else SAMPLES_CODE_BYTES),
        "ram_bytes": STORE_RAM_BYTES + 2 * records,
        "records": records,
        "state_bytes": sum(array.count * array.width for array in arrays),
        "saves": (pages - resting) * ERASES // pages_a_save if fits else 0,
    }
    return facts if samples is None else facts | {"samples": _sample_facts(_Room(rooms, samples, pages))}


def check_samples(graph: Graph, plan: UpdatePlan) -> None:
    """Raise `ExportError` when the store cannot keep a memory's samples and let one of them be replaced."""
    samples = samples_in_flash(graph, plan)
    if samples is None:
        return
    rooms = _all_rooms(stored_arrays(graph, plan))
    if _Room(rooms, samples, plan.store_bytes // PAGE_BYTES).changes >= 1:
        return
    enough = next((n for n in PAGES if _Room(rooms, samples, n).changes >= 1), None)
    advice = f"give it {enough * PAGE_BYTES}, or remember fewer" if enough else "remember fewer"
    raise ExportError(
        f"update plan: a store of {plan.store_bytes} bytes does not hold {samples.places} samples of "
        f"{samples.room()} bytes of flash each beside {sum(rooms)} of what learns, and room to replace one; "
        f"{advice}."
    )


def changes_between_saves(graph: Graph, plan: UpdatePlan) -> int:
    """Saved samples of a memory in flash that may be replaced before the next save."""
    samples = samples_in_flash(graph, plan)
    assert samples is not None
    return _Room(_all_rooms(stored_arrays(graph, plan)), samples, plan.store_bytes // PAGE_BYTES).changes


def check_area(graph: Graph, plan: UpdatePlan, pages: int, geometry: Geometry, board: str) -> None:
    """Raise `ExportError` when an area of `pages` does not hold what the engine may keep at a time."""
    samples, held = samples_in_flash(graph, plan) or Samples(0, 1), 0
    if samples.places:
        held = samples.places + changes_between_saves(graph, plan)
    room = _Room(_all_rooms(stored_arrays(graph, plan), geometry), samples, pages, geometry)
    wanted = sum(room.rooms) + held * room.sample
    if wanted > room.live:
        raise ExportError(
            f"update plan: what learns and is remembered takes up to {wanted:,} B of the flash of {board}, "
            f"whose {pages} pages of {geometry.page_bytes:,} B hold {room.live:,}; train less, remember "
            "fewer, or take less store_bytes, of which fewer samples may be replaced between two saves."
        )


@dataclass(frozen=True)
class _Room:
    """What a store's pages hold of samples, whatever order records come in. rooms: of the state's records."""

    rooms: list[int]
    samples: Samples
    pages: int
    geometry: Geometry = NORDIC

    @property
    def page(self) -> int:
        """Bytes of live records in a page at least, once the log was compacted."""
        commits = 2 * self.geometry.room(0)  # that may lie in a page of nothing but live records
        return self.geometry.usable - max(*self.rooms, self.samples.largest(self.geometry)) - commits

    @property
    def sample(self) -> int:
        """Bytes of flash that one takes."""
        return self.samples.room(self.geometry)

    @property
    def resting(self) -> int:
        """Pages that hold nothing but samples, at most."""
        return -(-self.samples.places * self.sample // self.page)

    @property
    def live(self) -> int:
        """Bytes of records that may be alive; compaction brings all of them to one page where one is left."""
        spare = self.pages - self._wanted()
        return max(spare - 1, 1) * self.page if spare > 0 else 0

    @property
    def changes(self) -> int:
        """Saved samples that may have been replaced at a time; below 0 where not even all can be saved."""
        left = self.live - sum(self.rooms)
        return min(left // self.sample - self.samples.places, self.samples.places)

    def _wanted(self) -> int:
        """Free pages that the largest transaction asks for: store.cpp, begin."""
        usable, empty = self.geometry.usable, self.geometry.room(0)
        save = sum(self.rooms) // (usable - max(self.rooms))
        sample = self.sample // (usable - self.samples.largest(self.geometry))
        removal = self.samples.records * empty // (usable - empty)
        return 3 + max(save, sample, removal)


def _sample_facts(room: _Room) -> dict[str, int]:
    """bytes: of flash a sample. changes: that may replace saved ones before the next save. lasts: samples
    that the flash takes, at `ERASES` a page, while the memory is full."""
    moving = max(0, room.pages - room.resting - 1)
    return {
        "places": room.samples.places,
        "bytes": room.sample,
        "changes": room.changes,
        "lasts": moving * ERASES * room.page // room.sample,
    }


def _all_rooms(arrays: tuple[StoredArray, ...], geometry: Geometry = NORDIC) -> list[int]:
    """Bytes of every record, not packed."""
    return [geometry.room(1 + size) for array in arrays for size in _sizes(array)]


def _sizes(array: StoredArray) -> list[int]:
    """Bytes of the values in every record of an array."""
    left = array.count * array.width
    return [
        min(array.piece * array.width, left - i * array.piece * array.width) for i in range(array.records)
    ]
