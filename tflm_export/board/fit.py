"""Whether an engine, and what it keeps, fits a board: the one place for `report` and `sketch`.

Memories go by the keys of `report --json`'s "over" and of a sketch's "board_allows". "flash_bytes" holds a
board's whole program, with the area of a store or a pool where that lies at the sketch's end. A board with a
range for constants has two more: "constants_bytes", for the image and the area, and "loaded_bytes", RAM for
the program and its static data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tflm_export.boards import Board
from tflm_export.compiler import Compiled
from tflm_export.emit.constants import HEAD_BYTES
from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.living.image import area_bytes
from tflm_export.memory.engine_size import flash_estimate
from tflm_export.memory.storage import STACK_BYTES
from tflm_export.plan import UpdatePlan

MEMORIES = {
    "ram_bytes": "static RAM",
    "stack_bytes": "stack",
    "flash_bytes": "flash",
    "loaded_bytes": "RAM for program and static data",
    "constants_bytes": "flash for constants and what is learned",
}


def limits(target: Board) -> dict[str, int]:
    """What the board's memories leave to an engine, bytes.

    >>> from tflm_export.boards import BOARDS
    >>> list(limits(BOARDS["nano33ble_zephyr"]))
    ['ram_bytes', 'stack_bytes', 'flash_bytes', 'loaded_bytes', 'constants_bytes']
    """
    allowed = {
        "ram_bytes": target.ram_bytes,
        "stack_bytes": target.stack_bytes,
        "flash_bytes": target.flash_bytes,
    }
    if target.constants is None:
        return allowed
    return allowed | {"loaded_bytes": target.loaded_bytes, "constants_bytes": target.constants.nbytes}


def uses(compiled: Compiled, costs: Mapping[str, Any], target: Board) -> dict[str, int]:
    """What the engine takes of each of the board's memories, bytes.

    costs: facts of `report`, of the engine or of the same one whose constants are part of it; what they lack
    is planned.
    """
    ram = costs.get("static_ram_bytes", compiled.memory.static_ram)
    used = {"ram_bytes": ram, "stack_bytes": costs.get("stack_bytes", STACK_BYTES)}
    program, image = _program(compiled, costs), _image(compiled)
    if target.constants is None:
        beside = area_in_flash(compiled.graph, compiled.plan, target)
        return used | {"flash_bytes": program + image + beside}
    return used | {
        "flash_bytes": program,
        "loaded_bytes": program + ram,
        "constants_bytes": image + area_bytes(compiled.graph, compiled.plan),
    }


def area_in_flash(graph: Graph, plan: UpdatePlan, target: Board) -> int:
    """Bytes of a store's or a pool's area at the end of the sketch's flash; 0 where it lies elsewhere."""
    return area_bytes(graph, plan) if target.area == "sketch" else 0


def over(compiled: Compiled, costs: Mapping[str, Any], target: Board) -> dict[str, int]:
    """By how many bytes the engine is too large, by memory; empty when it fits. costs: as for `uses`."""
    return _excess(uses(compiled, costs, target), target)


def _excess(used: Mapping[str, int], target: Board) -> dict[str, int]:
    return {name: used[name] - most for name, most in limits(target).items() if used[name] > most}


def check_fits(compiled: Compiled, costs: Mapping[str, Any], target: Board, taken: int = 0) -> None:
    """Raise `ExportError` for an engine that is larger than the board. costs: as for `uses`.

    taken: bytes of the sketch's flash in which other engines of it keep what they learned.
    """
    used = uses(compiled, costs, target)
    used["flash_bytes"] += taken if target.area == "sketch" else 0
    excess = _excess(used, target)
    if excess:
        sizes = [f"{MEMORIES[name]} {used[name]:,} B, {n:,} B too much" for name, n in excess.items()]
        found = "" if "flash_bytes" in costs else " (planned; --measure links it)"
        raise ExportError(
            f"engine {compiled.name!r} does not fit {target.title}: {'; '.join(sizes)}{found}. "
            "tflm-export report shows which tensors take it and which smaller plan fits."
        )


def _program(compiled: Compiled, costs: Mapping[str, Any]) -> int:
    """Flash without an image beside it; what was counted before the constants moved holds them, too."""
    if "flash_bytes" in costs and "constants_at" in costs:
        return int(costs["flash_bytes"])
    flash: int = costs.get("flash_bytes", flash_estimate(compiled.graph))
    return flash - max(0, _image(compiled) - HEAD_BYTES)


def _image(compiled: Compiled) -> int:
    return 0 if compiled.constants is None else len(compiled.constants.data)
