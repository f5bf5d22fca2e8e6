"""`make_sketch`: a compiled engine as the .zip that the Arduino IDE's "Add .ZIP Library" takes.

One top folder `TFODL` with library.properties, keywords.txt, src (kernels, engine, TFODL.h), an example that
trains over Serial, extras (model, plan, memory.md, metadata.json with the costs), LICENSE and README.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tflm_export import __version__
from tflm_export.board.input_code import input_code
from tflm_export.boards import Board, board
from tflm_export.compiler import Compiled
from tflm_export.emit.memory_table import memory_table
from tflm_export.engine_folder import opened
from tflm_export.errors import ExportError
from tflm_export.files import write_bytes
from tflm_export.ir import Graph
from tflm_export.library import library_root
from tflm_export.ops import LOSSES
from tflm_export.template import fill

TOP = "TFODL"
EXAMPLE = "examples/TrainOverSerial/TrainOverSerial.ino"
COPIED = ("library.properties", "keywords.txt", "LICENSE", "README.md", EXAMPLE)
SIZES = ("arena_bytes", "planned_static_ram_bytes", "static_ram_bytes", "stack_bytes", "flash_bytes")
COSTS = (*SIZES, "macs", "cycles", "milliseconds", "instructions")
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file, so that the same engine gives the same bytes


def make_sketch(
    engine: Compiled | str | os.PathLike[str],
    board_name: str,
    out: str | os.PathLike[str],
    costs: Mapping[str, Any] | None = None,
) -> Path:
    """Write the library of an engine, compiled or in its folder, to the .zip `out`, whole or not at all.

    costs: facts of `report`, measured; the plan's own figures are used without them. Raises `ExportError` for
    an unknown board, a folder without an engine, an engine that only infers, asks for rows or chooses what
    learns, or one whose static memory exceeds the board's.
    """
    target, compiled = board(board_name), opened(engine)
    if compiled.graph.loss is None:
        raise ExportError(
            f"engine {compiled.name!r} only infers, the sketch is for one that learns; put the engine's src "
            "folder into your own sketch, or compile it with a plan that trains something."
        )
    if compiled.facts["row_fed"]:
        raise ExportError(
            f"engine {compiled.name!r} asks for its picture by rows, the sketch takes it whole, by Serial; "
            "put its src folder into your own sketch and call set_rows, or compile without --row-fed."
        )
    if compiled.plan.pool is not None:
        raise ExportError(
            f"engine {compiled.name!r} chooses what learns and needs a flash area, which the sketch does not "
            "give; put its src folder into your own sketch and call open and new_epoch (docs/choosing.md)."
        )
    facts = dict(compiled.facts) | dict(costs or {})
    _check_fits(facts, target)
    write_bytes(out, archive(sketch_files(compiled, target, facts)))
    return Path(out)


def sketch_files(compiled: Compiled, target: Board, facts: Mapping[str, Any]) -> dict[str, bytes]:
    """Every file of the library by its path below the top folder."""
    root = library_root()
    files = {path: (root / path).read_bytes() for path in COPIED}
    files |= {path: text.encode() for path, text in compiled.sources.items()}
    files["src/TFODL.h"] = library_header(compiled).encode()
    files["extras/model.tflite"] = compiled.tflite
    files["extras/plan.json"] = (compiled.plan.to_json() + "\n").encode()
    files["extras/memory.md"] = memory_table(compiled.graph, compiled.memory).encode()
    files["extras/metadata.json"] = (json.dumps(metadata(facts, target), indent=2) + "\n").encode()
    return files


def metadata(facts: Mapping[str, Any], target: Board) -> dict[str, Any]:
    """What the engine costs and what the board leaves to a sketch, bytes."""
    allowed = {
        "ram_bytes": target.ram_bytes,
        "stack_bytes": target.stack_bytes,
        "flash_bytes": target.flash_bytes,
    }
    used = {name: facts[name] for name in COSTS if name in facts}
    kept = ("name", "version", "model_sha256", "trained_parameters", "gradients", "input")
    about = {name: facts[name] for name in kept}
    return about | {"fqbn": target.fqbn, "board_allows": allowed} | used


def library_header(compiled: Compiled) -> str:
    """TFODL.h: the engine behind the serial protocol."""
    graph = compiled.graph
    loss = graph.loss
    assert loss is not None
    task = _TASKS[loss.kind]
    digest = bytes.fromhex(compiled.facts["model_sha256"])[:8]
    return fill(
        "sketch_library.h",
        name=compiled.name,
        version=__version__,
        summary=_summary(compiled.facts, graph),
        target_bytes={"label": 4, "values": graph.tensors[loss.inputs[0]].size, "input": 0}[
            LOSSES[loss.kind].target
        ],
        no_class=_NO_CLASS if task["predict"] == "no_class" else "",
        **task,
        pixels=input_code(compiled),
        model_id=", ".join(f"0x{byte:02x}" for byte in digest),
    )


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
_MEAN = {"score_name": "mean", "score_text": "the loss", "predict": "net::predict"}
_TASKS = {  # fields of the header by the loss
    "SOFTMAX_CROSSENTROPY": {
        "target_text": "a label, int32",
        "train": _TRAIN_LABEL,
        "score_name": "acc",
        "score_text": "1 where it knew the class, else 0",
        "predict": "net::predict",
    },
    "BINARY_CROSSENTROPY": {
        "target_text": "1 or 0 an output",
        "train": _TRAIN_LABELS,
        "score_name": "acc",
        "score_text": "share of the outputs that were right",
        "predict": "net::predict",
    },
    "MEAN_SQUARED_ERROR": _MEAN
    | {"target_text": "the wanted output, int8 in its own quantisation", "train": _TRAIN_TARGET},
    "RECONSTRUCTION_ERROR": _MEAN
    | {"target_text": "none: the input is the target", "train": _TRAIN_INPUT, "predict": "no_class"},
}


def _summary(facts: Mapping[str, Any], graph: Graph) -> str:
    x = graph.tensors[graph.inputs[0]]
    shape = "x".join(str(d) for d in x.shape[1:])
    return f"{shape} in, {facts['trained_parameters']} parameters learn, arena {facts['arena_bytes']} B."


def archive(files: Mapping[str, bytes]) -> bytes:
    """A .zip of `files` below the top folder; the same files give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(files):
            info = zipfile.ZipInfo(f"{TOP}/{path}", EPOCH)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            packed.writestr(info, files[path])
    return stream.getvalue()


def _check_fits(facts: Mapping[str, Any], target: Board) -> None:
    """Refuse an engine that is larger than the board."""
    used = {
        "static RAM": (facts.get("static_ram_bytes", facts["planned_static_ram_bytes"]), target.ram_bytes),
        "stack": (facts.get("stack_bytes", 0), target.stack_bytes),
        "flash": (facts.get("flash_bytes", facts["model_bytes"]), target.flash_bytes),
    }
    over = [
        f"{what} {have:,} B, {have - most:,} B too much" for what, (have, most) in used.items() if have > most
    ]
    if over:
        raise ExportError(
            f"engine {facts['name']!r} does not fit {target.title}: {'; '.join(over)}. "
            "tflm-export report shows which tensors take it and which smaller plan fits."
        )
