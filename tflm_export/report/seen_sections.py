"""Sections of what was seen while a net learned: accuracy over a stream, selection over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tflm_export.living.selection import Selection
from tflm_export.page.cells import epochs
from tflm_export.page.curves import Curve, curves
from tflm_export.page.document import Section, figure, runs, table
from tflm_export.report.draw_selection import learned


def accuracy_section(
    lines: Mapping[str, Sequence[tuple[float, float]]], x_label: str = "samples", title: str = "Accuracy"
) -> Section:
    """{name: (samples, fraction right) in order}."""
    drawn = [Curve(name, [(x, 100 * y) for x, y in points]) for name, points in lines.items()]
    rows = [(name, x, f"{y:.1%}") for name, points in lines.items() for x, y in points]
    ends = "; ".join(f"{name} {points[-1][1]:.1%}" for name, points in lines.items() if points)
    picture = curves(drawn, x_label, "right, %", (0.0, 100.0), unit=" %")
    same = table(("curve", x_label, "right"), rows)
    return Section(title, (figure("Over the stream", f"In the end: {ends}.", picture, same),))


def selection_section(
    selections: Sequence[Selection], channels: Mapping[str, int], title: str = "Selection over epochs"
) -> Section:
    """Which channels learned in which epoch. channels: how many every candidate has, by its op."""
    grids = learned(selections, channels)
    picture = epochs([(name, grid.tolist()) for name, grid in grids.items()], "epochs")
    rows = [
        (s.epoch, s.step, name, len(chosen), runs(chosen))
        for s in selections
        for name, chosen in s.channels.items()
    ]
    kind = next((s.kind for s in selections), "channels")
    ever = sum(int(grid.any(axis=1).sum()) for grid in grids.values())
    of = sum(channels.values())
    about = f"{ever:,} of {of:,} {kind} learned in at least one of {len(selections):,} epochs."
    same = table(("epoch", "step", "layer", kind, "which"), rows)
    return Section(title, (figure(f"{kind.capitalize()} that learned", about, picture, same),))
