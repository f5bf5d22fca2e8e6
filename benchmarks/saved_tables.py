"""Figure 5: what part of the backward pass a rule saves by four counts, as a table and as bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tfodl.experiments.cells import UNLIMITED, Row, cells, plan_key
from tfodl.experiments.figures import save_figure
from tfodl.experiments.titles import NAMES

COUNTS = ("the papers' count", "in MACs", "time on the host", "cycles on the board")


def saved(rows: Sequence[Row], engines: Sequence[Row], host: Sequence[Row]) -> str:
    """A row a rule, of the one set whose plans were timed."""
    lines = [f"| rule | {' | '.join(COUNTS)} |", "|---|" + "--:|" * len(COUNTS)]
    for rule, shares in _shares(rows, engines, host).items():
        lines.append(f"| {NAMES[rule]} | {' | '.join(f'{100 * share:.0f} %' for share in shares)} |")
    return "\n".join(lines) + "\n"


def draw_saved(rows: Sequence[Row], engines: Sequence[Row], host: Sequence[Row], path: Path) -> None:
    """The same as bars."""
    found = _shares(rows, engines, host)
    figure = Figure(figsize=(8, 3.4))
    axes = figure.subplots()
    for place, count in enumerate(COUNTS):
        left = np.arange(len(found)) + 0.2 * (place - 1.5)
        axes.bar(left, [100 * shares[place] for shares in found.values()], 0.2, label=count)
    axes.axhline(0, color="k", linewidth=1)
    axes.set_xticks(range(len(found)), [NAMES[rule] for rule in found], fontsize=8)
    axes.set_ylabel("of the backward pass saved, %")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8, ncols=len(COUNTS), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    save_figure(figure, path)


def _shares(
    rows: Sequence[Row], engines: Sequence[Row], host: Sequence[Row]
) -> dict[str, tuple[float, float, float, float]]:
    """By rule, the four shares. A step beyond the head's own is the backward pass of the blocks."""
    seconds, timed = host[0]["result"], host[0]["arguments"]["plans"]
    data = host[0]["arguments"]["task"]["data"]
    own = [row for row in engines if row["arguments"]["task"]["data"] == data]
    cycles = {plan_key(row["arguments"]): row["result"]["step_cycles"] for row in own}
    board = {rule: cycles[plan_key({"plan": plan})] for rule, plan in timed.items()}
    found = {}
    for (name, rule, _), cell in cells(rows).items():
        result = cell[0]["result"]
        if name == data and rule in timed and result.get("plan") == timed[rule] and rule not in UNLIMITED:
            counted = result["flops_saved_paper"][-1], result["flops_saved"][-1]
            found[rule] = (*counted, _beyond_head(seconds, rule), _beyond_head(board, rule))
    return found


def _beyond_head(cost: dict[str, float], rule: str) -> float:
    """Share saved of what training all costs more than training the head."""
    return 1 - (cost[rule] - cost["head"]) / (cost["all"] - cost["head"])
