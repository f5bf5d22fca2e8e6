"""The tables of the int8 studies (scripts/equal_bytes.py, fair_random.py, engines.py) in docs/results.md."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from paper_files import PUBLISHED

from tfodl.experiments.cells import (
    Cell,
    Cells,
    Key,
    Row,
    between,
    budgets,
    cells,
    compare,
    correct,
    engines_of,
    key_of,
    mean,
    over_sets,
    percent,
    sets,
    share,
    whole_sets,
)
from tfodl.experiments.figures import interval_figure, save_figure
from tfodl.experiments.given import given
from tfodl.experiments.paired import Difference, mean_of
from tfodl.experiments.titles import NAMES

PAIRS = (
    ("velocity", "random"),
    ("importance_random", "velocity"),
    ("importance_random", "top_layers_random"),
    ("importance_random", "sparse_update"),
    ("top_layers_random", "velocity"),
    ("top_layers_random", "random"),
    ("sparse_update", "velocity"),
    ("sparse_update", "top_layers_random"),
    ("fisher", "velocity"),
    ("static_random", "random"),
    ("velocity_authors", "velocity"),
    ("last_layers", "velocity"),
    ("velocity_scheme_first", "random_scheme_first"),
    ("velocity_scheme_first", "velocity"),
    ("random_scheme_first", "random"),
    ("all", "head"),
)


def equal_bytes(rows: Sequence[Row]) -> str:
    """Every method on every set at the first budget: accuracy, what it takes, how far it is from Random."""
    known = cells(rows)
    lines = [
        "| set | method | accuracy, % | - Random | RAM, KiB | parameters | backward, M MACs | rate |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for data in sets(known):
        budget = _first_budget(known, data)
        keys = [key for key in known if key[0] == data and key == key_of(known, *key[:2], budget)]
        for key in sorted(keys, key=lambda key: -correct(known[key]).mean()):
            gap = compare(known, [key], [(data, "random", budget)]) if key[1] != "random" else None
            values = [data, NAMES[key[1]], accuracy(known[key]), gap_text(gap), _costs(known[key])]
            lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def differences(rows: Sequence[Row]) -> str:
    """Pairs of methods on every set at the first budget, their mean, and what the papers print."""
    known = cells(rows)
    names = sets(known)
    lines = [
        f"| points | {' | '.join(names)} | mean | found 4 times in 5 from | papers |",
        "|---|" + "--:|" * (len(names) + 3),
    ]
    for a, b in PAIRS:
        found = [between(known, data, a, b, [_first_budget(known, data)]) for data in names]
        there = [one for one in found if one is not None]
        if there:
            overall = mean_of(there)
            whole = gap_text(overall) if len(there) == len(names) > 1 else ""
            lines.append(
                f"| {NAMES[a]} - {NAMES[b]} | {' | '.join(map(gap_text, found))} | {whole} "
                f"| {overall.detectable:.1f} | {', '.join(published(a, b))} |"
            )
    return "\n".join(lines) + "\n"


def over_budgets(rows: Sequence[Row]) -> str:
    """Pairs of methods at every budget, mean over the sets that have all of them, and over the budgets."""
    known = cells(rows)
    every, names = budgets(known), whole_sets(known, "random")
    over = names[0] if len(names) == 1 else f"mean of {len(names)} sets"
    lines = [
        f"| points, {over} | {' | '.join(map(percent, every))} | all |",
        "|---|" + "--:|" * (len(every) + 1),
    ]
    for a, b in PAIRS:
        columns = [over_sets(known, names, a, b, [budget]) for budget in every]
        columns.append(over_sets(known, names, a, b, every))
        if columns[-1] is not None and "all" not in (a, b):
            lines.append(f"| {NAMES[a]} - {NAMES[b]} | {' | '.join(map(gap_text, columns))} |")
    return "\n".join(lines) + "\n"


def engine_costs(rows: Sequence[Row], engines: Sequence[Row]) -> str:
    """What the compiled engines of the first budget take, mean over the sets, and what of the backward pass
    they save: as the papers count, in MACs, in cycles."""
    known = cells(rows)
    found = engines_of(known, engines)
    lines = [
        "| method | RAM, B | flash, B | a step, M cycles | saved, the papers' count | in MACs | in cycles |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    names = [data for data in sets(known) if found.get(key_of(known, data, "all", ""))]
    for method in NAMES:
        keys = [key_of(known, data, method, _first_budget(known, data)) for data in names]
        if keys and all(found.get(key) for key in keys):
            pairs = [(found[key], found[key_of(known, key[0], "all", "")]) for key in keys]
            lines.append(f"| {NAMES[method]} | {_sizes(pairs)} | {_saved(known, keys, pairs)} |")
    return "\n".join(lines) + "\n"


def searched(rows: Sequence[Row], others: Sequence[Row]) -> str:
    """The scheme that was found beside the published ones and rules at the same budget."""
    known, against = cells(rows), ("sparse_update", "top_layers_random", "velocity", "random")
    every = known | cells(others)
    lines = [
        "| set | accuracy, % | "
        + " | ".join(f"- {NAMES[name]}" for name in against)
        + " | RAM, KiB | parameters |",
        "|---|" + "--:|" * (len(against) + 3),
    ]
    for key, cell in known.items():
        gaps = [compare(every, [key], [(key[0], name, key[2])]) for name in against]
        size = f"{mean(cell, 'ram_bytes') / 1024:.1f} | {mean(cell, 'params'):,.0f}"
        lines.append(f"| {key[0]} | {accuracy(cell)} | {' | '.join(map(gap_text, gaps))} | {size} |")
    return "\n".join(lines) + "\n"


def fair_random(rows: Sequence[Row]) -> str:
    """Velocity minus Random, by budget: with as many parameters, and with what the published code gave it."""
    known = cells(rows)
    every = sorted({share(budget) for _, method, budget in known if method == "velocity"})
    pairs = [(budget, other) for budget in every for other in (budget, given(budget))]
    titles = [f"{100 * budget:.1f} %, Random {100 * other:.1f}" for budget, other in pairs]
    lines = [f"| set | {' | '.join(titles)} |", "|---|" + "--:|" * len(pairs)]
    gaps = {data: [_lead(known, data, *pair) for pair in pairs] for data in sets(known)}
    for data, found in gaps.items():
        lines.append(f"| {data} | {' | '.join(map(gap_text, found))} |")
    means = [
        mean_of([gap for gap in column if gap is not None]) for column in zip(*gaps.values(), strict=True)
    ]
    return "\n".join([*lines, f"| mean of {len(gaps)} | {' | '.join(map(gap_text, means))} |"]) + "\n"


def _lead(known: Cells, data: str, budget: float, other: float) -> Difference | None:
    """Velocity at `budget` minus Random at `other`."""
    keys = [(data, m, json.dumps({"params_share": b})) for m, b in (("velocity", budget), ("random", other))]
    return compare(known, keys[:1], keys[1:])


def scale(rows: Sequence[Row]) -> str:
    """What was run, in words and hours."""
    first = rows[0]["arguments"]
    recipe, task = first["recipe"], first["task"]
    hours = sum(row["result"]["seconds"] for row in rows) / 3600
    rates = sorted({row["arguments"]["rate"] for row in rows if row["arguments"]["validate"]})
    seeds = max(map(len, cells(rows).values()), default=0)
    shares = sorted({given for row in rows for given in row["arguments"]["budget"].values()})
    return (
        f"{len(rows)} trainings in {hours:.1f} hours of one shared core: {task['net']} at {task['size']} px, "
        f"the last {task['blocks']} blocks and the head, {recipe['pictures']} pictures, {recipe['epochs']} "
        f"epochs, batch {recipe['batch_size']}, rates from {', '.join(f'{rate:g}' for rate in rates)}, "
        f"{seeds} seeds; budgets {', '.join(f'{100 * given:.1f}' for given in shares)} %.\n"
    )


def published(a: str, b: str) -> list[str]:
    """What the papers print for method `a` minus `b`, mean over their seven sets."""
    papers = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    table, trady = papers["velocity"]["table2"], papers["trady"]["rows"]
    found = []
    if {a, b} <= set(table["0.088"]):
        gaps = [one - other for one, other in zip(table["0.088"][a], table["0.088"][b], strict=True)]
        found.append(f"{math.fsum(gaps) / len(gaps):+.1f}")
    if {a, b} <= set(trady):
        found.append(f"{trady[a] - trady[b]:+.1f} (TraDy)")
    return found


def draw(rows: Sequence[Row], path: Path) -> None:
    """How far every method is from Random on every set, with its interval."""
    known = cells(rows)
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for data in sets(known):
        budget = _first_budget(known, data)
        for method in NAMES:
            gap = between(known, data, method, "random", [budget]) if method != "random" else None
            if gap is not None:
                found.setdefault(data, {})[NAMES[method]] = gap.mean, gap.half
    save_figure(interval_figure(found, "points above Random, redrawn every epoch; 95 %"), path)


def accuracy(cell: Cell) -> str:
    """Mean and spread over the seeds, in percent."""
    values = 100 * correct(cell).mean(1)
    return f"{values.mean():.1f} (sd {values.std(ddof=1):.1f})"


def gap_text(found: Difference | None) -> str:
    """With its interval; nothing where there is none."""
    return found.text if found else ""


def _first_budget(known: Cells, data: str) -> str:
    """What the rates of a set were chosen at."""
    return next(budget for name, method, budget in known if name == data)


def _costs(cell: Cell) -> str:
    ram, macs = mean(cell, "ram_bytes") / 1024, mean(cell, "backward_macs") / 1e6
    return f"{ram:.1f} | {mean(cell, 'params'):,.0f} | {macs:.2f} | {cell[0]['arguments']['rate']:g}"


def _sizes(pairs: Sequence[tuple[Row, Row]]) -> str:
    ram, flash, cycles = (
        np.mean([one[name] for one, _ in pairs]) for name in ("ram_bytes", "flash_bytes", "step_cycles")
    )
    return f"{ram:,.0f} | {flash:,.0f} | {cycles / 1e6:.2f}"


def _saved(known: Cells, keys: Sequence[Key], pairs: Sequence[tuple[Row, Row]]) -> str:
    """Shares of the backward pass of all; its cycles are a step's beyond an inference's."""
    backward = [[one["step_cycles"] - one["inference_cycles"] for one in pair] for pair in pairs]
    shares = [
        np.mean([known[key][0]["result"][name][-1] for key in keys])
        for name in ("flops_saved_paper", "flops_saved")
    ]
    shares.append(np.mean([1 - one / every for one, every in backward]))
    return " | ".join(f"{100 * share:.0f} %" for share in shares)
