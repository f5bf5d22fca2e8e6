"""Which call runs an op: forward ops have one, those of the backward pass one for every arithmetic."""

from __future__ import annotations

from tflm_export.emit.engine import Engine, KernelCall
from tflm_export.emit.pause import CALL
from tflm_export.emit.slices import slices_call
from tflm_export.emit.stream import stream_call
from tflm_export.errors import ExportError
from tflm_export.ir import Op
from tflm_export.ops import GRADIENTS, INTERNAL, LOSSES, OPS, UPDATES, op_kind
from tflm_export.ops.check import where
from tflm_export.ops.kind import GradientKind, LossKind, UpdateKind

BACKWARD: dict[str, GradientKind | UpdateKind | LossKind] = {**GRADIENTS, **UPDATES, **LOSSES}


def call(e: Engine, op: Op, masks: bool = True) -> list[str]:
    """The statements that run `op`; none for a view. `masks` false: an inference, no clip mask is kept.

    The call is noted in `e.calls`. Raises `ExportError` when no kernel does.
    """
    statements = _statements(e, op, masks)
    if not statements:
        return []
    e.calls.append(KernelCall(_kernel(statements), op))
    laps = [f"board_lap({len(e.calls) - 1});"] if e.laps else []
    return [*statements, *laps, *[CALL] * e.pauses]


def _kernel(statements: list[str]) -> str:
    """The kernel that the last call of `statements` runs."""
    last = next(text for text in map(str.lstrip, reversed(statements)) if text.startswith("tfodl::"))
    return last.partition("(")[0].removeprefix("tfodl::")


def _statements(e: Engine, op: Op, masks: bool) -> list[str]:
    if op.kind == "STREAM":
        return stream_call(e, op, masks)
    if op.kind == "SLICES":
        return slices_call(e, op, masks)
    if op.kind in BACKWARD:
        return _backward(e, op)
    row = op_kind(op)
    if row.view:
        return []
    if row.call is None:
        callable_kinds = sorted(kind for kind, row in {**OPS, **INTERNAL}.items() if row.call)
        raise ExportError(f"{where(op)}: there is no kernel for it; allowed: {', '.join(callable_kinds)}.")
    return row.call(e, op, masks)


def _backward(e: Engine, op: Op) -> list[str]:
    if op.kind in GRADIENTS and GRADIENTS[op.kind].view:
        return []
    row = BACKWARD[op.kind]
    make = row.call_f32 if e.gradients == "float32" else row.call
    if make is None:
        raise ExportError(
            f"{where(op)}: there is no {e.gradients} kernel for it; "
            "compile with int16 gradients, or leave the layers before it frozen."
        )
    return make(e, op)
