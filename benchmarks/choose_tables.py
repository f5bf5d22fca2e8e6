"""The tables of docs/choosing.md, from what was measured: results/choose, nothing typed.

`python scripts/choose_study.py` and `python benchmarks/choosing.py`, then `python
benchmarks/choose_tables.py`; a test holds the page to it. A table lies between `<!-- choose:NAME -->` and
`<!-- end -->`.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stream_tables import spread_text

from tflm_export.boards import BOARDS

ROOT = Path(__file__).parent.parent
RUNS, COST = ROOT / "results" / "choose" / "runs.jsonl", ROOT / "results" / "choose" / "cost.json"
POOL = ROOT / "results" / "choose" / "pool.jsonl"  # scripts/pool_study.py
AXIS = ROOT / "results" / "choose" / "axis.jsonl"  # scripts/axis_study.py
PAGE = ROOT / "docs" / "choosing.md"
BLOCK = re.compile(r"(<!-- choose:(\w+) -->\n).*?(<!-- end -->)", re.S)


def rules(rows: Sequence[dict[str, Any]], task: str) -> str:
    """Every setting on one task, the best first, over the seeds that all of them have."""
    found = _by_setting(rows, task)
    seeds = sorted(set.intersection(*map(set, found.values())))
    first = next(row for row in rows if row["task"] == task)
    lines = [
        f"| {len(seeds)} seeds | target | less static random | source | rate |",
        "|---|--:|--:|--:|--:|",
        f"| before | {100 * first['target_before']:.1f} | | {100 * first['source_before']:.1f} | |",
    ]
    target = {name: [_percent(found[name][seed], "target") for seed in seeds] for name in found}
    for name in sorted(found, key=lambda name: -sum(target[name])):
        pairs = zip(target[name], target["static random"], strict=True)
        apart = "" if name == "static random" else spread_text([a - b for a, b in pairs], "+")
        source = spread_text([_percent(found[name][seed], "source") for seed in seeds])
        rate = f"{found[name][seeds[0]]['rate']:g}"
        lines.append(f"| {name} | {spread_text(target[name])} | {apart} | {source} | {rate} |")
    return "\n".join(lines) + "\n"


def together(rows: Sequence[dict[str, Any]]) -> str:
    """Every setting less two others, stream by stream over all tasks."""
    target: dict[str, dict[tuple[str, int], float]] = {}
    for task in dict.fromkeys(row["task"] for row in rows):
        for setting, by_seed in _by_setting(rows, task).items():
            for seed, row in by_seed.items():
                target.setdefault(setting, {})[task, seed] = _percent(row, "target")
    streams = sorted(set.intersection(*map(set, target.values())))
    lines = [f"| {len(streams)} streams | less static random | less random |", "|---|--:|--:|"]
    mean = {name: math.fsum(found[s] for s in streams) for name, found in target.items()}
    for name in sorted(target, key=lambda name: -mean[name]):
        apart = [_apart(target[name], target[base], streams) for base in ("static random", "random")]
        lines.append(f"| {name} | {apart[0]} | {apart[1]} |")
    return "\n".join(lines) + "\n"


def _apart(found: dict[Any, float], base: dict[Any, float], keys: Sequence[Any]) -> str:
    return "" if found is base else spread_text([found[key] - base[key] for key in keys], "+")


def _by_setting(rows: Sequence[dict[str, Any]], task: str) -> dict[str, dict[int, dict[str, Any]]]:
    """A task's counted streams by setting and seed."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        if row["kind"] == "test" and row["task"] == task:
            found.setdefault(row["setting"], {})[row["seed"]] = row
    return found


def cost(facts: dict[str, Any]) -> str:
    """An engine that chooses beside one that does not, output channels and input channels."""
    tables = ((facts, "output channels"), (facts["inputs"], "input channels"))
    return "\n".join(_cost(found, name) for found, name in tables)


def _cost(facts: dict[str, Any], name: str) -> str:
    step, static, end = (facts[name]["cycles"] for name in ("step", "static_step", "epoch_end"))
    return "\n".join(
        [
            f"| {name} | chooses | static | ratio |",
            "|---|--:|--:|--:|",
            f"| a step without replays, M cycles | {step / 1e6:.2f} | {static / 1e6:.2f} | "
            f"{step / static:.3f} |",
            f"| an epoch's end, without the flash's own time, M cycles | {end / 1e6:.2f} | | "
            f"{end / step:.2f} steps |",
            _bytes("RAM, static and stack, B", facts["ram_bytes"], facts["static_ram_bytes"]),
            _bytes("flash of program and constants, B", facts["flash_bytes"], facts["static_flash_bytes"]),
            f"| flash area of two images, B | {facts['pool']['area_bytes']:,} | | |",
            f"| weights of the candidates, depthwise apart, B | {facts['weights_bytes']:,} | | |",
            f"| channels that learn, of {facts['pool']['channels']:,} | {facts['channels']:,} | "
            f"{facts['channels']:,} | |",
        ]
    ) + "\n"  # fmt: skip


