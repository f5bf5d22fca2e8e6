"""`library_header`: TFODL_NAME.h, the engine behind the serial protocol, with the commands of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tflm_export import __version__
from tflm_export.board.engine_id import about_json, engine_id
from tflm_export.board.input_code import input_code
from tflm_export.board.own_samples import own_samples
from tflm_export.compiler import Compiled
from tflm_export.emit.living import takes_weights
from tflm_export.ir import Graph
from tflm_export.living.capacity import classes
from tflm_export.living.image import area_bytes
from tflm_export.ops import LOSSES
from tflm_export.plan import PAGE_BYTES, UpdatePlan
from tflm_export.template import fill

MOST_CLASSES = 16  # that the board counts by true and predicted one: 2 bytes each pair

_TRAIN_LABEL = """\
  int32_t label;
  memcpy(&label, target, sizeof label);
  *loss = net::train_step(label);
  last_score() = net::guess() == label ? 1.0f : 0.0f;
  return *loss >= 0.0f;"""
_TRAIN_LABELS = """\
  *loss = net::train_step(reinterpret_cast<const int8_t*>(target));
  last_score() = static_cast<float>(net::right()) / static_cast<float>(net::kLogits);
  return true;"""
_TRAIN_TARGET = """\
  *loss = net::train_step(reinterpret_cast<const int8_t*>(target));
  last_score() = *loss;
  return true;"""
_TRAIN_INPUT = """\
  (void)target;
  *loss = net::train_step();
  last_score() = *loss;
  return true;"""
_NO_CLASS = """\
inline int32_t no_class() {
  net::infer();
  return -1;
}

