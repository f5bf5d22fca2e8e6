"""The guard's table of docs/living.md, from what was measured: results/stream/guard.jsonl, nothing typed.

`python scripts/guard_study.py`, then `python benchmarks/guard_tables.py`; a test holds the page to it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from stream_tables import PAGE, ROOT, text

MEASURED = ROOT / "results" / "stream" / "guard.jsonl"
BLOCK = re.compile(r"(<!-- guard:table -->\n).*?(<!-- end -->)", re.S)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """What every harm did to every net, without a guard and with one."""
    lines = [
        "| | before | harm | without guard | with guard | worst stream without, with |",
        "|---|--:|---|--:|--:|--:|",
    ]
    for task, harm in dict.fromkeys((row["task"], row["harm"]) for row in rows):
        cells = [
            [row for row in rows if (row["task"], row["harm"], row["guard"]) == (task, harm, guard)]
            for guard in (False, True)
        ]
        changes = [[100 * (row["after"] - row["before"]) for row in cell] for cell in cells]
        if not all(changes):
            continue
        before = 100 * sum(row["before"] for row in cells[1]) / len(cells[1])
        worst = ", ".join(f"{min(change):+.1f}" for change in changes)
        ends = [text(change, "+") for change in changes]
        lines.append(f"| {task} | {before:.1f} | {harm} | {' | '.join(ends)} | {worst} |")
    return "\n".join(lines) + "\n"


def filled(page: str, rows: Sequence[dict[str, Any]]) -> str:
    """The page with its table."""
    return BLOCK.sub(lambda m: m[1] + table(rows) + m[2], page)


def measured() -> list[dict[str, Any]]:
    """The rows of the study."""
    return [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()]


def main() -> int:
    """Write the table into the page; 2 where nothing was measured."""
    if not MEASURED.is_file():
        print(
            f"benchmarks/guard_tables.py: {MEASURED} is missing; run scripts/guard_study.py.", file=sys.stderr
        )
        return 2
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), measured()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
