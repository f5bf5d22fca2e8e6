"""The parts of an engine with spare outputs (docs/living.md)."""

from __future__ import annotations

from tflm_export.emit.engine import Engine
from tflm_export.emit.judging import unlearned_parts
from tflm_export.emit.variables import symbol_of
from tflm_export.living.new_classes import SpareHead, spare_head
from tflm_export.template import fill

_EMPTY = (
    "spare_parts",
    "spare_functions",
    "spare_header",
    "label_limit",
    "admit",
    "settle",
    "is_young",
    "spare_reset",
)
OPENED = "\n  old_classes = classes();"
_FIRST = """// Whether a picture may open its class: that has no sample yet.
bool is_first(int32_t label) { return label >= old_classes && offered[label] == 0; }

"""


def new_classes_parts(e: Engine, living: dict[str, str]) -> dict[str, str]:
    """The fields of the templates that spare outputs change, from those of the engine with a memory."""
    head = spare_head(e.graph, e.plan)
    if head is None:
        return dict.fromkeys(_EMPTY, "")
    fields = living | _facts(e, head) | {"probability": "", "unlearned": ""}
    if e.plan.guard is None:
        fields |= unlearned_parts(e, living | {"step_done": ""})
    return {
        "spare_parts": fill("new_classes_parts.cpp", fields).rstrip(),
        "spare_functions": fill("new_classes.cpp", fields),
        "spare_header": fill("new_classes.h", fields),
        "label_limit": " || label > classes()",
        "admit": "\n  admit(label);",
        "is_young": "\n  if (is_young(label)) return unlearned(label);",
        "settle": "\n  settle(label);",
        "spare_reset": OPENED,
    }


def _facts(e: Engine, head: SpareHead) -> dict[str, str]:
    symbols = {v.tensor: symbol_of(e, v) for v in e.variables}
    features = e.graph.tensors[head.weights].shape[1]
    return {
        "weights": symbols[head.weights],
        "bias": symbols[head.bias],
        "features": str(features),
        "feature": e.symbols[head.features],
        "zero": str(head.zero),
        "unused": str(head.unused),
        "logit": str(head.logit),
        "logit_zero": str(head.logit_zero),
        "spare": str(head.spare),
        "is_first": "" if e.plan.guard is None else _FIRST,
        "into_good": _into_good(e, head, features) if e.plan.guard is not None else "",
    }


def _into_good(e: Engine, head: SpareHead, features: int) -> str:
    """The new row goes into the last good state, too."""
    at, places = 0, {}
    for v in e.variables:
        places[v.tensor] = at
        at += v.nbytes
    w, b = places[head.weights], places[head.bias]
    return (
        f"  memcpy(good + {w} + label * {features}, head.weights + label * {features}, {features});\n"
        f"  memcpy(good + {b} + label * 4, head.bias + label, 4);\n"
    )
