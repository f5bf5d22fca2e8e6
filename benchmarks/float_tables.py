"""The tables and the figure of the float trainings (scripts/table1.py, table2.py, figure4.py, figure5.py)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from paper_names import NAMES, PUBLISHED

from tfodl.experiments.figures import accuracy_figure, save_figure

LIKE = {"person_windows_96": "VWW", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "vww": "VWW"}
LIKE |= {"flowers": "Flowers", "food": "Food", "pets": "Pets", "cub": "CUB"}  # the paper's columns
Row = dict[str, Any]
Key = tuple[str, float, str, str]  # data set, budget, rule, first epoch's neurons


def cells(rows: Sequence[Row]) -> dict[Key, list[Row]]:
    """Runs by cell."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        config = row["arguments"]["config"]
        key = config["data"], config["budget"], row["arguments"]["method"], config["first"]
        found.setdefault(key, []).append(row)
    return found


def table1(rows: Sequence[Row]) -> str:
    """Every set, budget and rule in float, and the paper's row of the set that it is or is like."""
    lines = [
        "| set | budget | rule | trained | accuracy, % | the paper's | on |",
        "|---|--:|---|--:|--:|--:|---|",
    ]
    for (data, budget, method, first), cell in cells(rows).items():
        values = [100 * row["result"]["accuracy"][-1] for row in cell]
        mean, spread = np.mean(values), np.std(values, ddof=1) if len(values) > 1 else math.nan
        paper = _paper(data, budget, method, first)
        parts = [data, f"{100 * budget:.1f} %", NAMES[method], f"{100 * cell[0]['result']['share']:.1f} %"]
        lines.append(f"| {' | '.join(parts)} | {mean:.1f} (sd {spread:.1f}) | {paper} |")
    return "\n".join(lines) + "\n"


def table1_scale(rows: Sequence[Row]) -> str:
    """What was run, in words, and how far a test set of that size can tell."""
    config = rows[0]["arguments"]["config"]
    rates = [(row["result"]["accuracy"][-1], row["result"]["test"]) for row in rows]
    error = np.mean([math.sqrt(p * (1 - p) / n) for p, n in rates])
    return (
        f"{len(rows)} trainings: {config['model']} at {config['size']} px, {config['train_limit'] or 'all'} "
        f"pictures, {config['probe_epochs']} epochs of the head alone, then {config['epochs']} by each rule, "
        f"{len({row['arguments']['seed'] for row in rows})} seeds. The test set's own standard error is "
        f"{100 * error:.1f} points.\n"
    )


def flops_saved(rows: Sequence[Row]) -> str:
    """Of the backward pass of all, what each rule's last plan saves: as the papers count, and in truth.

    The papers count a frozen neuron's share of the forward work as saved, dX and dW alike; in truth a layer
    above the shallowest one that trains needs its whole dX.
    """
    found = cells(rows)
    whole = next(cell[0]["result"]["macs"] for key, cell in found.items() if key[2] == "all")
    lines = [
        "| set | budget | rule | saved, the papers' count | saved in truth | dX left | dW left |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    for (data, budget, method, _), cell in found.items():
        dx, dw = (float(np.mean([row["result"]["macs"][part] for row in cell])) for part in ("dx", "dw"))
        shares = [1 - dw / whole["forward"], 1 - (dx + dw) / (whole["dx"] + whole["dw"])]
        shares += [dx / whole["dx"], dw / whole["dw"]]
        numbers = " | ".join(f"{100 * share:.0f} %" for share in shares)
        lines.append(f"| {data} | {100 * budget:.1f} % | {NAMES[method]} | {numbers} |")
    return "\n".join(lines) + "\n"


def accuracy_curves(rows: Sequence[Row], path: Path) -> None:
    """Test accuracy after every epoch, mean over seeds, of the first set and budget."""
    found = cells(rows)
    first = next(iter(found))[:2]
    curves = {
        NAMES[key[2]]: np.mean([row["result"]["accuracy"] for row in cell], axis=0)
        for key, cell in found.items()
        if key[:2] == first
    }
    drawn = {name: (range(1, len(curve) + 1), curve) for name, curve in curves.items()}
    every = np.concatenate(list(curves.values()))
    figure = accuracy_figure(drawn, {}, "epoch")
    figure.axes[0].set_ylim(100 * every.min() - 1, 100 * every.max() + 1)
    save_figure(figure, path)


def _paper(data: str, budget: float, method: str, first: str) -> str:
    papers = json.loads(PUBLISHED.read_text(encoding="utf-8"))["velocity"]
    table = papers["table1" if first == "sparse_update" else "table2"]
    row = table.get("1" if method == "all" else f"{budget:g}", {}).get(method)
    if row is None or data not in LIKE:
        return "| "
    return f"{row[papers['sets'].index(LIKE[data])]:.2f} | {LIKE[data]}"
