"""Which call runs an op: forward ops have one, those of the backward pass one for every arithmetic."""

from __future__ import annotations

from tflm_export.emit import calls, calls_f32
from tflm_export.emit.engine import Engine, KernelCall
from tflm_export.errors import ExportError
from tflm_export.gradients import GRADIENTS, SUMS
from tflm_export.gradients.training_graph import LOSSES
from tflm_export.ir import Op
from tflm_export.memory.lifetimes import VIEWS
from tflm_export.ops.check import where

BACKWARD = {*GRADIENTS, *SUMS, *LOSSES.values()}
CALLS = {
    "int16": calls.CALLS,
    "float32": {kind: make for kind, make in calls.CALLS.items() if kind not in BACKWARD} | calls_f32.CALLS,
}


def call(e: Engine, op: Op, masks: bool = True) -> list[str]:
    """The statements that run `op`; none for a view. `masks` false: an inference, no clip mask is kept.

    The call is noted in `e.calls`. Raises `ExportError` when no kernel does.
    """
    if op.kind in VIEWS:
        return []
    statements = _statements(e, op, masks)
    e.calls.append(KernelCall(_kernel(statements), op))
    return [*statements, f"board_lap({len(e.calls) - 1});"] if e.laps else statements


def _kernel(statements: list[str]) -> str:
    """The kernel that the last call of `statements` runs."""
    last = next(text for text in map(str.lstrip, reversed(statements)) if text.startswith("tfodl::"))
    return last.partition("(")[0].removeprefix("tfodl::")


def _statements(e: Engine, op: Op, masks: bool) -> list[str]:
    table = CALLS[e.gradients]
    if op.kind in table:
        return table[op.kind](e, op, masks)
    if op.kind in calls.CALLS:
        raise ExportError(
            f"{where(op)}: there is no {e.gradients} kernel for it; "
            "compile with int16 gradients, or leave the layers before it frozen."
        )
    raise ExportError(f"{where(op)}: there is no kernel for it; allowed: {', '.join(sorted(table))}.")
