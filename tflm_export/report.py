"""What an engine costs: RAM, flash, work, by layer and by step, and whether it fits a board.

Sizes are those of the linked Cortex-M4 program, the stack is painted and read back, instructions are counted
by the emulator; the memory plan's own figures stand beside them.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tflm_export.backward import training_graph
from tflm_export.board import BOARDS, Board
from tflm_export.compiler import Compiled, load, plan_memory
from tflm_export.draw import draw_memory, picture_format
from tflm_export.emit.names import display, shape_text
from tflm_export.fuse import fuse
from tflm_export.ir import Graph, Op
from tflm_export.macs import op_macs
from tflm_export.measure import Measured, measure
from tflm_export.profile import CallCost, profile, table
from tflm_export.read_tflite import read_tflite
from tflm_export.simplify import simplify
from tflm_export.storage import Variable, variables
from tflm_export.stream import layer_ops
from tflm_export.verify import samples
from tfodl.plan import LayerUpdate, UpdatePlan

PEAK_TENSORS = 6


@dataclass(frozen=True)
class Report:
    """`facts` are plain values for JSON; `text` is the same for people, as Markdown."""

    facts: Mapping[str, Any]

    def to_json(self) -> str:
        """Indented JSON."""
        return json.dumps(dict(self.facts), indent=2)

    def to_text(self) -> str:
        """Totals, boards, advice and a table by layer."""
        return _text(self.facts)


def report(
    folder: str | os.PathLike[str],
    *,
    steps: int = 2,
    per_op: bool = False,
    picture: str | os.PathLike[str] | None = None,
) -> Report:
    """Measure the engine in `folder` on the emulated board and report.

    steps: training steps that run; the last one's instructions count. per_op: with every kernel call's.
    picture: a file for the memory plan's picture (.png, .svg, .pdf).
    Raises `ExportError` when the folder holds no engine or the Cortex-M4 tools are missing.
    """
    if picture is not None:
        picture_format(Path(picture))
    compiled = load(folder)
    xs, ts = samples(compiled, None, None, 0)
    calls = profile(compiled, xs[:steps], ts[:steps]) if per_op else {}
    measured = measure(compiled, xs[:steps], ts[:steps])
    if picture is not None:
        draw_memory(compiled, picture, measured.stack_bytes)
    return make_report(compiled, measured, calls)


def make_report(
    compiled: Compiled, measured: Measured, calls: Mapping[str, list[CallCost]] | None = None
) -> Report:
    """The report of an engine that was measured; `calls` of `profile`."""
    memory = compiled.memory
    ram = measured.static_ram_bytes + measured.stack_bytes
    facts: dict[str, Any] = dict(compiled.facts) | {
        "arena_bytes": memory.arena,
        "memory_lower_bound_bytes": memory.lower_bound,
        "static_ram_bytes": measured.static_ram_bytes,
        "stack_bytes": measured.stack_bytes,
        "total_ram_bytes": ram,
        "flash_bytes": measured.flash_bytes,
        "instructions": {
            "inference": measured.instructions_inference,
            "train_step": measured.instructions_train_step,
        },
    }
    facts["fits"] = {name: not _over(board, measured) for name, board in BOARDS.items()}
    facts["over"] = {name: over for name, board in BOARDS.items() if (over := _over(board, measured))}
    facts["advice"] = [
        _advice(compiled, board, measured) for board in BOARDS.values() if _over(board, measured)
    ]
    facts["peak"] = peak_tensors(compiled)
    facts["layers"] = layer_table(compiled.graph)
    facts["live_bytes"] = memory.live_bytes()
    facts["calls"] = {kind: [dataclasses.asdict(c) for c in costs] for kind, costs in (calls or {}).items()}
    return Report(facts)


def _over(board: Board, measured: Measured) -> dict[str, int]:
    """By how many bytes the engine is too large for a board; empty when it fits."""
    used = {
        "ram_bytes": (measured.static_ram_bytes, board.ram_bytes),
        "stack_bytes": (measured.stack_bytes, board.stack_bytes),
        "flash_bytes": (measured.flash_bytes, board.flash_bytes),
    }
    return {name: have - allowed for name, (have, allowed) in used.items() if have > allowed}


def peak_tensors(compiled: Compiled) -> list[dict[str, Any]]:
    """The largest buffers alive at the step that needs most memory."""
    live = compiled.memory.live_bytes()
    step = int(np.argmax(live))
    alive = [b for b in compiled.memory.buffers if b.first <= step <= b.last]
    largest = sorted(alive, key=lambda b: -b.nbytes)[:PEAK_TENSORS]
    rows = [{"tensor": display(b.name), "bytes": b.nbytes, "steps": [b.first, b.last]} for b in largest]
    return [{"step": step, "op": compiled.graph.ops[step].name, "bytes": live[step]}, *rows]


def layer_table(graph: Graph) -> list[dict[str, Any]]:
    """One row a forward op: shapes, work, weights, what trains, bytes kept for the backward pass."""
    trained = variables(graph)
    return [_row(op, graph, trained) for op in layer_ops(graph).values() if op.role == "forward"]


def _row(op: Op, graph: Graph, trained: tuple[Variable, ...]) -> dict[str, Any]:
    layers = layer_ops(graph)
    own = [o for o in layers.values() if o.attrs.get("op") == op.name]
    y = graph.tensors[op.outputs[0]]
    weights = graph.tensors[op.inputs[1]].nbytes if op_macs(op, layers, graph) else 0
    kept = _kept(op, own, graph)
    return {
        "op": op.name,
        "kind": op.kind,
        "name": display(op.outputs[0]),
        "output": shape_text(y.shape),
        "output_bytes": y.nbytes,
        "weight_bytes": weights,
        "macs_forward": op_macs(op, layers, graph),
        "macs_dx": sum(op_macs(o, layers, graph) for o in own if o.role == "gradient"),
        "macs_dw": sum(op_macs(o, layers, graph) for o in own if o.role == "update"),
        "trained_weights": sum(v.count for v in trained if v.layer is op and not v.bias),
        "trained_biases": sum(v.count for v in trained if v.layer is op and v.bias),
        "kept_bytes": kept,
    }


def _kept(op: Op, own: list[Op], graph: Graph) -> int:
    """Activations and masks that wait for this op's gradient: int8 inputs of its gradient ops, its mask."""
    readers = [o for o in own if o.kind != "GATHER_CHANNELS"]
    read = {name for o in readers for name in o.inputs if name and graph.tensors[name].data is None}
    kinds = {name: graph.tensors[name].dtype for name in read}
    return sum(graph.tensors[name].nbytes for name, dtype in kinds.items() if dtype in ("int8", "bit"))


