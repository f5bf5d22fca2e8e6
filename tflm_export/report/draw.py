"""A picture of the memory of a training step: how much is alive at every op, and where every buffer lies."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tflm_export.boards import BOARDS, Board
from tflm_export.compiler import Compiled
from tflm_export.errors import ExportError
from tflm_export.files import write_bytes
from tflm_export.report.arena_map import buffer_kind, buffer_symbols, live_by_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "activations": "tab:blue",
    "clip masks": "tab:green",
    "gradients": "tab:orange",
    "rows of streams": "tab:cyan",
    "scratch": "lightgrey",
}
FAR = 2.5  # a limit this many times what is used is no line in the picture
FORMATS = (".png", ".svg", ".pdf")


def draw_memory(
    compiled: Compiled,
    path: str | os.PathLike[str],
    stack_bytes: int = 0,
    board: Board = BOARDS["nano33ble"],
) -> Path:
    """Write `memory_figure` to `path` (.png, .svg or .pdf), whole or not at all, with the board's limit.

    Raises `ExportError` for another format, `TfodlError` when the file cannot be written.
    """
    target = Path(path)
    kind = picture_format(target)
    figure = memory_figure(compiled, stack_bytes, board=board)
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, dpi=120)
    write_bytes(target, picture.getvalue())
    return target


def picture_format(path: Path) -> str:
    """The format by the file's ending, `png`. Raises `ExportError` for one that is not supported."""
    if path.suffix.lower() not in FORMATS:
        raise ExportError(f"picture {str(path)!r}: format not supported; allowed: {', '.join(FORMATS)}.")
    return path.suffix.lower()[1:]


def memory_figure(
    compiled: Compiled,
    stack_bytes: int = 0,
    limits: Mapping[str, int] | None = None,
    board: Board = BOARDS["nano33ble"],
) -> Figure:
    """Above: bytes alive at every op, over what is always there. Below: every buffer's place and lifetime.

    stack_bytes: the stack as measured, part of what is always there. limits: `{name: bytes}`, drawn as lines;
    by default what the board leaves to the engine's static memory and stack.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.5))
    if limits is None:
        limits = {board.title: board.ram_bytes + (board.stack_bytes if stack_bytes else 0)}
    _draw_live(above, compiled, stack_bytes, limits)
    _draw_places(below, compiled)
    steps = len(compiled.graph.ops)
    below.set(xlim=(-0.5, steps - 0.5), xlabel=_phases(compiled))
    names = [op.owner for op in compiled.graph.ops]
    marked = range(0, steps, max(1, -(-steps // 40)))
    below.set_xticks(list(marked), [names[i] for i in marked], rotation=90, fontsize=7)
    loss = next((i for i, op in enumerate(compiled.graph.ops) if op.name == "loss"), None)
    figure.suptitle(f"Memory of the engine {compiled.name!r}")
    for axes in (above, below):
        if loss is not None:
            axes.axvline(loss, color="black", linewidth=0.8, linestyle=":")
    return figure


def _phases(compiled: Compiled) -> str:
    if compiled.graph.loss is None:
        return "ops of an inference, by number in the model"
    return "ops of a training step: forward, loss (dotted line), then gradients and updates, by layer"


def _draw_live(axes: Axes, compiled: Compiled, stack_bytes: int, limits: Mapping[str, int]) -> None:
    memory = compiled.memory
    fixed = memory.static_ram - memory.arena + stack_bytes
    what = "weights that learn, their state" + (", stack" if stack_bytes else "")
    steps, floor = range(len(compiled.graph.ops)), np.full(len(compiled.graph.ops), fixed / 1024)
    if fixed:
        axes.bar(steps, floor, width=1.0, color="dimgrey", label=f"{what}: {fixed:,} B")
    for kind, alive in live_by_kind(compiled).items():
        height = np.array(alive) / 1024
        if height.any():
            axes.bar(steps, height, bottom=floor, width=1.0, color=COLOURS[kind], label=kind)
        floor = floor + height
    over = memory.arena / max(1, memory.lower_bound) - 1
    bound = f"lower bound {memory.lower_bound:,} B"
    axes.axhline((fixed + memory.lower_bound) / 1024, color="tab:red", linewidth=1.2, label=bound)
    text = f"arena {memory.arena:,} B ({over:.1%} over)"
    axes.axhline((fixed + memory.arena) / 1024, color="black", linewidth=1.2, linestyle="--", label=text)
    top = (fixed + memory.arena) / 1024
    for name, nbytes in limits.items():
        if nbytes / 1024 > FAR * top:
            axes.plot([], [], " ", label=f"{name}: {nbytes:,} B, off the scale")
            continue
        top = max(top, nbytes / 1024)
        axes.axhline(nbytes / 1024, color="black", linewidth=1, linestyle=":")
        axes.text(0, nbytes / 1024, f"{name}: {nbytes:,} B", va="bottom", fontsize=8)
    axes.set(ylabel="RAM, KiB", ylim=(0, 1.1 * top))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=8, frameon=False)


def _draw_places(axes: Axes, compiled: Compiled) -> None:
    from matplotlib.patches import Rectangle

    memory, labels = compiled.memory, buffer_symbols(compiled)
    steps, arena = len(compiled.graph.ops), max(1, memory.arena)
    for buffer in memory.buffers:
        at, span = memory.offsets[buffer.name] / 1024, buffer.last - buffer.first + 1
        for first, end, nbytes in buffer.parts():
            box = Rectangle((first - 0.5, at), end - first, nbytes / 1024)
            box.set(facecolor=COLOURS[buffer_kind(compiled, buffer)], edgecolor="white", linewidth=0.4)
            axes.add_patch(box)
        name = labels.get(buffer.name, "")
        for text in (f"{name} {buffer.nbytes:,} B", name) if name else ():
            turned = _turned(text, span / steps, buffer.nbytes / arena)
            if turned is not None:
                place = (buffer.first - 0.5 + span / 2, at + buffer.nbytes / 2048)
                axes.text(*place, text, ha="center", va="center", fontsize=6.5, rotation=turned)
                break
    axes.set(ylim=(0, arena / 1024), ylabel="place in the arena, KiB")


def _turned(text: str, width: float, height: float) -> int | None:
    """Degrees by which a label is turned to fit a box, both as shares of the axes; None where it does not."""
    if height > 0.018 and width > 0.0065 * len(text):
        return 0
    return 90 if height > 0.0125 * len(text) and width > 0.009 else None
