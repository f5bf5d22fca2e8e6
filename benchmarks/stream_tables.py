"""The tables of docs/living.md, from what was measured: results/stream/runs.jsonl, nothing typed.

`python scripts/stream_study.py`, then `python benchmarks/stream_tables.py`; a test holds the page to it. A
table lies between `<!-- stream:NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "results" / "stream" / "runs.jsonl"
PAGE = ROOT / "docs" / "living.md"
BLOCK = re.compile(r"(<!-- stream:(\w+) -->\n).*?(<!-- end -->)", re.S)
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 15: 2.14}  # 97.5 % quantile of t by the number of seeds
NAMES = ("policy", "replays", "shown", "summed", "rule", "draw", "rest")
Setting = tuple[Any, ...]
Seeds = dict[int, dict[str, Any]]  # the rows of one cell


def cells(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str, Setting], Seeds]:
    """Test rows by task, order and setting, in the order of the study; cells that lack seeds are left out."""
    found: dict[tuple[str, str, Setting], Seeds] = {}
    for row in rows:
        if row["kind"] == "test":
            key = row["task"], row["order"], tuple(row[name] for name in NAMES)
            found.setdefault(key, {})[row["seed"]] = row
    most = max(map(len, found.values()))
    return {key: seeds for key, seeds in found.items() if len(seeds) == most}


def streams(rows: Sequence[dict[str, Any]], task: str) -> str:
    """Every memory on one task: class after class beside shuffled."""
    known = cells(rows)
    settings = dict.fromkeys(s for t, order, s in known if t == task and order == "classes" and _usual(s))
    first = next(row for row in rows if row["task"] == task)
    lines = [
        "| | target, class after class | target, shuffled | difference | source, class after class | rate |",
        "|---|--:|--:|--:|--:|--:|",
        f"| before | {100 * first['target_before']:.1f} | | | {100 * first['source_before']:.1f} | |",
    ]
    for setting in sorted(settings, key=_place):
        a, b = (known.get((task, order, setting), {}) for order in ("classes", "shuffled"))
        lines.append(_line(_name(setting), a, b))
    joint = known.get((task, "joint", ("none", 0, 0, False, "random", 0, 0)), {})
    if joint:
        ends = [_spread(joint, "target"), "", "", _spread(joint, "source"), _rate(joint)]
        lines.append(f"| joint training, 3 passes | {' | '.join(ends)} |")
    return "\n".join(lines) + "\n"


def exemplars(rows: Sequence[dict[str, Any]]) -> str:
    """Rules of choice on every task, class after class."""
    known = cells(rows)
    tasks = sorted({row["task"] for row in rows if row["rule"] != "random"})
    lines = [
        "| exemplars | " + " | ".join(f"{task}, target | source" for task in tasks) + " |",
        "|---|" + "--:|" * (2 * len(tasks)),
    ]
    for rule, draw in (("random", 0), ("random", 1), ("random", 2), ("nearest", 0), ("herding", 0)):
        setting = ("reservoir", 3, 1, False, rule, draw, 0)
        found = [known.get((task, "classes", setting), {}) for task in tasks]
        parts = [_spread(cell, test) for cell in found for test in ("target", "source")]
        lines.append(f"| {rule}{f', draw {draw}' if rule == 'random' else ''} | {' | '.join(parts)} |")
    return "\n".join(lines) + "\n"


def best_memory(rows: Sequence[dict[str, Any]]) -> tuple[str, int]:
    """Policy and replays with the highest target accuracy class after class, mean over the tasks, without
    exemplars and with a step a sample: what `Memory` has as defaults."""
    found: dict[tuple[str, int], list[float]] = {}
    for (_, order, (policy, replays, shown, summed, *_, rest)), cell in cells(rows).items():
        if order == "classes" and policy != "none" and not (shown or summed or rest):
            mean = math.fsum(_percent(row, "target") for row in cell.values()) / len(cell)
            found.setdefault((policy, replays), []).append(mean)
    return max(found, key=lambda key: math.fsum(found[key]) / len(found[key]))


def filled(page: str, rows: Sequence[dict[str, Any]]) -> str:
    """The page with its tables: `stream:exemplars`, or the name of a task."""
    return BLOCK.sub(
        lambda m: m[1] + (exemplars(rows) if m[2] == "exemplars" else streams(rows, m[2])) + m[3], page
    )


def measured() -> list[dict[str, Any]]:
    """The rows of the study."""
    return [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()]


def _usual(setting: Setting) -> bool:
    return setting[4:6] == ("random", 0)


def _place(setting: Setting) -> tuple[Any, ...]:
    policy, replays, shown, summed, _, _, rest = setting
    return policy != "none", rest, summed, shown, replays, policy


def _name(setting: Setting) -> str:
    policy, replays, shown, summed, _, _, rest = setting
    if policy == "none":
        return "no memory"
    name = f"{policy}, {replays} replay{'s' if replays > 1 else ''}"
    name += f" + {shown} of exemplars" if shown else ""
    name += f", in one step of {1 + replays + shown}" if summed else ""
    return name + (f", then {rest} rounds of rest" if rest else "")


def _line(name: str, a: Seeds, b: Seeds) -> str:
    both = sorted(set(a) & set(b))
    apart = [_percent(a[seed], "target") - _percent(b[seed], "target") for seed in both]
    gap = spread_text(apart, "+") if len(both) > 1 else ""
    rates = "/".join(_rate(cell) for cell in (a, b) if cell)
    columns = [name, _spread(a, "target"), _spread(b, "target"), gap, _spread(a, "source"), rates]
    return f"| {' | '.join(columns)} |"


def _rate(cell: Seeds) -> str:
    return f"{next(iter(cell.values()))['rate']:g}"


def _spread(cell: Seeds, test: str) -> str:
    return spread_text([_percent(row, test) for row in cell.values()]) if cell else ""


def _percent(row: dict[str, Any], test: str) -> float:
    return 100 * float(row["accuracy"][test])


def spread_text(values: Sequence[float], sign: str = "") -> str:
    """Mean and half the 95 % interval."""
    mean, n = math.fsum(values) / len(values), len(values)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    return f"{mean:{sign}.1f} ± {STUDENT[n] * sd / math.sqrt(n):.1f}"


def main() -> int:
    """Write the tables into the page; 2 where nothing was measured."""
    if not MEASURED.is_file():
        print(
            f"benchmarks/stream_tables.py: {MEASURED} is missing; run scripts/stream_study.py.",
            file=sys.stderr,
        )
        return 2
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), measured()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
