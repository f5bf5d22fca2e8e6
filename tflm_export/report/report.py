"""What an engine costs: RAM, flash, work, by layer and by step, and whether it fits a board.

Sizes are those of the program linked for the board's core, the stack is painted and read back, cycles and
instructions are counted in the emulator (docs/measuring.md); the memory plan's own figures stand beside them.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflm_export.board.fit import over
from tflm_export.board.sketch import placed
from tflm_export.boards import BOARDS
from tflm_export.boards import board as board_named
from tflm_export.compiler import Compiled
from tflm_export.contracts import contract_from_dict
from tflm_export.emit.names import display, shape_text
from tflm_export.engine_folder import opened
from tflm_export.files import require_writable, write_text
from tflm_export.front.dead_facts import dead_lines
from tflm_export.ir import Graph, Op
from tflm_export.living.pool_facts import pool_text
from tflm_export.machines.emulator import core_of
from tflm_export.machines.measure import Measured, measure
from tflm_export.machines.profile import CallCost, profile, table
from tflm_export.macs import op_macs
from tflm_export.memory.engine_size import flash_estimate
from tflm_export.report.advice import advise, peak_tensors
from tflm_export.report.arena_map import arena_map
from tflm_export.report.board_facts import board_facts, board_text
from tflm_export.report.board_page import board_sections
from tflm_export.report.draw import draw_memory, picture_format
from tflm_export.report.engine_page import engine_page
from tflm_export.report.flash_parts import flash_parts
from tflm_export.report.learning_rows import learning_rows
from tflm_export.report.run_lines import read_run_file
from tflm_export.report.verify import samples
from tflm_export.store.facts import store_facts
from tflm_export.variable import Variable, variables

DEFAULT_BOARD = "nano33ble"
VAST_FROM_BYTES = 11 << 18  # of estimated flash: what is larger may not fit ROOMY's 3 MB


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
    engine: Compiled | str | os.PathLike[str],
    *,
    board: str = DEFAULT_BOARD,
    steps: int = 2,
    per_op: bool = False,
    picture: str | os.PathLike[str] | None = None,
    html: str | os.PathLike[str] | None = None,
    log: str | os.PathLike[str] | None = None,
) -> Report:
    """Measure an engine, compiled or in its folder, on the emulated core of a board and report.

    board: a name of `BOARDS`. steps: training steps that run; the last one counts. per_op: with every kernel
    call's. picture: a file for the memory plan's picture (.png, .svg, .pdf). html: one for the whole as a
    page. log: of a board that learned (`tfodl board`), for the page.
    Raises `ExportError` when the folder holds no engine, the board is unknown or has no place for constants
    that lie apart, or the tools for its core are missing; `TfodlError`, before anything is measured, for a
    file that cannot be written.
    """
    if picture is not None:
        picture_format(Path(picture))
    for place in (picture, html):
        if place is not None:
            require_writable(place)
    seen = () if log is None else board_sections(read_run_file(log))
    target = board_named(board)
    core = core_of(target)
    compiled = placed(opened(engine), target)
    xs, ts = samples(compiled, None, None, 0)
    counted = per_op or html is not None
    memories = core.vast if flash_estimate(compiled.graph) > VAST_FROM_BYTES else core.roomy
    calls = profile(compiled, xs[:steps], ts[:steps], memories=memories, core=core) if counted else {}
    measured = measure(compiled, xs[:steps], ts[:steps], memories=memories, core=core)
    if picture is not None:
        draw_memory(compiled, picture, measured.stack_bytes, target)
    made = make_report(compiled, measured, calls, board)
    if html is not None:
        write_text(html, engine_page(made.facts, seen))
    return made if per_op else Report({**made.facts, "calls": {}})


def make_report(
    compiled: Compiled,
    measured: Measured,
    calls: Mapping[str, list[CallCost]] | None = None,
    board: str = DEFAULT_BOARD,
) -> Report:
    """The report of an engine that was measured on the core of `board`; `calls` of `profile`."""
    target = board_named(board)
    memory = compiled.memory
    ram = measured.static_ram_bytes + measured.stack_bytes
    facts: dict[str, Any] = dict(compiled.facts) | {
        "arena_bytes": memory.arena,
        "memory_lower_bound_bytes": memory.lower_bound,
        "static_ram_bytes": measured.static_ram_bytes,
        "stack_bytes": measured.stack_bytes,
        "total_ram_bytes": ram,
        "flash_bytes": measured.flash_bytes,
    }
    facts["board"] = board_facts(board)
    facts |= _work(measured, compiled.facts["macs"], board)
    excess = over(compiled, facts, target)
    facts["fits"], facts["over"] = {board: not excess}, {board: excess} if excess else {}
    advice = advise(compiled, target, excess) if excess else None
    plan = None if advice is None else advice.plan
    facts["advice"] = [] if advice is None else [advice.text]
    facts["smaller_plans"] = {} if plan is None else {board: json.loads(plan.to_json())}
    store = store_facts(compiled.graph, compiled.plan)
    facts |= {} if store is None else {"store": store}
    facts["peak"] = peak_tensors(compiled)
    facts["layers"] = layer_table(compiled.graph)
    facts["dilated"] = [op.name for op in compiled.graph.layers.values() if "dilated" in op.attrs]
    facts["live_bytes"] = memory.live_bytes()
    facts["arena_map"] = arena_map(compiled)
    facts["flash_parts"] = flash_parts(measured.flash_symbols, measured.flash_bytes, compiled.name)
    facts["trains"] = learning_rows(compiled.graph)
    facts["calls"] = {kind: [dataclasses.asdict(c) for c in costs] for kind, costs in (calls or {}).items()}
    return Report(facts)


def _work(measured: Measured, macs: Mapping[str, int], board: str) -> dict[str, Any]:
    """Cycles, milliseconds on the board, cycles a MAC, instructions, reads of flash, by kind of call."""
    counts = {"inference": measured.inference, "train_step": measured.train_step}
    work = {"inference": macs["forward"], "train_step": sum(macs.values())}
    return {
        "cycles": {kind: count.cycles for kind, count in counts.items()},
        "milliseconds": {
            board: {kind: round(BOARDS[board].milliseconds(n.cycles), 3) for kind, n in counts.items()}
        },
        "cycles_a_mac": {kind: round(n.cycles / max(1, work[kind]), 3) for kind, n in counts.items()},
        "instructions": {kind: count.instructions for kind, count in counts.items()},
        "flash_reads": {kind: count.flash_reads for kind, count in counts.items()},
    }


def layer_table(graph: Graph) -> list[dict[str, Any]]:
    """One row a forward op: shapes, work, weights, what trains, bytes kept for the backward pass."""
    trained = variables(graph)
    return [_row(op, graph, trained) for op in graph.layers.values() if op.role == "forward"]


def _row(op: Op, graph: Graph, trained: tuple[Variable, ...]) -> dict[str, Any]:
    layers = graph.layers
    own = [o for o in layers.values() if o.of == op.name]
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


def _work_row(facts: Mapping[str, Any], kind: str, macs: str) -> str:
    """A row of the table of totals: what an inference or a training step takes."""
    times = ", ".join(f"{ms[kind]:,.1f} ms on {name}" for name, ms in facts["milliseconds"].items())
    return (
        f"| {kind.replace('train_', 'training ')} | {facts['cycles'][kind]:,} cycles ({times}), "
        f"{facts['cycles_a_mac'][kind]:.2f} a MAC; {facts['instructions'][kind]:,} instructions, "
        f"{facts['flash_reads'][kind]:,} reads of flash; {macs} MAC |"
    )


def _input_text(facts: Mapping[str, Any]) -> str:
    rule = facts["input"]
    return "int8 values" if rule is None else contract_from_dict(rule).text


def _constants_rows(facts: Mapping[str, Any]) -> list[str]:
    """The row of the table of totals about constants that lie apart."""
    if "constants_at" not in facts:
        return []
    size, address = facts["constants_bytes"], facts["constants_at"]
    return [f"| constants, beside all this | {size:,} B of flash at {address:#x} |"]


def _training_rows(facts: Mapping[str, Any]) -> list[str]:
    """Rows of the table of totals about training."""
    macs = facts["macs"]
    if not facts["trained_parameters"]:
        return ["| learns | nothing: this engine only infers |"]
    work = f"forward {macs['forward']:,} + input gradients {macs['dx']:,} + weight gradients {macs['dw']:,}"
    return [
        _work_row(facts, "train_step", work),
        f"| learns | {facts['trained_parameters']:,} parameters by {facts['gradients']} gradients of "
        f"{facts['loss']} |",
        *_dilated_rows(facts.get("dilated", ())),
    ]


def _dilated_rows(names: Sequence[str]) -> list[str]:
    """The row that says which layers' weights can never learn."""
    said = "weights of dilated convolutions, whose biases can"
    return [f"| cannot learn | {said}: {', '.join(names)} |"] if names else []


