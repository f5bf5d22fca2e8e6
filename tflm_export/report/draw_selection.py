"""A picture of what a device chose: a row a channel, a column an epoch, black where the channel learned."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.files import write_bytes
from tflm_export.living.selection import Selection
from tflm_export.report.draw import picture_format

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_selections(
    selections: Sequence[Selection], channels: Mapping[str, int], path: str | os.PathLike[str]
) -> Path:
    """Write `selection_figure` to `path` (.png, .svg or .pdf), whole or not at all.

    selections: an engine's `history`. channels: how many each candidate has, by its op.
    Raises `ExportError` for no selections or another format, `TfodlError` when it cannot be written.
    """
    target = Path(path)
    kind = picture_format(target)
    picture = io.BytesIO()
    selection_figure(selections, channels).savefig(picture, format=kind, dpi=120)
    write_bytes(target, picture.getvalue())
    return target


def learned(selections: Sequence[Selection], channels: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Which channels learned: bool [channels, epochs] of every candidate.

    >>> learned([Selection(0, 0, {"#1": (1,)}), Selection(1, 9, {"#1": (0, 1)})], {"#1": 2})["#1"].tolist()
    [[False, True], [True, True]]
    """
    found = {name: np.zeros((count, len(selections)), bool) for name, count in channels.items()}
    for epoch, selection in enumerate(selections):
        for name, chosen in selection.channels.items():
            found[name][list(chosen), epoch] = True
    return found


def selection_figure(selections: Sequence[Selection], channels: Mapping[str, int]) -> Figure:
    """One panel a candidate, deepest below; as high as it has channels."""
    from matplotlib.figure import Figure

    if not selections:
        raise ExportError("selections: there are none to draw; let the engine train first.")
    rows = learned(selections, channels)
    heights = [max(count, sum(channels.values()) / 40) for count in channels.values()]
    figure = Figure(figsize=(7, 9), layout="constrained")
    axes = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (name, grid) in zip(axes, rows.items(), strict=True):
        axis.imshow(grid, aspect="auto", cmap="Greys", interpolation="nearest", vmin=0, vmax=1)
        axis.set_ylabel(f"{name}\n{grid.any(axis=1).sum()}/{len(grid)}", rotation=0, ha="right", va="center")
        axis.set_yticks([])
    axes[-1].set_xlabel("epoch")
    figure.suptitle(f"{selections[0].kind.capitalize()} that learned, of those that ever did")
    return figure
