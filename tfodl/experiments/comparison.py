"""Which rule at which budget: a study of equal bytes on one page, and the rule that it recommends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfodl.experiments.cells import (
    Cells,
    Key,
    Row,
    budgets,
    cells,
    correct,
    engines_of,
    key_of,
    over_sets,
    percent,
    sets,
)
from tfodl.experiments.paired import Difference
from tfodl.experiments.titles import NAMES

BOUND = ("head", "all", "sparse_update")  # no choice under a budget, or a scheme of one net
BASELINE = "velocity"  # what the others are measured from


def recommended(rows: Sequence[Row]) -> str:
    """The rule for any net that is most often right, mean over the sets and budgets that all of them have.

    rows: of a study's runs. Rules that were not trained on every set at every budget do not stand for it.
    """
    known = cells(rows)
    return max(_for_any_net(known), key=lambda rule: _mean(known, rule, budgets(known)))


def page(rows: Sequence[Row], engines: Sequence[Row] = ()) -> str:
    """A table in Markdown: a row a rule that was trained on every set at every budget, the best first.

    engines: rows of scripts/engines.py, for cycles and flash at the budget that they were compiled at.
    """
    known = cells(rows)
    every, compiled = budgets(known), engines_of(known, engines)
    at = max(every, key=lambda budget: sum(key[2] == budget for key in compiled))  # most engines
    columns = [*map(percent, every), "mean", f"- {NAMES[BASELINE]}", "RAM, KiB", "M cycles", "flash, KiB"]
    lines = [f"| rule | {' | '.join(columns)} | for |", "|---|" + "--:|" * len(columns) + "---|"]
    for rule in sorted(_whole(known), key=lambda rule: -_mean(known, rule, every)):
        values = [f"{_mean(known, rule, [budget]):.1f}" for budget in every]
        values += [f"{_mean(known, rule, every):.1f}", _lead(known, rule)]
        values += _engine(known, rule, at, compiled)
        lines.append(f"| {NAMES[rule]} | {' | '.join(values)} | {_use(rule)} |")
    return "\n".join(lines) + "\n"


def lead(rows: Sequence[Row], rule: str) -> Difference | None:
    """How far `rule` is from Velocity over all sets and budgets, in points."""
    known = cells(rows)
    return over_sets(known, sets(known), rule, BASELINE, budgets(known))


def _whole(known: Cells) -> list[str]:
    """Rules with a cell for every set and budget."""
    names = dict.fromkeys(method for _, method, _ in known)
    places = [(data, budget) for data in sets(known) for budget in budgets(known)]
    return [
        rule for rule in names if rule in NAMES and all(key_of(known, d, rule, b) in known for d, b in places)
    ]


def _for_any_net(known: Cells) -> list[str]:
    return [rule for rule in _whole(known) if rule not in BOUND]


def _mean(known: Cells, rule: str, at: Sequence[str]) -> float:
    """Accuracy in percent, mean over sets and the budgets `at`."""
    keys = [key_of(known, data, rule, budget) for data in sets(known) for budget in at]
    return float(100 * np.mean([correct(known[key]).mean() for key in keys]))


def _lead(known: Cells, rule: str) -> str:
    found = over_sets(known, sets(known), rule, BASELINE, budgets(known)) if rule != BASELINE else None
    return found.text if found else ""


def _engine(known: Cells, rule: str, at: str, compiled: Mapping[Key, Row]) -> tuple[str, str, str]:
    """RAM, cycles and flash at a budget, mean over the sets."""
    keys = (key_of(known, data, rule, at) for data in sets(known))
    found = [compiled[key] for key in keys if key in compiled]
    if not found:
        return "", "", ""
    ram, cycles, flash = (
        float(np.mean([size[name] for size in found])) for name in ("ram_bytes", "step_cycles", "flash_bytes")
    )
    return f"{ram / 1024:.1f}", f"{cycles / 1e6:.1f}", f"{flash / 1024:.0f}"


def _use(rule: str) -> str:
    return {"sparse_update": "nets with a published scheme", "head": "no budget", "all": "no limit"}.get(
        rule, "any net"
    )
