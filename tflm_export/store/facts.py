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
from tflm_export.store.log import PAGE_HEAD, record_room
from tflm_export.store.samples import Samples, samples_in_flash

ERASES = 10_000  # a page of the nRF52840's flash takes as many
STORE_RAM_BYTES = 68  # tfodl::Store
CODE_BYTES = 7_680  # the library's part, at -Os for a Cortex-M4, from above
SAMPLES_CODE_BYTES = 2_048  # and that of samples
USABLE = PAGE_BYTES - PAGE_HEAD.size - record_room(0)  # of a page, behind its head, before a last commit
COMMITS = 2 * record_room(0)  # that may lie in a page of nothing but live records


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
    page = USABLE - max(rooms)
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
        f"{samples.room} bytes of flash each beside {sum(rooms)} of what learns, and room to replace one; "
        f"{advice}."
    )


def changes_between_saves(graph: Graph, plan: UpdatePlan) -> int:
    """Saved samples of a memory in flash that may be replaced before the next save."""
    samples = samples_in_flash(graph, plan)
    assert samples is not None
    return _Room(_all_rooms(stored_arrays(graph, plan)), samples, plan.store_bytes // PAGE_BYTES).changes


@dataclass(frozen=True)
class _Room:
    """What a store's pages hold of samples, whatever order records come in. rooms: of the state's records."""

    rooms: list[int]
    samples: Samples
    pages: int

    @property
    def page(self) -> int:
        """Bytes of live records in a page at least, once the log was compacted."""
        return USABLE - max(*self.rooms, self.samples.largest) - COMMITS

    @property
    def resting(self) -> int:
        """Pages that hold nothing but samples, at most."""
        return -(-self.samples.places * self.samples.room // self.page)

    @property
    def changes(self) -> int:
        """Saved samples that may have been replaced at a time; below 0 where not even all can be saved."""
        live = (self.pages - self._wanted() - 1) * self.page - sum(self.rooms)
        return min(live // self.samples.room - self.samples.places, self.samples.places)

    def _wanted(self) -> int:
        """Free pages that the largest transaction asks for: store.cpp, begin."""
        save = sum(self.rooms) // (USABLE - max(self.rooms))
        sample = self.samples.room // (USABLE - self.samples.largest)
        removal = self.samples.records * record_room(0) // (USABLE - record_room(0))
        return 3 + max(save, sample, removal)


def _sample_facts(room: _Room) -> dict[str, int]:
    """bytes: of flash a sample. changes: that may replace saved ones before the next save. lasts: samples
    that the flash takes, at `ERASES` a page, while the memory is full."""
    moving = max(0, room.pages - room.resting - 1)
    return {
        "places": room.samples.places,
        "bytes": room.samples.room,
        "changes": room.changes,
        "lasts": moving * ERASES * room.page // room.samples.room,
    }


def _all_rooms(arrays: tuple[StoredArray, ...]) -> list[int]:
    return [room for array in arrays for room in _rooms(array)]


def _rooms(array: StoredArray) -> list[int]:
    """Bytes of every record of an array, not packed."""
    left = array.count * array.width
    sizes = [
        min(array.piece * array.width, left - i * array.piece * array.width) for i in range(array.records)
    ]
    return [record_room(1 + size) for size in sizes]
