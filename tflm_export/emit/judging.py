"""The parts of an engine that judges what it learned, and goes back (docs/living.md)."""

from __future__ import annotations

from tflm_export.emit.engine import Engine
from tflm_export.emit.variables import symbol_of
from tflm_export.living.capacity import good_bytes
from tflm_export.ops.convolution.update import state_arrays
from tflm_export.ops.loss import exp_table, loss_scale
from tflm_export.plan import Guard
from tflm_export.template import fill

_ONCE = "    if (judges_already()) return true;"
_STEP_DONE = "\n  step_done();"
_EMPTY = ("judging_parts", "judging_reset", "judging_header", "offer_judge", "hold_out", "step_done", "judge")


def judging_parts(e: Engine, living: dict[str, str]) -> dict[str, str]:
    """The fields of the templates that a guard changes, from those of the engine with a memory."""
    if e.plan.guard is None:
        return dict.fromkeys(_EMPTY, "")
    fields = living | _facts(e, e.plan.guard)
    fields |= unlearned_parts(e, living | {"step_done": _STEP_DONE})
    return {
        "judging_parts": fill("judging_parts.cpp", fields).rstrip(),
        "judging_reset": _RESET,
        "judging_header": fill("judging.h", fields),
        "offer_judge": f"\n  if ({_held_out(e)}) {{\n{_ONCE}\n{living['keep_judge']}\n  }}",
        "hold_out": f"\n  if ({_held_out(e)}) return unlearned(label);",
        "step_done": _STEP_DONE,
        "judge": fill("judging.cpp", fields),
    }


_RESET = (
    "\n  memset(judge_offered, 0, sizeof judge_offered);\n  judge_counts = {0, 0, 0, 0};\n"
    "  steps_judged = 0;\n  keep();"
)


def _held_out(e: Engine) -> str:
    """Whether the last picture judges; never one that opens a class."""
    opens = "!is_first(label) && " if e.plan.spare_classes else ""
    return f"{opens}tfodl::is_held_out(last, kLatentBytes, kHeldOut)"


def unlearned_parts(e: Engine, living: dict[str, str]) -> dict[str, str]:
    """The loss of a picture that makes no step, and what it needs, from the fields of the engine."""
    e.tables.add("uint32_t", "judge_exp", exp_table(loss_scale(e.loss, e.graph)))
    return {name: fill(f"{name}.cpp", living) for name in ("probability", "unlearned")}


def _facts(e: Engine, guard: Guard) -> dict[str, str]:
    states = [
        f"{kind}_{symbol_of(e, v)}"
        for v in e.variables
        for kind, on in state_arrays(e.plan.optimizer, v).items()
        if on and not v.pooled
    ]
    forget = [f"  memset({name}, 0, sizeof {name});" for name in states]
    return _good_state(e) | {
        "judges": str(guard.samples),
        "held_out": str(guard.held_out),
        "every": str(guard.every),
        "good_bytes": str(good_bytes(e.graph, e.plan)),
        "forget_steps": "\n".join(forget + (["  forget_chosen();"] if e.candidates else [])),
    }


def _good_state(e: Engine) -> dict[str, str]:
    """How the state becomes the good one, and is exchanged with it; a pool has its rows behind the rest."""
    call, rows = "tfodl::{}_parameters(parameters(), kParameters, good);", ""
    if e.candidates:
        call = "move_good<tfodl::{}_parameters>();"
        rows = fill("judging_rows.cpp", {"at": str(sum(v.nbytes for v in e.variables))}) + "\n"
    return {
        "chosen_rows": rows,
        "keep": f"void keep() {{ {call.format('copy')} }}",
        "swap": call.format("swap"),
    }
