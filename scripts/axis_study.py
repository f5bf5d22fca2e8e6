"""Should a pool hold output channels or input channels?

    python scripts/axis_study.py

The digits of scripts/choose_study.py, random channels and top_layers_random at the same pool, each along both
axes, at the rate that does best with a stream that is not counted (seed 100). Writes to --axis_rows a line a
stream; a killed run goes on. `benchmarks/choose_tables.py` makes the table.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from absl import app, flags
from choose_study import at_best_rate, plan_of, play
from runs import Runs
from stream_tasks import Task, above, prepare

from tflm_export.errors import TfodlError

RATES = (0.006, 0.012, 0.024, 0.048, 0.096)
RULES = ("top_layers_random", "random")
Axis = Literal["out", "in"]
AXES: tuple[Axis, ...] = ("out", "in")

flags.DEFINE_integer("draws", 5, "streams a setting", lower_bound=2)
flags.DEFINE_string("made", "build/stream", "folder for models and pictures")
flags.DEFINE_string("axis_rows", "results/choose/axis.jsonl", "file for results")
FLAGS = flags.FLAGS


def row(task: Task, rule: str, axis: Axis, rate: float, seed: int) -> dict[str, Any]:
    """One stream, as plain numbers."""
    plan = plan_of(task, rule, seed, ())
    assert plan.pool is not None
    return play(task, replace(plan, pool=replace(plan.pool, axis=axis)), "stream", rate, seed)


def main(_: list[str]) -> None:
    runs = Runs(Path(FLAGS.axis_rows))
    task = prepare("digits", Path(FLAGS.made))
    task = above(task, plan_of(task, "head", 0, ()))
    for seed, rule, axis in itertools.product(range(FLAGS.draws), RULES, AXES):
        key = {"task": task.name, "rule": rule, "axis": axis}
        at_best_rate(runs, key, RATES, functools.partial(row, task, rule, axis), seed)


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"axis_study: {error}") from error
