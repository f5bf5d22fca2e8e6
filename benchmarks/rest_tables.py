"""The tables and the figure of neurons at rest (scripts/neq.py, scotti.py) in docs/results.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from paper_files import PUBLISHED
from study_tables import gap_text

from tfodl.experiments.cells import Cell, Row, correct
from tfodl.experiments.figures import save_figure
from tfodl.experiments.paired import Difference, difference

NAMES = {
    "all": "all",
    "neq": "NEq",
    "scotti": "SCoTTi",
    "scotti_ultimate": "SCoTTi, rate and momentum learned, too",
    "ultimate_neq": "ultimate optimizer + NEq",
}
Key = tuple[str, float]  # method, eps


def at_rest(rows: Sequence[Row]) -> str:
    """Accuracy of every method and eps, what was updated and saved, and what is printed of NEq."""
    known = _cells(rows)
    printed = json.loads(PUBLISHED.read_text(encoding="utf-8"))["neq"]["eps"]
    lines = [
        "| method | eps | accuracy, % | - all | updated, last epoch | backward saved, the papers' count "
        "| in truth | the paper's |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (method, eps), cell in known.items():
        paper = printed.get("0" if method == "all" else f"{eps:g}") if method in ("all", "neq") else None
        shares = [_last(cell, "updated_share"), _mean(cell, "flops_saved_paper"), _mean(cell, "flops_saved")]
        values = [NAMES[method], f"{eps:g}" if method != "all" else "", _accuracy(cell), _to_all(known, cell)]
        values += [f"{100 * share:.0f} %" for share in shares] + [f"{paper:.2f}" if paper else ""]
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def at_rest_scale(rows: Sequence[Row]) -> str:
    """What was run, in words."""
    config = rows[0]["arguments"]["config"]
    return (
        f"{len(rows)} trainings: {config['model']} {config['width']:g} as wide, on {config['data']}, "
        f"{config['train_limit'] or 'all'} pictures, {config['epochs']} epochs, "
        f"batch {config['batch_size']}, {len({row['arguments']['seed'] for row in rows})} seeds.\n"
    )


def share_curve(rows: Sequence[Row], path: Path) -> None:
    """Accuracy against the share of the neurons that were updated, mean over epochs; a mark an eps."""
    figure = Figure(figsize=(6, 3.6))
    axes = figure.subplots()
    for method in NAMES:
        cells = {eps: cell for (name, eps), cell in _cells(rows).items() if name == method}
        if cells:
            x = [100 * _mean(cell, "updated_share") for cell in cells.values()]
            y = [100 * correct(cell).mean() for cell in cells.values()]
            axes.plot(x, y, marker="o", label=NAMES[method])
            for eps, place in zip(cells, zip(x, y, strict=True), strict=True):
                axes.annotate(f"{eps:g}" if method != "all" else "", place, fontsize=7)
    axes.set(xlabel="parameters updated, % (mean over epochs)", ylabel="test accuracy, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save_figure(figure, path)


def _cells(rows: Sequence[Row]) -> dict[Key, Cell]:
    """Runs by method and eps, by seed; all first, then by eps."""
    found: dict[Key, Cell] = {}
    for row in sorted(rows, key=lambda row: row["arguments"]["seed"]):
        key = row["arguments"]["method"], row["arguments"]["config"]["eps"]
        found.setdefault(key, []).append(row)
    return dict(sorted(found.items(), key=lambda item: (list(NAMES).index(item[0][0]), item[0][1])))


def _to_all(known: dict[Key, Cell], cell: Cell) -> str:
    """How far a cell is from all, whose seeds are the same."""
    whole = next(other for (method, _), other in known.items() if method == "all")
    if cell is whole or len(cell) < 2:
        return ""
    found = difference(correct(cell), correct(whole))
    return gap_text(Difference(100 * found.mean, 100 * found.error, found.freedom))


def _accuracy(cell: Cell) -> str:
    values = 100 * correct(cell).mean(1)
    return f"{values.mean():.1f} ({values.min():.1f} to {values.max():.1f})"


def _last(cell: Cell, name: str) -> float:
    return float(np.mean([row["result"][name][-1] for row in cell]))


def _mean(cell: Cell, name: str) -> float:
    return float(np.mean([row["result"][name] for row in cell]))