def _store_rows(store: Mapping[str, Any] | None) -> list[str]:
    """The rows of the table of totals about the store."""
    if store is None:
        return []
    lasts = f"lasts {store['saves']:,} saves of everything"
    if not store["saves"]:
        lasts = "too small for a state that cannot be packed"
    remembers = []
    if "samples" in store:
        held = store["samples"]
        remembers = [
            f"| samples in it | {held['places']:,} of {held['bytes']:,} B; {held['changes']:,} may be "
            f"replaced before a save; the flash lasts {held['lasts']:,} |"
        ]
    return [
        f"| store, beside all this | {store['area_bytes']:,} B of flash ({lasts}), "
        f"code {store['code_bytes']:,} B, RAM {store['ram_bytes']:,} B |",
        *remembers,
    ]


def _text(facts: Mapping[str, Any]) -> str:
    over_bound = facts["arena_bytes"] / max(1, facts["memory_lower_bound_bytes"]) - 1
    lines = [
        f"# Engine `{facts['name']}`",
        "",
        "| | |",
        "|---|---|",
        f"| board | {board_text(facts['board'])} |",
        f"| RAM, static + stack | {facts['static_ram_bytes']:,} + {facts['stack_bytes']:,} "
        f"= {facts['total_ram_bytes']:,} B |",
        f"| of which arena | {facts['arena_bytes']:,} B ({over_bound:.1%} over the lower bound) |",
        f"| flash | {facts['flash_bytes']:,} B |",
        *_constants_rows(facts),
        f"| input | {_input_text(facts)} |",
        _work_row(facts, "inference", f"{facts['macs']['forward']:,}"),
        *_training_rows(facts),
        *_store_rows(facts.get("store")),
        *([f"| chooses | {pool_text(facts['pool'])} |"] if "pool" in facts else []),
        *(f"| fits {name} | {'yes' if fits else 'no'} |" for name, fits in facts["fits"].items()),
        "",
        *(line for text in (*dead_lines(facts["dead"]), *facts["advice"]) for line in (text, "")),
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
