"""The tables of docs/results.md, from what was trained: results/papers/*/runs.jsonl, nothing typed.

`make reproduce-small` runs the studies and this; a test holds the page to it. The papers' own figures are in
results/papers/published.json. A table lies between `<!-- papers:NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from float_tables import accuracy_curves, flops_saved, table1, table1_scale
from paper_names import NAMES, PUBLISHED, RESULTS

from tfodl.experiments import sweep
from tfodl.experiments.figures import interval_figure, save_figure
from tfodl.experiments.paired import Difference, difference, mean_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
BLOCK = re.compile(r"(<!-- papers:(\w+) -->\n).*?(<!-- end -->)", re.S)
PAIRS = (
    ("velocity", "random"),
    ("top_layers_random", "velocity"),
    ("top_layers_random", "random"),
    ("sparse_update", "velocity"),
    ("fisher", "velocity"),
    ("static_random", "random"),
    ("last_layers", "velocity"),
    ("all", "head"),
)
Row = dict[str, Any]
Cell = list[Row]  # the runs of a cell, by seed
Key = tuple[str, str, str]  # data set, method, budget as JSON


def cells(rows: Sequence[Row]) -> dict[Key, Cell]:
    """Runs that count, by cell; cells that lack seeds which another of their set has are left out."""
    found: dict[Key, dict[int, Row]] = {}
    for row in rows:
        a = row["arguments"]
        if not a["validate"]:
            key = a["task"]["data"], a["method"], json.dumps(a["budget"])
            found.setdefault(key, {})[a["seed"]] = row
    most: dict[str, int] = {}
    for (data, *_), seeds in found.items():
        most[data] = max(most.get(data, 2), len(seeds))
    return {
        key: [seeds[s] for s in sorted(seeds)] for key, seeds in found.items() if len(seeds) == most[key[0]]
    }


def correct(cell: Cell) -> np.ndarray:
    """Which test pictures were right, bool [seeds, pictures]."""
    bits = [np.frombuffer(bytes.fromhex(row["result"]["correct"]), np.uint8) for row in cell]
    return np.unpackbits(np.array(bits), axis=1)[:, : cell[0]["result"]["test"]].astype(bool)


def compare(known: Mapping[Key, Cell], a: Key, b: Key) -> Difference | None:
    """Cell `a` minus cell `b` in points; None where one is missing."""
    if a not in known or b not in known:
        return None
    found = difference(correct(known[a]), correct(known[b]))
    return Difference(100 * found.mean, 100 * found.error, found.freedom)


def equal_bytes(rows: Sequence[Row]) -> str:
    """Every method on every set: accuracy, what it takes, and how far it is from Random."""
    known = cells(rows)
    lines = [
        "| set | method | accuracy, % | - Random | RAM, KiB | parameters | backward, M MACs | rate |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for data in dict.fromkeys(data for data, *_ in known):
        keys = sorted((key for key in known if key[0] == data), key=lambda key: -correct(known[key]).mean())
        base = next((key for key in keys if key[1] == "random"), None)
        for key in keys:
            gap = compare(known, key, base) if base and key != base else None
            lines.append(
                f"| {data} | {NAMES[key[1]]} | {_accuracy(known[key])} | {_gap(gap)} | {_costs(known[key])} |"
            )
    return "\n".join(lines) + "\n"


def differences(rows: Sequence[Row]) -> str:
    """Pairs of methods on every set, their mean over the sets, and what the papers print."""
    known = cells(rows)
    sets = list(dict.fromkeys(data for data, *_ in known))
    lines = [
        f"| points | {' | '.join(sets)} | mean | found 4 times in 5 from | papers |",
        "|---|" + "--:|" * (len(sets) + 3),
    ]
    for a, b in PAIRS:
        found = [compare(known, _key(known, data, a), _key(known, data, b)) for data in sets]
        there = [one for one in found if one is not None]
        if there:
            mean = mean_of(there)
            whole = _gap(mean) if len(there) == len(sets) > 1 else ""
            lines.append(
                f"| {NAMES[a]} - {NAMES[b]} | {' | '.join(map(_gap, found))} | {whole} "
                f"| {mean.detectable:.1f} | {_published(a, b)} |"
            )
    return "\n".join(lines) + "\n"


def fair_random(rows: Sequence[Row]) -> str:
    """Velocity against Random with as many parameters, and with what it was given in the published code."""
    known = cells(rows)
    lines = [
        "| set | trains | parameters | accuracy, % | Velocity - it | rate |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for data, method, budget in known:
        if method != "velocity":
            continue
        share = json.loads(budget)["params_share"]
        others = sorted((key for key in known if key[:2] == (data, "random")), key=lambda k: -_share(k))
        for key in [(data, method, budget), *(k for k in others if _share(k) <= share)]:
            gap = compare(known, (data, method, budget), key) if key[1] != method else None
            lines.append(
                f"| {data} | {NAMES[key[1]]}, {100 * _share(key):.1f} % | {_mean(known[key], 'params'):,.0f} "
                f"| {_accuracy(known[key])} | {_gap(gap)} | {known[key][0]['arguments']['rate']:g} |"
            )
    return "\n".join(lines) + "\n"


def scale(rows: Sequence[Row]) -> str:
    """What was run, in words and hours."""
    first = rows[0]["arguments"]
    recipe, task = first["recipe"], first["task"]
    hours = sum(row["result"]["seconds"] for row in rows) / 3600
    rates = sorted({row["arguments"]["rate"] for row in rows if row["arguments"]["validate"]})
    seeds = max(map(len, cells(rows).values()), default=0)
    shares = sorted({share for row in rows for share in row["arguments"]["budget"].values()})
    return (
        f"{len(rows)} trainings in {hours:.1f} hours of one shared core: {task['net']} at {task['size']} px, "
        f"the last {task['blocks']} blocks and the head, {recipe['pictures']} pictures, {recipe['epochs']} "
        f"epochs, batch {recipe['batch_size']}, rates from {', '.join(f'{rate:g}' for rate in rates)}, "
        f"{seeds} seeds; budgets {', '.join(f'{100 * share:.1f}' for share in shares)} %.\n"
    )


TABLES: dict[str, tuple[str, Callable[[Sequence[Row]], str]]] = {
    "equal_bytes": ("equal_bytes", equal_bytes),
    "equal_bytes_scale": ("equal_bytes", scale),
    "differences": ("equal_bytes", differences),
    "fair_random": ("fair_random", fair_random),
    "fair_random_scale": ("fair_random", scale),
    "table1": ("table1", table1),
    "table1_scale": ("table1", table1_scale),
    "flops_saved": ("table1", flops_saved),
}


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with its tables."""

    def table(match: re.Match[str]) -> str:
        folder, make = TABLES[match[2]]
        return match[1] + make(sweep.load(results / folder / "runs.jsonl")) + match[3]

    return BLOCK.sub(table, page)


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