def smaller_plan(compiled: Compiled, ram_bytes: int) -> UpdatePlan | None:
    """The plan less its first layers, as few as needed to save RAM until static memory fits; or None.

    Tried in order: the plan without its first 1, 2, ... layers, then the same with biases only.
    """
    layers = sorted(compiled.plan.layers, key=lambda layer: _depth(compiled.graph, layer))
    candidates = [layers[i:] for i in range(1, len(layers) + 1)]
    biases = [LayerUpdate(x.name, "out", (), "all") for x in layers if x.bias == "all"]
    candidates += [biases[i:] for i in range(len(biases))]
    forward = simplify(read_tflite(compiled.tflite))
    for candidate in candidates:
        plan = _with_layers(compiled.plan, candidate)
        if not (plan.layers or plan.head):
            continue
        graph = training_graph(forward, plan, compiled.facts["gradients"])
        if plan_memory(fuse(graph), plan).static_ram <= ram_bytes:
            return plan
    return None


def _with_layers(plan: UpdatePlan, layers: list[LayerUpdate]) -> UpdatePlan:
    fields = {name: getattr(plan, name) for name in plan.__dataclass_fields__}
    return UpdatePlan(**(fields | {"layers": tuple(layers)}))


def _depth(graph: Graph, layer: LayerUpdate) -> int:
    ops = layer_ops(graph).values()
    names = [i for i, op in enumerate(ops) if layer.name in (op.name, *op.outputs, *op.inputs[1:2])]
    return min(names, default=0)


def _advice(compiled: Compiled, board: Board, measured: Measured) -> str:
    over = ", ".join(
        f"{kind.removesuffix('_bytes')} by {n:,} B" for kind, n in _over(board, measured).items()
    )
    text = f"{board.title}: over {over}."
    if measured.static_ram_bytes <= board.ram_bytes:
        return text
    peak, *tensors = peak_tensors(compiled)
    names = ", ".join(f"{t['tensor']} {t['bytes']:,} B" for t in tensors[:3])
    text += f" Most memory is needed at step {peak['step']} ({peak['op']}): {names}."
    plan = smaller_plan(compiled, board.ram_bytes)
    if plan is None:
        return text + " No part of this plan fits; use a smaller picture or a narrower network."
    kept = ", ".join(layer.name for layer in plan.layers) or "the head alone"
    return text + f" This part of the plan fits: {kept}."


def _training_rows(facts: Mapping[str, Any]) -> list[str]:
    """Rows of the table of totals about training."""
    macs, step = facts["macs"], facts["instructions"]["train_step"]
    if not facts["trained_parameters"]:
        return ["| learns | nothing: this engine only infers |"]
    return [
        f"| training step | {step:,} instructions, forward {macs['forward']:,} + "
        f"input gradients {macs['dx']:,} + weight gradients {macs['dw']:,} MAC |",
        f"| learns | {facts['trained_parameters']:,} parameters by {facts['gradients']} gradients |",
    ]


def _text(facts: Mapping[str, Any]) -> str:
    macs, instructions = facts["macs"], facts["instructions"]
    over_bound = facts["arena_bytes"] / max(1, facts["memory_lower_bound_bytes"]) - 1
    lines = [
        f"# Engine `{facts['name']}`",
        "",
        "| | |",
        "|---|---|",
        f"| RAM, static + stack | {facts['static_ram_bytes']:,} + {facts['stack_bytes']:,} "
        f"= {facts['total_ram_bytes']:,} B |",
        f"| of which arena | {facts['arena_bytes']:,} B ({over_bound:.1%} over the lower bound) |",
        f"| flash | {facts['flash_bytes']:,} B |",
        f"| inference | {instructions['inference']:,} instructions, {macs['forward']:,} MAC |",
        *_training_rows(facts),
        *(f"| fits {name} | {'yes' if fits else 'no'} |" for name, fits in facts["fits"].items()),
        "",
        *facts["advice"],
        "",
        "| op | kind | output | weights, B | forward | dX | dW | trained | kept, B |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in facts["layers"]:
        trained = row["trained_weights"] + row["trained_biases"]
        lines.append(
            f"| {row['op']} | {row['kind']} | {row['output']} | {row['weight_bytes']:,} | "
            f"{row['macs_forward']:,} | {row['macs_dx']:,} | {row['macs_dw']:,} | {trained:,} | "
            f"{row['kept_bytes']:,} |"
        )
    for kind, calls in facts["calls"].items():
        title = kind.replace("_", " ")
        lines += ["", f"## Kernel calls: {title}", "", table([CallCost(**call) for call in calls])]
    return "\n".join(lines) + "\n"
