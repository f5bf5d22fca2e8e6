"""A picture of the memory plan: live bytes at every step, and where every buffer lies."""

from __future__ import annotations

import os
from pathlib import Path

from tflm_export.compiler import Compiled
from tflm_export.ir import Graph


def draw_memory(compiled: Compiled, path: str | os.PathLike[str], limit_bytes: int = 262_144) -> Path:
    """A picture of the memory over the steps of a training step: live bytes, and where every buffer lies.

    limit_bytes: a line to compare with, 256 KiB by default.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    memory, ops = compiled.memory, compiled.graph.ops
    figure, (above, below) = plt.subplots(2, 1, figsize=(10, 7), sharex=True, height_ratios=(1, 1.4))
    colours = {"forward": "tab:blue", "gradient": "tab:orange", "update": "tab:green"}
    live = memory.live_bytes()
    above.bar(range(len(live)), live, width=1.0, color=[colours[op.role] for op in ops])
    above.axhline(memory.static_ram, color="black", linewidth=0.8, label="static RAM")
    above.axhline(limit_bytes, color="tab:red", linewidth=0.8, linestyle="--", label=f"{limit_bytes:,} B")
    for role, colour in colours.items():
        above.bar(0, 0, color=colour, label=role)
    above.set_ylabel("live bytes")
    above.legend(fontsize=8, loc="upper right")
    for buffer in memory.buffers:
        corner = (buffer.first - 0.5, memory.offsets[buffer.name])
        kind = _colour(compiled.graph, buffer.name)
        box = plt.Rectangle(
            corner, buffer.last - buffer.first + 1, buffer.nbytes, facecolor=kind, linewidth=0.3
        )
        box.set_edgecolor("white")
        below.add_patch(box)
    below.set_ylim(0, memory.arena)
    below.set_xlabel("step: forward, loss, backward with updates")
    below.set_ylabel("arena offset, bytes\nblue int8, orange int16, green bits, grey scratch")
    figure.tight_layout()
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=120)
    plt.close(figure)
    return target


def _colour(graph: Graph, name: str) -> str:
    dtype = graph.tensors[name].dtype if name in graph.tensors else "scratch"
    return {"int8": "tab:blue", "int16": "tab:orange", "bit": "tab:green"}.get(dtype, "tab:grey")
