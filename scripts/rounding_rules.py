"""What rounding of int8 weight updates does: truncate, nearest, stochastic, accumulator.

    python scripts/rounding_rules.py

Last two blocks of mbv2-w0.35, SGD with quantisation-aware scaling at batch 1, as on the board. To --out go
runs.jsonl (one line a training; a killed run goes on), table.json and table.png: accuracy, and mean |w| of
the trained kernels before and after.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from int8_transfer import Settings, trainer
from matplotlib.figure import Figure
from runs import Runs

from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tfodl.experiments.transfer import Task
from tfodl.int8.qas import ROUNDINGS

flags.DEFINE_list("sets", ["flower_photos_128", "cifar10_sub"], "data sets")
flags.DEFINE_integer("seeds", 3, "trainings a cell", lower_bound=1)
flags.DEFINE_integer("limit", 1000, "pictures a split at most", lower_bound=10)
flags.DEFINE_integer("epochs", 2, "epochs a training", lower_bound=1)
flags.DEFINE_float("rate", 0.001, "learning rate at the start of a cosine decay", lower_bound=0.0)
flags.DEFINE_string("data_dir", None, "folder of packs and weights (default: TFODL_DATA, ../shared/data)")
flags.DEFINE_string("cache", "build/int8", "folder for features")
flags.DEFINE_string("out", "results/int8/rounding", "folder for results")
FLAGS = flags.FLAGS


def summary(runs: Runs) -> dict[str, Any]:
    """Means over sets and seeds a rule."""
    table = {}
    for rule in ROUNDINGS:
        rows = [row for row in runs.rows if row["rounding"] == rule and row["seed"] < FLAGS.seeds]
        if not rows:
            continue
        first, last = zip(*(row["mean_magnitude"] for row in rows), strict=True)
        table[rule] = {
            "accuracy": round(float(np.mean([row["accuracy"] for row in rows])), 4),
            "sd": round(float(np.std([row["accuracy"] for row in rows])), 4),
            "mean_magnitude": [round(float(np.mean(first)), 2), round(float(np.mean(last)), 2)],
            "trainings": len(rows),
        }
    scale = {"pictures_a_split": FLAGS.limit, "epochs": FLAGS.epochs, "batch": 1, "rate": FLAGS.rate}
    return {"scale": scale, "table": table}


def draw(result: dict[str, Any], path: Path) -> None:
    """Accuracy and mean |w| side by side, a bar a rule."""
    rules = list(result["table"])
    rows = [result["table"][rule] for rule in rules]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.bar(rules, [row["accuracy"] for row in rows])
    left.set_ylabel("test accuracy, mean")
    right.bar(rules, [row["mean_magnitude"][1] for row in rows])
    right.axhline(rows[0]["mean_magnitude"][0], color="black", linestyle="--", label="before training")
    right.set_ylabel("mean |w| of trained kernels, LSB")
    right.legend()
    figure.savefig(path, dpi=110)


def main(_: list[str]) -> None:
    out, cache = Path(FLAGS.out), Path(FLAGS.cache)
    runs, settings = Runs(out / "runs.jsonl"), Settings(FLAGS.epochs, batch_size=1)
    for seed, data, rule in itertools.product(range(FLAGS.seeds), FLAGS.sets, ROUNDINGS):
        learner = trainer(
            Task("mbv2-w0.35", data, limit=FLAGS.limit), "int8 SGD+QAS", rule, cache, FLAGS.data_dir
        )
        key = {"data": data, "rounding": rule, "rate": FLAGS.rate, "seed": seed}
        runs.get(key, lambda learner=learner, seed=seed: learner.run(FLAGS.rate, seed, settings))
        write_text(out / "table.json", json.dumps(summary(runs), indent=1) + "\n")
    draw(summary(runs), out / "table.png")


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"rounding_rules: {error}") from error
