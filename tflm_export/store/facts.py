"""What an engine's store takes, and how long it lasts: for reports.

>>> store_facts(compile_model(tflite, UpdatePlan()).graph, UpdatePlan()) is None
True
"""

from __future__ import annotations

from typing import Any

from tflm_export.ir import Graph
from tflm_export.plan import PAGE_BYTES, UpdatePlan
from tflm_export.round_up import round_up
from tflm_export.store.arrays import StoredArray, stored_arrays
from tflm_export.store.log import PAGE_HEAD, RECORD_HEAD

ERASES = 10_000  # a page of the nRF52840's flash takes as many
STORE_RAM_BYTES = 68  # tfodl::Store
CODE_BYTES = 7_680  # the library's part, at -Os for a Cortex-M4, from above
CRC_BYTES, UNIT_BYTES = 4, 4


def store_facts(graph: Graph, plan: UpdatePlan) -> dict[str, Any] | None:
    """Bytes of RAM and flash, and saves; None where the plan keeps nothing.

    state_bytes: what learning changes, unpacked. saves: of a state in which everything changed and nothing
    could be packed, at `ERASES` a page; 0 where the area cannot hold such a state beside the one before.
    """
    if not plan.store_bytes or graph.loss is None:
        return None
    arrays = stored_arrays(graph, plan)
    rooms = [room for array in arrays for room in _rooms(array)]
    pages = plan.store_bytes // PAGE_BYTES
    usable = PAGE_BYTES - PAGE_HEAD.size - _room(0)
    page = usable - max(rooms)
    pages_a_save = -(-sum(rooms) // page)
    fits = pages_a_save + sum(rooms) // page + 3 <= pages  # store.cpp, begin
    return {
        "area_bytes": plan.store_bytes,
        "code_bytes": CODE_BYTES,
        "ram_bytes": STORE_RAM_BYTES + 2 * len(rooms),
        "records": len(rooms),
        "state_bytes": sum(array.count * array.width for array in arrays),
        "saves": pages * ERASES // pages_a_save if fits else 0,
    }


def _rooms(array: StoredArray) -> list[int]:
    """Bytes of every record of an array, not packed."""
    left = array.count * array.width
    sizes = [
        min(array.piece * array.width, left - i * array.piece * array.width) for i in range(array.records)
    ]
    return [_room(1 + size) for size in sizes]


def _room(payload_bytes: int) -> int:
    return round_up(RECORD_HEAD.size + payload_bytes + CRC_BYTES, UNIT_BYTES)
