"""`check_fits`: whether an engine, and what it keeps, fits a board; by measured costs where there are any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tflm_export.boards import Board
from tflm_export.compiler import Compiled
from tflm_export.emit.constants import HEAD_BYTES
from tflm_export.errors import ExportError
from tflm_export.living.image import area_bytes
from tflm_export.memory.engine_size import flash_estimate
from tflm_export.memory.storage import STACK_BYTES

Use = dict[str, tuple[int, int]]  # what: (bytes that the engine takes, bytes that the board has)


def check_fits(compiled: Compiled, costs: Mapping[str, Any], target: Board) -> None:
    """Raise `ExportError` for an engine that is larger than the board.

    costs: facts of `report`, of the engine or of the same one whose constants are part of it; empty: planned.
    """
    facts = dict(compiled.facts) | dict(costs)
    used = uses(compiled, costs, target)
    over = [
        f"{what} {have:,} B, {have - most:,} B too much" for what, (have, most) in used.items() if have > most
    ]
    if over:
        found = "" if "flash_bytes" in facts else " (planned; --measure links it)"
        raise ExportError(
            f"engine {facts['name']!r} does not fit {target.title}: {'; '.join(over)}{found}. "
            "tflm-export report shows which tensors take it and which smaller plan fits."
        )


def uses(compiled: Compiled, costs: Mapping[str, Any], target: Board) -> Use:
    """What the engine takes of each of the board's memories."""
    facts = dict(compiled.facts) | dict(costs)
    ram = facts.get("static_ram_bytes", facts["planned_static_ram_bytes"])
    area = area_bytes(compiled.graph, compiled.plan)
    flash = facts.get("flash_bytes", flash_estimate(compiled.graph))
    used = {
        "static RAM": (ram, target.ram_bytes),
        "stack": (facts.get("stack_bytes", STACK_BYTES), target.stack_bytes),
    }
    if target.constants is None or compiled.constants is None:
        return used | {"flash": (flash + area * (target.area == "sketch"), target.flash_bytes)}
    if "flash_bytes" not in costs or "constants_at" not in costs:  # what was counted holds the constants, too
        flash -= len(compiled.constants.data) - HEAD_BYTES
    constants = len(compiled.constants.data) + area
    return used | {
        "program": (flash, target.flash_bytes),
        "program and static RAM": (flash + ram, target.loaded_bytes),
        "constants" + " and what is learned" * (area > 0): (constants, target.constants.nbytes),
    }
