"""What every kernel call of an engine costs, in cycles of the emulated Cortex-M4F.

The engine is compiled with a lap of the board's clock behind every call of its lists; the laps' own cost is
taken off, so that the parts add up to what `measure` counts.

>>> print(table(profile(compiled, pictures, labels)["train_step"]))               # doctest: +SKIP
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.machines.m4 import NRF52840, O2_FLAGS, Memories, build, run
from tflm_export.machines.measure import board_program
from tflm_export.macs import op_macs
from tflm_export.memory.stream import layer_ops

LISTS = re.compile(r"^void (?:frozen_layers|infer)\(\) \{\n", re.M)  # the lists of calls begin here
STATEMENT = re.compile(r"^  (?:const bool learns =\s+)?tfodl::(\w+)\(.*?;$|^  \{$.*?^  \}$", re.M | re.S)
LAYER = re.compile(r"\b(?:conv|add|requantize|pool|pad|logistic|softmax)(\d+)\b|, b(\d+)\);")
OTHER = re.compile(r"at::[a-z]+(\d+)")  # of a call that names no struct: its first tensor's
ROLES = {"weights_update": "update", "columns_update": "update", "input_grad": "gradient"}


@dataclasses.dataclass(frozen=True)
class CallCost:
    """One kernel call. ops: the layers that it names, `("#3",)`; several in a stream.

    macs: multiply-accumulates of its op; 0 for what has none.
    """

    kernel: str
    ops: tuple[str, ...]
    macs: int
    cycles: int
    instructions: int


def profile(
    compiled: Compiled,
    pictures: np.ndarray,
    targets: Sequence[int] | np.ndarray,
    *,
    flags: Sequence[str] = O2_FLAGS,
    timeout: float = 300.0,
    memories: Memories = NRF52840,
) -> dict[str, list[CallCost]]:
    """The calls of the last `inference` and of the last `train_step`, in order.

    Arguments: those of `measure`. Raises `ExportError` as `measure` does.
    """
    main, samples = board_program(compiled, pictures, targets, 1)
    with tempfile.TemporaryDirectory(prefix="tfodl-profile-") as name:
        folder = compiled.save(Path(name) / "engine")
        engine = folder / "src" / f"{compiled.name}.cpp"
        text, calls = _with_laps(engine.read_text(encoding="utf-8"))
        engine.write_text(text, encoding="utf-8")
        sources = sorted((folder / "src").rglob("*.cpp"))
        elf = build(sources, [folder / "src"], main, Path(name) / "engine.elf", flags, memories)
        measured = run(elf, {"samples.bin": samples}, timeout).costs
    costs = [_cost(call, compiled.graph) for call in calls]
    return {
        cost.name: [
            dataclasses.replace(costs[number], cycles=count.cycles, instructions=count.instructions)
            for number, count in cost.laps
        ]
        for cost in measured
    }


def _with_laps(source: str) -> tuple[str, list[str]]:
    """The engine with a lap behind every call, and the calls."""
    start = LISTS.search(source)
    if start is None:
        raise ExportError("engine: it has no lists of calls; compile it with this version of tflm-export.")
    calls: list[str] = []

    def follow(match: re.Match[str]) -> str:
        calls.append(match[0])
        return f"{match[0]}\n  board_lap({len(calls) - 1});"

    head, tail = source[: start.end()], source[start.end() :]
    return f'#include "board.h"\n{head}  board_lap(0);\n  board_lap(0);\n{STATEMENT.sub(follow, tail)}', calls


def _cost(call: str, graph: Graph) -> CallCost:
    """A call without its counts."""
    kernel = re.findall(r"tfodl::(\w+)\(", call)[-1]
    numbers = [one or other for one, other in LAYER.findall(call)] or OTHER.findall(call)[:1]
    names = tuple(f"#{number}" for number in dict.fromkeys(numbers))
    role = next((role for word, role in ROLES.items() if word in kernel), "forward")
    layers = layer_ops(graph)
    own = [op for op in layers.values() if op.role == role and op.attrs.get("op", op.name) in names]
    counts = "conv" in call and kernel not in ("update_rates", "grad_factors")
    return CallCost(kernel, names, counts * sum(op_macs(op, layers, graph) for op in own), 0, 0)


def table(costs: Sequence[CallCost]) -> str:
    """Markdown: the calls, their cycles, MACs and cycles a MAC, instructions beside, and the total."""
    sums = (sum(getattr(c, field) for c in costs) for field in ("macs", "cycles", "instructions"))
    total = CallCost("", ("all",), *sums)
    head = [
        "| op | kernel | cycles | share | MAC | cycles a MAC | instructions |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    return "\n".join([*head, *(_row(cost, total.cycles) for cost in [*costs, total])])


def _row(cost: CallCost, total: int) -> str:
    a_mac = f"{cost.cycles / cost.macs:.2f}" if cost.macs else ""
    share = f"{cost.cycles / max(1, total):.1%}"
    ops = cost.ops[0] if len(cost.ops) == 1 else f"{cost.ops[0]}..{cost.ops[-1]}" if cost.ops else ""
    counts = f"{cost.cycles:,} | {share} | {cost.macs:,} | {a_mac} | {cost.instructions:,}"
    return f"| {ops} | {cost.kernel} | {counts} |"
