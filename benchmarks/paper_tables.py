"""The tables of docs/results.md, from what was trained: results/papers/*/runs.jsonl, nothing typed.

`make reproduce-small` runs the studies and this; a test holds the page to it. The papers' own figures are in
results/papers/published.json. A table lies between `<!-- papers:NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from float_tables import float_grid, flops_saved, resnet, resnet_scale
from paper_files import RESULTS
from rest_tables import at_rest, at_rest_scale, share_curve
from saved_tables import draw_saved, saved
from study_tables import (
    differences,
    draw,
    engine_costs,
    equal_bytes,
    fair_random,
    over_budgets,
    scale,
    searched,
)

from tfodl.experiments import sweep
from tfodl.experiments.cells import Row
from tfodl.experiments.comparison import page

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
BLOCK = re.compile(r"(<!-- papers:(\w+) -->\n).*?(<!-- end -->)", re.S)
EQUAL, SEARCHED, FAIR, NEQ, SCOTTI = (
    f"{study}/runs.jsonl" for study in ("equal_bytes", "su_search", "fair_random", "neq", "scotti")
)
ENGINES, HOST = "equal_bytes/engines.jsonl", "equal_bytes/host.jsonl"
FLOATS, RESNET = ("table1/small.jsonl", "table2/small.jsonl"), "table2/resnet18.jsonl"
SCRIPTS = {  # that write the files
    EQUAL: "scripts/equal_bytes.py --small",
    ENGINES: "scripts/engines.py",
    HOST: "scripts/figure5.py",
    SEARCHED: "scripts/su_search.py",
    FAIR: "scripts/fair_random.py --small",
    FLOATS[0]: "scripts/table1.py --small",
    FLOATS[1]: "scripts/table2.py --small",
    RESNET: "scripts/table2.py --small",
    NEQ: "scripts/neq.py --small",
    SCOTTI: "scripts/scotti.py --small",
}


def together(table: Callable[[Sequence[Row]], str]) -> Callable[..., str]:
    """`table` of the rows of several files."""
    return lambda *files: table([row for rows in files for row in rows])


TABLES: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {  # a function of its files' rows
    "equal_bytes": (equal_bytes, (EQUAL,)),
    "equal_bytes_scale": (scale, (EQUAL,)),
    "differences": (differences, (EQUAL,)),
    "over_budgets": (over_budgets, (EQUAL,)),
    "engine_costs": (engine_costs, (EQUAL, ENGINES)),
    "compare": (page, (EQUAL, ENGINES)),
    "saved": (saved, (EQUAL, ENGINES, HOST)),
    "su_search": (searched, (SEARCHED, EQUAL)),
    "fair_random": (fair_random, (FAIR,)),
    "fair_random_scale": (scale, (FAIR,)),
    "float_grid": (together(float_grid), FLOATS),
    "float_scale": (together(scale), FLOATS),
    "float_budgets": (together(over_budgets), FLOATS),
    "flops_saved": (together(flops_saved), FLOATS),
    "resnet": (resnet, (RESNET,)),
    "resnet_scale": (resnet_scale, (RESNET,)),
    "neq": (at_rest, (NEQ,)),
    "neq_scale": (at_rest_scale, (NEQ,)),
    "scotti": (at_rest, (SCOTTI,)),
    "scotti_scale": (at_rest_scale, (SCOTTI,)),
}


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with its tables; a file is read once."""
    load = functools.cache(lambda name: sweep.load(results / name))

    def table(match: re.Match[str]) -> str:
        make, files = TABLES[match[2]]
        return match[1] + make(*map(load, files)) + match[3]

    return BLOCK.sub(table, page)


def files() -> list[str]:
    """What tables are made of."""
    return list(dict.fromkeys(name for _, names in TABLES.values() for name in names))


def main() -> int:
    """Write the tables into the page and draw the figures; 2 where a study was not run."""
    missing = [name for name in files() if not (RESULTS / name).is_file()]
    if missing:
        print(f"paper_tables: no {RESULTS / missing[0]}; run {SCRIPTS[missing[0]]}.", file=sys.stderr)
        return 2
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    rows = {name: sweep.load(RESULTS / name) for name in files()}
    draw(rows[EQUAL], RESULTS / "equal_bytes" / "above_random.png")
    draw_saved(rows[EQUAL], rows[ENGINES], rows[HOST], RESULTS / "equal_bytes" / "figure5.png")
    share_curve(rows[NEQ], RESULTS / "neq" / "shares.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