def _published(a: str, b: str) -> str:
    return ", ".join(published(a, b))


def _key(known: Mapping[Key, Cell], data: str, method: str) -> Key:
    return next((key for key in known if key[:2] == (data, method)), (data, method, ""))


def _share(key: Key) -> float:
    return float(json.loads(key[2])["params_share"])


def _accuracy(cell: Cell) -> str:
    values = 100 * correct(cell).mean(1)
    return f"{values.mean():.1f} (sd {values.std(ddof=1):.1f})"


def _gap(found: Difference | None) -> str:
    if found is None:
        return ""
    text = f"{found.mean:+.1f} ± {found.half:.1f}"
    return f"**{text}**" if found.real else text


def _costs(cell: Cell) -> str:
    ram, macs = _mean(cell, "ram_bytes") / 1024, _mean(cell, "backward_macs") / 1e6
    return f"{ram:.1f} | {_mean(cell, 'params'):,.0f} | {macs:.2f} | {cell[0]['arguments']['rate']:g}"


def _mean(cell: Cell, name: str) -> float:
    """Over seeds and epochs."""
    return float(np.mean([row["result"][name] for row in cell]))


def draw(rows: Sequence[Row], path: Path) -> None:
    """How far every method is from Random on every set, with its interval."""
    known = cells(rows)
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for key in known:
        gap = compare(known, key, _key(known, key[0], "random"))
        if gap is not None and key[1] != "random":
            found.setdefault(key[0], {})[NAMES[key[1]]] = gap.mean, gap.half
    save_figure(interval_figure(found, "points above Random, redrawn every epoch; 95 %"), path)


def main() -> int:
    """Write the tables into the page and draw the figure; 2 where a study was not run."""
    missing = [name for name, _ in TABLES.values() if not (RESULTS / name / "runs.jsonl").is_file()]
    if missing:
        print(f"paper_tables: {RESULTS / missing[0]} is empty; run scripts/{missing[0]}.py.", file=sys.stderr)
        return 2
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw(sweep.load(RESULTS / "equal_bytes" / "runs.jsonl"), RESULTS / "equal_bytes" / "above_random.png")
    accuracy_curves(sweep.load(RESULTS / "table1" / "runs.jsonl"), RESULTS / "table1" / "curves.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
