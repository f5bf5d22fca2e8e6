"""Tables and figure of the trainings whose neurons rest (scripts/neq.py, scotti.py), for docs/results.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from study_cells import correct
from study_tables import accuracy, gap_text

from tfodl.experiments.figures import save_figure, trade_off_figure
from tfodl.experiments.paired import Difference, difference

NAMES = {
    "all": "all",
    "neq": "NEq",
    "scotti": "SCoTTi",
    "scotti_ultimate": "SCoTTi, rate and momentum learned, too",
    "ultimate_neq": "NEq, rate and momentum learned",
}
Row = dict[str, Any]
Key = tuple[str, float]  # method, eps


def cells(rows: Sequence[Row]) -> dict[Key, list[Row]]:
    """Runs by method and eps, by seed."""
    found: dict[Key, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["arguments"]["seed"]):
        key = row["arguments"]["method"], row["arguments"]["config"]["eps"]
        found.setdefault(key, []).append(row)
    return found


def at_rest(rows: Sequence[Row]) -> str:
    """Every method and threshold: accuracy, what is updated and saved over the training."""
    known = cells(rows)
    base = next(cell for key, cell in known.items() if key[0] == "all")
    lines = [
        "| method | eps | accuracy, % | - all | updated | last epoch | saved, the papers' count | in truth |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (method, eps), cell in known.items():
        gap = None if cell is base else _points(cell, base)
        shares = [_mean(cell, "updated_share"), _last(cell, "updated_share")]
        shares += [_mean(cell, "flops_saved_paper"), _mean(cell, "flops_saved")]
        values = [NAMES[method], "" if method == "all" else f"{eps:g}", accuracy(cell), gap_text(gap)]
        lines.append(f"| {' | '.join([*values, *(f'{100 * share:.0f} %' for share in shares)])} |")
    return "\n".join(lines) + "\n"


def scale(rows: Sequence[Row]) -> str:
    """What was run, in words."""
    config = rows[0]["arguments"]["config"]
    seeds = {row["arguments"]["seed"] for row in rows}
    return (
        f"{len(rows)} trainings from scratch: {config['model']} at {config['width']:g} of its width on "
        f"{config['train_limit'] or 'all'} pictures of {config['data']}, {config['epochs']} epochs, batch "
        f"{config['batch_size']}, {len(seeds)} seeds.\n"
    )


def draw(rows: Sequence[Row], path: Path) -> None:
    """Accuracy against the share of updates, a mark a threshold."""
    points: dict[str, list[tuple[float, float]]] = {}
    for (method, _), cell in cells(rows).items():
        point = _mean(cell, "updated_share"), float(correct(cell).mean())
        points.setdefault(NAMES[method], []).append(point)
    save_figure(trade_off_figure(points, "neurons updated, % of all in all epochs"), path)


def _points(a: Sequence[Row], b: Sequence[Row]) -> Difference | None:
    if len(a) != len(b) or len(a) < 2:
        return None
    found = difference(correct(list(a)), correct(list(b)))
    return Difference(100 * found.mean, 100 * found.error, found.freedom)


def _mean(cell: Sequence[Row], name: str) -> float:
    """Over seeds and epochs."""
    return float(np.mean([row["result"][name] for row in cell]))


def _last(cell: Sequence[Row], name: str) -> float:
    return float(np.mean([row["result"][name][-1] for row in cell]))
