"""Figure 4 of the Velocity paper: accuracy while training, by rule, at 8.8 % of the parameters.

    python scripts/figure4.py           # the paper's: MobileNetV2 on CIFAR-100, 200 epochs; a day of a GPU
    python scripts/figure4.py --small   # of what table1.py and table2.py --small trained, a panel a set

Trains what scripts/table1.py `--sets cifar100 --budgets 0.088 --first random` would, into runs.jsonl of --out
and draws figure4.png there; a killed run goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import table1
from absl import flags

from tfodl.experiments import sweep
from tfodl.experiments.cells import Row, budgets, cells, key_of, sets
from tfodl.experiments.figures import curves_figure, save_figure
from tfodl.experiments.titles import NAMES
from tfodl.experiments.whole_net import train

CURVES = ("head", "random", "velocity", "sparse_update", "all")
SMALL = ("table1", "table2")

flags.DEFINE_string("papers", "results/papers", "folder of table1's and table2's results")
FLAGS = flags.FLAGS
FLAGS.set_default("sets", ["cifar100"])
FLAGS.set_default("budgets", ["0.088"])
FLAGS.set_default("first", "random")
FLAGS.set_default("out", "results/papers/figure4")

Panels = dict[str, dict[str, Sequence[float]]]


def whole_nets(rows: Sequence[Row]) -> Panels:
    """Curves of scripts/table1.py's full trainings, mean over seeds."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    for row in rows:
        arguments = row["arguments"]
        panel = found.setdefault(arguments["config"]["data"], {})
        panel.setdefault(NAMES[arguments["method"]], []).append(row["result"]["accuracy"])
    return {data: {name: np.mean(c, axis=0).tolist() for name, c in p.items()} for data, p in found.items()}


def last_blocks(rows: Sequence[Row]) -> Panels:
    """Curves of the small trainings at the smallest budget, mean over seeds."""
    known = cells(rows)
    found: Panels = {}
    for data in sets(known):
        for method in CURVES:
            cell = known.get(key_of(known, data, method, budgets(known)[0]), [])
            if cell:
                curves: Any = [row["result"]["test_accuracy"] for row in cell]
                found.setdefault(data, {})[NAMES[method]] = np.mean(curves, axis=0).tolist()
    return found


def main(_: list[str]) -> None:
    out = Path(FLAGS.out)
    if FLAGS.small:
        files = [Path(FLAGS.papers) / name / "small.jsonl" for name in SMALL]
        panels = last_blocks([row for file in files for row in sweep.load(file)])
    else:
        sweep.run(train, table1.jobs(), out / "runs.jsonl", engine=FLAGS.engine, workers=FLAGS.workers)
        panels = whole_nets(sweep.load(out / "runs.jsonl"))
    save_figure(curves_figure(panels), out / "figure4.png")


if __name__ == "__main__":
    table1.run("figure4", main)
