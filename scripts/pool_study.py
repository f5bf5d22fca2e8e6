"""What goes with a pool: does leaving out dead channels help, and what does a guard cost?

    python scripts/pool_study.py

The digits of scripts/choose_study.py, top_layers_random at the rate that is best for it, seed by seed: as it
is, with `skip_dead`, with a guard. Writes to --rows a line a stream; a killed run goes on.
`benchmarks/choose_tables.py` makes the table.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

from absl import app, flags
from choose_study import plan_of, play
from runs import Runs
from stream_tasks import Task, above, prepare

from tflm_export.errors import TfodlError
from tflm_export.plan import Guard, UpdatePlan

RATE, RULE = 0.024, "top_layers_random"
SETTINGS = ("plain", "skip_dead", "guard")

flags.DEFINE_integer("streams", 5, "streams a setting", lower_bound=2)
flags.DEFINE_string("folder", "build/stream", "folder for models and pictures")
flags.DEFINE_string("rows", "results/choose/pool.jsonl", "file for results")
FLAGS = flags.FLAGS


def variant(plan: UpdatePlan, setting: str) -> UpdatePlan:
    """The plan of a setting."""
    if setting == "skip_dead":
        assert plan.pool is not None
        return replace(plan, pool=replace(plan.pool, skip_dead=True))
    return replace(plan, guard=Guard(samples=40)) if setting == "guard" else plan


def row(task: Task, setting: str, seed: int) -> dict[str, Any]:
    """One stream, as plain numbers."""
    found = play(task, variant(plan_of(task, RULE, seed, ()), setting), "stream", RATE, seed)
    return {"accuracy": found["accuracy"], "epochs": found["epochs"]}


def main(_: list[str]) -> None:
    runs = Runs(Path(FLAGS.rows))
    task = prepare("digits", Path(FLAGS.folder))
    task = above(task, plan_of(task, "head", 0, ()))
    for seed, setting in itertools.product(range(FLAGS.streams), SETTINGS):
        key = {"task": "digits", "setting": setting, "seed": seed}
        runs.get(key, lambda setting=setting, seed=seed: row(task, setting, seed))


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"pool_study: {error}") from error
