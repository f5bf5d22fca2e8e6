"""The tables of docs/results.md, from what was trained: results/papers/*/runs.jsonl, nothing typed.

`make reproduce-small` runs the studies and this; a test holds the page to it. The papers' own figures are in
results/papers/published.json. A table lies between `<!-- papers:NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from float_tables import accuracy_curves, flops_saved, table1, table1_scale
from paper_names import RESULTS
from study_tables import differences, draw, engine_costs, equal_bytes, fair_random, over_budgets, scale

from tfodl.experiments import sweep

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
BLOCK = re.compile(r"(<!-- papers:(\w+) -->\n).*?(<!-- end -->)", re.S)
RUNS, ENGINES = "runs.jsonl", "engines.jsonl"
TABLES: dict[str, tuple[str, Callable[..., str], tuple[str, ...]]] = {  # study, function of its files' rows
    "equal_bytes": ("equal_bytes", equal_bytes, (RUNS,)),
    "equal_bytes_scale": ("equal_bytes", scale, (RUNS,)),
    "differences": ("equal_bytes", differences, (RUNS,)),
    "over_budgets": ("equal_bytes", over_budgets, (RUNS,)),
    "engine_costs": ("equal_bytes", engine_costs, (RUNS, ENGINES)),
    "fair_random": ("fair_random", fair_random, (RUNS,)),
    "fair_random_scale": ("fair_random", scale, (RUNS,)),
    "table1": ("table1", table1, (RUNS,)),
    "table1_scale": ("table1", table1_scale, (RUNS,)),
    "flops_saved": ("table1", flops_saved, (RUNS,)),
}


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with its tables."""

    def table(match: re.Match[str]) -> str:
        study, make, files = TABLES[match[2]]
        return match[1] + make(*(sweep.load(results / study / name) for name in files)) + match[3]

    return BLOCK.sub(table, page)


def main() -> int:
    """Write the tables into the page and draw the figures; 2 where a study was not run."""
    missing = [study for study, *_ in TABLES.values() if not (RESULTS / study / RUNS).is_file()]
    if missing:
        print(f"paper_tables: {RESULTS / missing[0]} is empty; run scripts/{missing[0]}.py.", file=sys.stderr)
        return 2
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw(sweep.load(RESULTS / "equal_bytes" / RUNS), RESULTS / "equal_bytes" / "above_random.png")
    accuracy_curves(sweep.load(RESULTS / "table1" / RUNS), RESULTS / "table1" / "curves.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
