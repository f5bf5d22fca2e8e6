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

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results.md"
BLOCK = re.compile(r"(<!-- papers:(\w+) -->\n).*?(<!-- end -->)", re.S)
EQUAL, SEARCHED, FAIR, TABLE1 = (
    f"{study}/runs.jsonl" for study in ("equal_bytes", "su_search", "fair_random", "table1")
)
TABLES: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {  # a function of its files' rows
    "equal_bytes": (equal_bytes, (EQUAL,)),
    "equal_bytes_scale": (scale, (EQUAL,)),
    "differences": (differences, (EQUAL,)),
    "over_budgets": (over_budgets, (EQUAL,)),
    "engine_costs": (engine_costs, (EQUAL, "equal_bytes/engines.jsonl")),
    "su_search": (searched, (SEARCHED, EQUAL)),
    "fair_random": (fair_random, (FAIR,)),
    "fair_random_scale": (scale, (FAIR,)),
    "table1": (table1, (TABLE1,)),
    "table1_scale": (table1_scale, (TABLE1,)),
    "flops_saved": (flops_saved, (TABLE1,)),
}


def filled(page: str, results: Path = RESULTS) -> str:
    """The page with its tables."""

    def table(match: re.Match[str]) -> str:
        make, files = TABLES[match[2]]
        return match[1] + make(*(sweep.load(results / name) for name in files)) + match[3]

    return BLOCK.sub(table, page)


def studies() -> list[str]:
    """The folders that tables are made of."""
    return list(dict.fromkeys(name.split("/")[0] for _, files in TABLES.values() for name in files))


def main() -> int:
    """Write the tables into the page and draw the figures; 2 where a study was not run."""
    missing = [study for study in studies() if not (RESULTS / study / "runs.jsonl").is_file()]
    if missing:
        print(f"paper_tables: {RESULTS / missing[0]} is empty; run scripts/{missing[0]}.py.", file=sys.stderr)
        return 2
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw(sweep.load(RESULTS / EQUAL), RESULTS / "equal_bytes" / "above_random.png")
    accuracy_curves(sweep.load(RESULTS / TABLE1), RESULTS / "table1" / "curves.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
