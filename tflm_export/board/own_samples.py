"""C++ for a sketch whose samples come from a sensor and not from a host: classes and their names, `learn`,
`keep`."""

from __future__ import annotations

from collections.abc import Sequence

from tflm_export.compiler import Compiled
from tflm_export.cpp import quoted
from tflm_export.ops import LOSSES
from tflm_export.plan import UpdatePlan
from tflm_export.template import fill


def own_samples(compiled: Compiled, names: Sequence[str] = ()) -> str:
    """The functions for `compiled`; names: of its classes."""
    plan, loss = compiled.plan, compiled.graph.loss
    assert loss is not None
    return (_classes(compiled, names) if LOSSES[loss.kind].by_label else "") + _keep(plan)


def _classes(compiled: Compiled, names: Sequence[str]) -> str:
    plan, spare = compiled.plan, compiled.plan.spare_classes
    known = names or [str(label) for label in range(compiled.output.size - spare)]
    all_names = [*known, *(f"new {i + 1}" for i in range(spare))]
    own = f"label >= {len(known)} && spare_name(label)[0] != 0 ? spare_name(label) : kNames[label]"
    return fill(
        "sketch_own.h",
        used="net::classes()" if spare else "net::kLogits",
        names=", ".join(map(quoted, all_names)),
        name_of=own if spare else "kNames[label]",
        remembered=", and of remembered ones" if plan.memory is not None else "",
        remember=_remember(plan),
    )


def _remember(plan: UpdatePlan) -> str:
    if plan.memory is None:
        return ""
    room = "" if plan.memory.where == "ram" else "  if (loss >= 0.0f) make_room();\n"
    return f"{room}  if (loss >= 0.0f) net::remember(label);\n"


def _keep(plan: UpdatePlan) -> str:
    if plan.pool is not None:
        save = "return net::new_epoch() == StoreStatus::kOk;"
    elif plan.store_bytes:
        save = "return save_all() == StoreStatus::kOk;"
    else:
        save = "return false;"
    return f"""
// Puts what was learned into flash; false where that failed, or the engine has no flash.
inline bool keep() {{ {save} }}
"""
