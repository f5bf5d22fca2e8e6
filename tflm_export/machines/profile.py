"""What every kernel call of an engine costs, in cycles of the emulated core.

The engine is emitted with a lap of the counter behind every call of its lists; the laps' own cost is taken
off, so that the parts add up to what `measure` counts.

>>> costs = profile(compile_model(tflite, plan), inputs[:2], [0, 1])["train_step"]
>>> print(table(costs))                                                          # doctest: +ELLIPSIS
| op | kernel | cycles | share | MAC | cycles a MAC | instructions |
...
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.emit import KernelCall, emit_with_laps
from tflm_export.ir import Graph
from tflm_export.machines.emulator import CORTEX_M4F, O2_FLAGS, Core, Count, Memories, build, run
from tflm_export.machines.measure import board_program
from tflm_export.macs import op_macs


@dataclasses.dataclass(frozen=True)
class CallCost:
    """One kernel call. ops: the layers that it runs, `("#3",)`; several in a stream.

    macs: multiply-accumulates; 0 for what has none. cycles, instructions: of the call and what prepares it.
    role: forward, gradient or update.
    """

    kernel: str
    ops: tuple[str, ...]
    macs: int
    cycles: int
    instructions: int
    role: str = "forward"


def profile(
    compiled: Compiled,
    pictures: np.ndarray,
    targets: Sequence[int] | np.ndarray,
    *,
    flags: Sequence[str] = O2_FLAGS,
    timeout: float = 300.0,
    memories: Memories | None = None,
    core: Core = CORTEX_M4F,
) -> dict[str, list[CallCost]]:
    """The calls of the last `inference` and of the last `train_step`, in order.

    Arguments: those of `measure`. Raises `ExportError` as `measure` does.
    """
    main, samples = board_program(compiled, pictures, targets, 1)
    fresh, calls = emit_with_laps(
        compiled.graph, compiled.memory, compiled.plan, compiled.name, compiled.exemplars
    )
    sources = {**compiled.sources, **{f"src/{path}": text for path, text in fresh.items()}}
    with tempfile.TemporaryDirectory(prefix="tfodl-profile-") as name:
        folder = dataclasses.replace(compiled, sources=sources).save(Path(name) / "engine")
        files = sorted((folder / "src").rglob("*.cpp"))
        elf = build(files, [folder / "src"], main, Path(name) / "engine.elf", flags, memories, core)
        measured = run(elf, {"samples.bin": samples}, timeout, core=core).costs
    return {
        cost.name: [_cost(calls[number], compiled.graph, count) for number, count in cost.laps]
        for cost in measured
    }


def _cost(call: KernelCall, graph: Graph, count: Count) -> CallCost:
    ops, layers = call.op.members, graph.layers
    names = tuple(dict.fromkeys(op.owner for op in ops))
    macs = sum(op_macs(op, layers, graph) for op in ops)
    return CallCost(call.kernel, names, macs, count.cycles, count.instructions, call.op.role)


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