def whole(facts: dict[str, Any]) -> str:
    """The engine with everything, in a sentence."""
    found, nano = facts["whole"], BOARDS["nano33ble"]
    stack = found["stack_bytes"]
    flash = found["flash_bytes"] + found["area_bytes"]
    return (
        f"With {found['samples']} remembered samples, {found['judges']} pictures that judge "
        f"({found['guard_ram_bytes']:,} B, with\nthe copy of what learns) and two spare classes it takes "
        f"{found['ram_bytes']:,} B of RAM, {stack:,} B of it stack, and {flash:,} B of flash,\n"
        f"the area too; a Nano 33 BLE holds {nano.ram_bytes:,} B beside the stack, "
        f"and {nano.flash_bytes:,} B.\n"
    )


def options(rows: Sequence[dict[str, Any]]) -> str:
    """What goes with a pool, beside the pool alone, stream by stream."""
    found = {(row["setting"], row["seed"]): row for row in rows}
    settings, seeds = dict.fromkeys(row["setting"] for row in rows), sorted({row["seed"] for row in rows})
    lines = [f"| {len(seeds)} seeds | target | less plain | source | less plain |", "|---|--:|--:|--:|--:|"]
    for name in settings:
        line = [name]
        for test in ("target", "source"):
            here, plain = ([_percent(found[one, seed], test) for seed in seeds] for one in (name, "plain"))
            apart = spread_text([a - b for a, b in zip(here, plain, strict=True)], "+")
            line += [spread_text(here), "" if name == "plain" else apart]
        lines.append(f"| {' | '.join(line)} |")
    return "\n".join(lines) + "\n"


def axes(rows: Sequence[dict[str, Any]]) -> str:
    """Output channels and input channels by one rule, stream by stream."""
    found = {(row["rule"], row["axis"], row["seed"]): row for row in rows if row["kind"] == "test"}
    seeds = sorted({seed for _, _, seed in found})
    lines = [
        f"| {len(seeds)} seeds | target | less outputs | source | less outputs | rate |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for rule, axis in dict.fromkeys(key[:2] for key in found):
        line = [f"{rule}, {axis}puts"]
        for test in ("target", "source"):
            here, out = ([_percent(found[rule, one, seed], test) for seed in seeds] for one in (axis, "out"))
            apart = spread_text([a - b for a, b in zip(here, out, strict=True)], "+")
            line += [spread_text(here), "" if axis == "out" else apart]
        lines.append(f"| {' | '.join(line)} | {found[rule, axis, seeds[0]]['rate']:g} |")
    return "\n".join(lines) + "\n"


def filled(
    page: str,
    rows: Sequence[dict[str, Any]],
    facts: dict[str, Any],
    pool: Sequence[dict[str, Any]],
    axis: Sequence[dict[str, Any]],
) -> str:
    """The page with its tables: `choose:cost`, `choose:together`, ..., or the name of a task."""
    made = {
        "cost": lambda: cost(facts),
        "whole": lambda: whole(facts),
        "together": lambda: together(rows),
        "options": lambda: options(pool),
        "axes": lambda: axes(axis),
    }
    return BLOCK.sub(lambda m: m[1] + made.get(m[2], lambda: rules(rows, m[2]))() + m[3], page)


def measured() -> tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of the study, the costs, what goes with a pool, and both axes."""
    rows, pool, axis = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in (RUNS, POOL, AXIS)
    )
    return rows, json.loads(COST.read_text(encoding="utf-8")), pool, axis


def _bytes(name: str, chooses: int, static: int) -> str:
    return f"| {name} | {chooses:,} | {static:,} | {chooses / static:.2f} |"


def _percent(row: dict[str, Any], test: str) -> float:
    return 100 * float(row["accuracy"][test])


def main() -> int:
    """Write the tables into the page; 2 where nothing was measured."""
    missing = [path for path in (RUNS, COST, POOL, AXIS) if not path.is_file()]
    if missing:
        print(f"benchmarks/choose_tables.py: {missing[0]} is missing; measure first.", file=sys.stderr)
        return 2
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), *measured()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