"""
_NO_GUESS = "inline int32_t no_guess() { return -1; }\n\n"
_MEAN = {"score_name": "mean", "score_text": "the loss", "predict": "net::predict", "guess": "no_guess"}
_TASKS = {  # fields of the header by the loss
    "SOFTMAX_CROSSENTROPY": {
        "target_text": "a label, int32",
        "train": _TRAIN_LABEL,
        "score_name": "acc",
        "score_text": "1 where it knew the class, else 0",
        "predict": "net::predict",
        "guess": "net::guess",
    },
    "BINARY_CROSSENTROPY": {
        "target_text": "1 or 0 an output",
        "train": _TRAIN_LABELS,
        "score_name": "acc",
        "score_text": "share of the outputs that were right",
        "predict": "net::predict",
        "guess": "no_guess",
    },
    "MEAN_SQUARED_ERROR": _MEAN
    | {"target_text": "the wanted output, int8 in its own quantisation", "train": _TRAIN_TARGET},
    "RECONSTRUCTION_ERROR": _MEAN
    | {"target_text": "none: the input is the target", "train": _TRAIN_INPUT, "predict": "no_class"},
}
_BASE = ["info", "about", "predict", "learning_rate", "reset", "parameter", "read_weights"]
_WRITE = ["begin_weights", "write_weights", "end_weights"]
_FLASH, _IMAGE = (f'#include "tfodl/{name}.h"\n' for name in ("store/sketch_flash", "serial/image"))
_ELSEWHERE = {"parameter", *_WRITE}  # a pool has its own
_PARTS = {  # template -> rows of the commands in it
    "confusion": ["kEvaluate, kPicture | kOnce | kWhole, 4, 4, evaluate", "kConfusion, 0, 1, 1, confusion"],
    "samples": [],
    "memory": ["kRemember, kOnce | kWhole, 4, 4, remember", "kRest, kOnce | kLong | kWhole, 0, 0, rest"],
    "guard": ["kJudge, kOnce | kLong | kWhole, 0, 0, judge"],
    "spare": [
        "kNewClass, kPicture | kOnce | kLong | kWhole, kNameBytes, kNameBytes, new_class",
        "kClassName, 0, 4, 4 + kNameBytes, class_name",
    ],
    "flash": ["kReadFlash, 0, 6, 6, read_flash"],
    "store": [
        "kSave, kOnce | kLong | kWhole, 0, 0, save",
        "kFactoryReset, kOnce | kLong, 0, 0, factory_reset",
    ],
    "names": [
        "kSave, kOnce | kLong | kWhole, 0, 0, save",
        "kFactoryReset, kOnce | kLong, 0, 0, factory_reset",
    ],
    "pool": [
        "kNewEpoch, kOnce | kLong | kWhole, 0, 0, new_epoch",
        "kFactoryReset, kOnce | kLong, 0, 0, factory_reset",
        "kParameter, kBare, 2, 2, parameter",
        "kBeginWeights, kOnce | kLong, 0, 0, begin_weights",
        "kWriteWeights, 0, 7, kStagingBytes, write_weights",
        "kEndWeights, kOnce | kLong, 4, 4, end_weights",
    ],
    "restore": ["kRestore, kOnce | kLong, 0, 0, restore"],
    "constants": [
        "kConstants, kBare, 0, 0, constants",
        "kConstantsPage, kBare, 2, 2, constants_page",
        "kBeginConstants, kBare | kOnce, 33, 33, begin_constants",
        "kWriteConstants, kBare | kOnce | kLong, 5, kStagingBytes, write_constants",
        "kEndConstants, kBare | kOnce | kLong, 0, 0, end_constants",
    ],
}
_APART = '#include "tfodl/serial/constants.h"\n#include "tfodl/store/constants_flash.h"\n'


def library_header(compiled: Compiled, names: Sequence[str] = (), taken: int = 0) -> str:
    """The text of TFODL_NAME.h. names: of the engine's classes. taken: pages of the flash that other engines
    of the sketch have. One that asks for rows has no protocol, which puts whole pictures into it."""
    graph, plan = compiled.graph, compiled.plan
    loss = graph.loss
    assert loss is not None
    task, parts = _TASKS[loss.kind], _parts(compiled)
    flash = "flash" in parts
    return fill(
        "sketch_library.h",
        name=compiled.name,
        version=__version__,
        summary=_summary(compiled.facts, graph),
        includes=_IMAGE * ("pool" in parts) + _FLASH * flash + _APART * ("constants" in parts),
        target_bytes={"label": 4, "values": graph.tensors[loss.inputs[0]].size, "input": 0}[
            LOSSES[loss.kind].target
        ],
        no_class=_NO_CLASS if task["predict"] == "no_class" else "",
        no_guess=_NO_GUESS if task["guess"] == "no_guess" else "",
        **task,
        pixels=input_code(compiled),
        counts=_counts(plan, loss.kind),
        parts="".join(fill(f"sketch_{part}.h", _fields(compiled, taken)) for part in parts),
        start=_start(parts, compiled.facts["pauses"]),
        own=own_samples(compiled, names),
        learner="" if compiled.facts["row_fed"] else _learner(compiled, names),
    )


def _start(parts: Sequence[str], pauses: bool) -> str:
    lines = ["flash_pause() = pause;"] * ("flash" in parts) + ["net::set_pause(pause);"] * pauses
    if "constants" in parts:
        lines += ["constants_pause() = pause;", "constants_place();"]
    return "\n".join(f"  {line}" for line in [*(lines or ["(void)pause;"]), f"{_open(parts)};"])


def _open(parts: Sequence[str]) -> str:
    """What puts the engine to what was saved last, or flashed."""
    return "open_saved()" if "flash" in parts else "net::reset()"


def _learner(compiled: Compiled, names: Sequence[str]) -> str:
    """The engine behind the serial protocol."""
    plan, loss = compiled.plan, compiled.graph.loss
    assert loss is not None
    return fill(
        "sketch_learner.h",
        _TASKS[loss.kind],
        epoch_is_over="net::epoch_is_over" if plan.pool is not None else "nullptr",
        rows=_rows(_parts(compiled), plan),
        engine_id=", ".join(f"0x{byte:02x}" for byte in engine_id(compiled)),
        about=_literal(about_json(compiled, names)),
        hooks=_hooks(compiled),
    )


def _hooks(compiled: Compiled) -> str:
    """What the protocol asks, and tells, engines that need it."""
    written = takes_weights(compiled.plan)
    apart = "nullptr" if compiled.constants is None else "net::constants_ok"
    names = [apart] * (written or compiled.constants is not None) + ["net::weights_written"] * written
    return "".join(f"\n      {name}," for name in names)


def _parts(compiled: Compiled) -> list[str]:
    """The templates of what the engine has."""
    plan, loss = compiled.plan, compiled.graph.loss
    assert loss is not None
    counted = LOSSES[loss.kind].by_label and classes(compiled.graph) <= MOST_CLASSES
    has = {
        "confusion": counted,
        "samples": _in_flash(plan),
        "memory": plan.memory is not None,
        "guard": plan.guard is not None,
        "spare": bool(plan.spare_classes),
        "flash": bool(plan.store_bytes) or plan.pool is not None,
        "store": bool(plan.store_bytes) and not plan.spare_classes,
        "names": bool(plan.store_bytes) and bool(plan.spare_classes),
        "pool": plan.pool is not None,
        "restore": bool(plan.store_bytes) or plan.pool is not None,
        "constants": compiled.constants is not None,
    }
    return [part for part in _PARTS if has[part]]


def _in_flash(plan: UpdatePlan) -> bool:
    return plan.memory is not None and plan.memory.where == "flash"


def _rows(parts: Sequence[str], plan: UpdatePlan) -> str:
    """The table of commands."""
    served = [row for row in _BASE + _WRITE if plan.pool is None or row not in _ELSEWHERE]
    rows = [f"      serial::{row}_row()," for row in served]
    rows += ["      serial::train_row(kTargetBytes),"]
    rows += [f"      {{Command::{row}}}," for part in parts for row in _PARTS[part]]
    return "\n".join(rows)


def _counts(plan: UpdatePlan, loss: str) -> str:
    used = "net::classes()" if plan.spare_classes else "net::kLogits" if LOSSES[loss].by_label else "0"
    values = [
        used,
        "net::remembered()" if plan.memory is not None else "0",
        "net::judging()" if plan.guard is not None else "0",
        "net::epoch()" if plan.pool is not None else "0",
    ]
    return "\n".join(f"  counts[{i}] = static_cast<uint32_t>({value});" for i, value in enumerate(values))


def _fields(compiled: Compiled, taken: int) -> dict[str, str]:
    plan = compiled.plan
    end = taken + area_bytes(compiled.graph, plan) // PAGE_BYTES
    pages = "net::kAreaPages" if plan.pool is not None else "net::kStoreBytes / 4096"
    judge = "  net::judge();\n" if plan.guard is not None else ""
    room = "  make_room();\n" if _in_flash(plan) else ""
    fields = {"classes": "net::kLogits", "pages": pages, "judge": judge, "make_room": room}
    fields |= {"taken": str(taken), "end": str(end)}
    return fields | {"open": _open(["flash"] * (bool(plan.store_bytes) or plan.pool is not None))}


def _literal(text: str) -> str:
    """`text`, which is ASCII, as a C++ string of several lines."""
    escaped = [text[at : at + 90].replace("\\", "\\\\").replace('"', '\\"') for at in range(0, len(text), 90)]
    return "\n".join(f'      "{part}"' for part in escaped).replace("??", '?""?')


def _summary(facts: Mapping[str, Any], graph: Graph) -> str:
    x = graph.tensors[graph.inputs[0]]
    shape = "x".join(str(d) for d in x.shape[1:])
    return f"{shape} in, {facts['trained_parameters']} parameters learn, arena {facts['arena_bytes']} B."
