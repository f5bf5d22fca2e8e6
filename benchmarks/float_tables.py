"""The tables and figures of the float trainings (scripts/table1.py, table2.py) in docs/results.md."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
from paper_files import PUBLISHED

from tfodl.experiments.cells import (
    UNLIMITED,
    Cells,
    Key,
    Row,
    budgets,
    cells,
    correct,
    key_of,
    percent,
    sets,
    share,
)
from tfodl.experiments.titles import NAMES

RULES = ("sparse_update", "velocity_scheme_first", "velocity", "random_scheme_first", "random")
TABLE = {name: "table1" for name in ("sparse_update", "velocity_scheme_first", "random_scheme_first")}


def float_grid(rows: Sequence[Row]) -> str:
    """Every budget and rule: accuracy on every set, the mean, and the mean of the paper's seven sets."""
    known = cells(rows)
    names = sets(known)
    lines = [
        f"| budget | rule | {' | '.join(names)} | mean | the paper's mean of seven |",
        "|--:|---|" + "--:|" * (len(names) + 2),
    ]
    lines.append(_grid_line(known, names, "", "head"))
    lines += [_grid_line(known, names, b, rule) for b in _shares(known) for rule in RULES]
    lines.append(_grid_line(known, names, "", "all"))
    return "\n".join(lines) + "\n"


def flops_saved(rows: Sequence[Row]) -> str:
    """Of the backward pass of all that may learn, what the last plans save: as the papers count, in truth.

    The papers count a frozen neuron's share of the forward work as saved, dX and dW alike; in truth a layer
    above the shallowest one that trains needs its whole dX.
    """
    known = cells(rows)
    shares = _shares(known)
    lines = [
        f"| rule | {' | '.join(f'{percent(b)}: their count | in truth' for b in shares)} |",
        "|---|" + "--:|" * 2 * len(shares),
    ]
    for rule in RULES:
        found = [_saved(known, rule, budget, name) for budget in shares for name in ("_paper", "")]
        lines.append(f"| {NAMES[rule]} | {' | '.join(found)} |")
    return "\n".join(lines) + "\n"


def resnet(rows: Sequence[Row]) -> str:
    """ResNet-18 under each rule: what it trains, accuracy, and the paper's row on CIFAR-10."""
    papers = json.loads(PUBLISHED.read_text(encoding="utf-8"))["velocity"]
    place = papers["sets"].index("CIFAR-10")
    lines = ["| rule | trained | accuracy, % | the paper's, CIFAR-10 |", "|---|--:|--:|--:|"]
    for method in dict.fromkeys(row["arguments"]["method"] for row in rows):
        cell = [row["result"] for row in rows if row["arguments"]["method"] == method]
        values = np.array([100 * result["accuracy"][-1] for result in cell])
        budget = "1" if method == "all" else f"{rows[0]['arguments']['config']['budget']:g}"
        paper = papers["resnet18"].get(budget, {}).get(method)
        spread = f"{values.mean():.1f} (sd {values.std(ddof=1):.1f})"
        printed = f"{paper[place]:.1f}" if paper else ""
        lines.append(f"| {NAMES[method]} | {100 * cell[0]['share']:.1f} % | {spread} | {printed} |")
    return "\n".join(lines) + "\n"


def resnet_scale(rows: Sequence[Row]) -> str:
    """What was run, in words, and how far a test set of that size can tell."""
    config = rows[0]["arguments"]["config"]
    rates = [(row["result"]["accuracy"][-1], row["result"]["test"]) for row in rows]
    error = np.mean([math.sqrt(p * (1 - p) / n) for p, n in rates])
    return (
        f"{len(rows)} trainings: {config['model']} {config['width']:g} as wide, from drawn weights, on "
        f"{config['data']} at {config['size']} px, {config['train_limit']} pictures, "
        f"{config['epochs']} epochs, {len({row['arguments']['seed'] for row in rows})} seeds. "
        f"The test set's own standard error is {100 * error:.1f} points.\n"
    )


def _shares(known: Cells) -> list[str]:
    """The budgets, but what head and all were given where that is none of the others'."""
    return budgets({key: cell for key, cell in known.items() if key[1] not in UNLIMITED})


def _grid_line(known: Cells, names: Sequence[str], budget: str, rule: str) -> str:
    found = [_accuracy(known, key_of(known, data, rule, budget)) for data in names]
    mean = f"{np.mean(found):.1f}" if not any(map(math.isnan, found)) else ""
    values = [f"{value:.1f}" if not math.isnan(value) else "" for value in found]
    at = percent(budget) if budget else ""
    return f"| {at} | {NAMES[rule]} | {' | '.join(values)} | {mean} | {_papers_mean(rule, budget)} |"


def _accuracy(known: Cells, key: Key) -> float:
    return float(100 * correct(known[key]).mean()) if key in known else math.nan


def _papers_mean(rule: str, budget: str) -> str:
    table = json.loads(PUBLISHED.read_text(encoding="utf-8"))["velocity"][TABLE.get(rule, "table2")]
    column = "1" if rule == "all" else f"{share(budget):g}" if budget else ""
    row = table.get(column, {}).get(rule.removesuffix("_scheme_first"))
    return f"{np.mean(row):.1f}" if row else ""


def _saved(known: Cells, rule: str, budget: str, name: str) -> str:
    """Mean over sets and seeds of the last epoch's share."""
    keys = [(data, rule, budget) for data in sets(known)]
    shares = [row["result"][f"flops_saved{name}"][-1] for key in keys for row in known.get(key, [])]
    return f"{100 * np.mean(shares):.0f} %" if shares else ""
