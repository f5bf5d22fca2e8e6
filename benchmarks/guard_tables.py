"""The tables of guards, new classes and endurance in docs/living.md, from what was measured, nothing typed.

`python scripts/guard_study.py`, `scripts/new_class_study.py`, `scripts/endurance.py`, then
`python benchmarks/guard_tables.py`; a test holds the page to it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from stream_tables import PAGE, ROOT, spread_text

MEASURED = {
    name: ROOT / "results" / "stream" / f"{name}.jsonl"
    for name in ("guard", "doubt", "new_class", "endurance")
}
BLOCK = re.compile(r"(<!-- judged:(\w+) -->\n).*?(<!-- end -->)", re.S)
NETS = {"mbv2-w0.35": "mbv2-w0.35, 96 px", "mcunet-5fps": "mcunet-5fps, 128 px"}
Rows = Sequence[dict[str, Any]]


def guards(rows: Rows) -> str:
    """What every harm did to every net, without a guard and with one."""
    lines = [
        "| | before | harm | without guard | with guard | worst stream without, with |",
        "|---|--:|---|--:|--:|--:|",
    ]
    for task, harm in dict.fromkeys((row["task"], row["harm"]) for row in rows):
        cells = [[row for row in rows if _is(row, task, harm, guard)] for guard in (False, True)]
        changes = [[100 * (row["after"] - row["before"]) for row in cell] for cell in cells]
        if not all(changes):
            continue
        before = 100 * sum(row["before"] for row in cells[1]) / len(cells[1])
        worst = ", ".join(f"{min(change):+.1f}" for change in changes)
        ends = [spread_text(change, "+") for change in changes]
        lines.append(f"| {task} | {before:.1f} | {harm} | {' | '.join(ends)} | {worst} |")
    return "\n".join(lines) + "\n"


def doubts(trusting: Rows, doubting: Rows) -> str:
    """What doubting adds to streams that trust every label, pair by pair."""
    lines = ["| | harm | doubted, of all | gain without guard | gain with guard |", "|---|---|--:|--:|--:|"]
    for task, harm in dict.fromkeys((row["task"], row["harm"]) for row in doubting):
        gains = []
        for guard in (False, True):
            ends = [
                {row["seed"]: 100 * row["after"] for row in rows if _is(row, task, harm, guard)}
                for rows in (trusting, doubting)
            ]
            gains.append(spread_text([ends[1][seed] - ends[0][seed] for seed in ends[1]], "+"))
        cell = [row for row in doubting if _is(row, task, harm, False)]
        share = sum(row["doubted"] for row in cell) / sum(row["samples"] for row in cell)
        lines.append(f"| {task} | {harm} | {100 * share:.1f} % | {' | '.join(gains)} |")
    return "\n".join(lines) + "\n"


def _is(row: dict[str, Any], task: str, harm: str, guard: bool) -> bool:
    return (row["task"], row["harm"], row["guard"]) == (task, harm, guard)


def new_classes(rows: Rows) -> str:
    """What 5 samples of a class that was held back made of it, and of the others."""
    lines = [
        "| net | held back | learned | new class right | others before | others, change |",
        "|---|---|---|--:|--:|--:|",
    ]
    for net, *key in sorted({_cell(row) for row in rows}, key=_place):
        cell = [row for row in rows if _cell(row) == (net, *key)]
        new = _spread([100 * row["new"] for row in cell])
        change = _spread([100 * (row["others"] - row["others_before"]) for row in cell], "+")
        before = 100 * cell[0]["others_before"]
        where = f"{NETS[net]} | class {key[0]}"
        lines.append(f"| {where} | {_learned(key[1])} | {new} | {before:.1f} | {change} |")
    return "\n".join(lines) + "\n"


def endurance(rows: Rows) -> str:
    """What a long life came to, on the host build and on the emulated board."""
    seasons = [row for row in rows if row["machine"] == "host"]
    board = next(row for row in rows if row["machine"] != "host")
    ends = [[100 * row["after"][part] for row in seasons] for part in ("target", "source")]
    before = [100 * seasons[0]["before"][part] for part in ("target", "source")]
    saves, cuts, lost = (sum(row[name] for row in seasons) for name in ("saves", "cuts", "lost"))
    last = [f"{b:.1f}, {min(e):.1f}, {e[-1]:.1f}" for b, e in zip(before, ends, strict=True)]
    equal = "equal" if board["same_as_host"] else "UNLIKE"
    lines = [
        "| | steps | saves | power cuts | states lost | target: start, least, end | source |",
        "|---|--:|--:|--:|--:|--:|--:|",
        f"| host build | {5000 * len(seasons):,} | {saves:,} | {cuts:,} | {lost} | {' | '.join(last)} |",
        f"| Cortex-M4F, emulated | {board['steps']:,} | {board['saves']} | {board['cuts']} | {board['lost']} "
        f"| weights {equal} the host's | |",
    ]
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any]) -> tuple[str, int, int]:
    """Net, class and rounds of rest of a row of new classes; -1 for the head that is trained anew."""
    return row["net"], row["held_back"], row.get("rest", -1)


def _place(cell: tuple[str, int, int]) -> tuple[int, int, bool, int]:
    """Every class by itself, the head that is trained anew last."""
    return list(NETS).index(cell[0]), cell[1], cell[2] < 0, cell[2]


def _learned(rest: int) -> str:
    if rest < 0:
        return "all 150 samples, a new head in float"
    return "5 samples" + (f", {rest} rounds of rest" if rest else "")


def _spread(values: Sequence[float], sign: str = "") -> str:
    return f"{values[0]:{sign}.1f}" if len(values) == 1 else spread_text(values, sign)


TABLES: dict[str, Callable[[dict[str, Rows]], str]] = {
    "guard": lambda rows: guards(rows["guard"]),
    "doubt": lambda rows: doubts(rows["guard"], rows["doubt"]),
    "new_class": lambda rows: new_classes(rows["new_class"]),
    "endurance": lambda rows: endurance(rows["endurance"]),
}


def filled(page: str, rows: dict[str, Rows]) -> str:
    """The page with its tables."""
    return BLOCK.sub(lambda m: m[1] + TABLES[m[2]](rows) + m[3], page)


def measured() -> dict[str, Rows]:
    """The rows of the studies."""
    return {
        name: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for name, path in MEASURED.items()
    }


def main() -> int:
    """Write the table into the page; 2 where nothing was measured."""
    missing = [str(path) for path in MEASURED.values() if not path.is_file()]
    if missing:
        print(f"benchmarks/guard_tables.py: {missing[0]} is missing; run its study.", file=sys.stderr)
        return 2
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), measured()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
