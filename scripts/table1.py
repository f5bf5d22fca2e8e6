"""Table 1 of the Velocity paper: accuracy by data set, budget of parameters and rule, in float.

    python scripts/table1.py                   # the paper's recipe: seven sets, 200 epochs; days of a GPU
    python scripts/table1.py --sets vww        # one of them (the data are downloaded)
    python scripts/table1.py --small           # what results/papers holds: four sets, an hour of one core

Quélennec et al., WACV-W 2024 (arXiv 2312.05282): MobileNetV2 from ImageNet weights, SGD, 8.8, 21.2 and 30.8 %
of the convolutions' parameters. `--first random` is their table 2. `--small` asks the same of the last three
blocks of mbv2-w0.35, as scripts/equal_bytes.py does, and writes small.jsonl. Writes runs.jsonl to --out, one
line a training; a killed run goes on. `benchmarks/paper_tables.py` makes the table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import app, flags

from tflm_export.errors import TfodlError
from tfodl.experiments import float_learner, study_flags, sweep
from tfodl.experiments.cells import UNLIMITED
from tfodl.experiments.learner import Recipe
from tfodl.experiments.study import Study, study
from tfodl.experiments.transfer import Task
from tfodl.experiments.whole_net import METHODS, Config, train

SETS = ["cifar10", "cifar100", "vww", "flowers", "food", "pets", "cub"]
BUDGETS = ["0.088", "0.212", "0.308"]
SMALL_SEEDS = 3
SMALL_RATES = [0.02, 0.04]  # at 0.06, right in int8, one float training in seven ends at chance
SMALL = ["sparse_update", "velocity_scheme_first", "random_scheme_first", *UNLIMITED]  # rules
NOT_FLAGS = ("data", "budget", "first")

for field in dataclasses.fields(Config):
    if field.name not in NOT_FLAGS:
        kind = type(field.default)
        define = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float}
        define.get(kind, flags.DEFINE_boolean)(field.name, field.default, "see whole_net.Config")  # type: ignore[operator]
flags.DEFINE_list("sets", SETS, "data sets")
flags.DEFINE_list("budgets", BUDGETS, "shares of the convolutions' parameters")
flags.DEFINE_list("methods", list(METHODS), "rules")
flags.DEFINE_enum("first", "sparse_update", ["sparse_update", "random"], "neurons of the first epoch")
flags.DEFINE_integer("seeds", 3, "trainings a cell", lower_bound=1)
flags.DEFINE_boolean("small", False, "the committed results, whatever the other flags say")
flags.DEFINE_enum("engine", "local", sweep.ENGINES, "processes of this machine, or a Ray cluster")
flags.DEFINE_integer("workers", None, "trainings at a time")
flags.DEFINE_string("out", "results/papers/table1", "folder for results")
FLAGS = flags.FLAGS


def configs() -> list[Config]:
    """Every set at every budget."""
    rest = {f.name: FLAGS[f.name].value for f in dataclasses.fields(Config) if f.name not in NOT_FLAGS}
    try:
        budgets = [float(text) for text in FLAGS.budgets]
    except ValueError as error:
        raise TfodlError(f"--budgets: needs numbers, got {','.join(FLAGS.budgets)!r}.") from error
    return [
        Config(data=data, budget=budget, first=FLAGS.first, **rest)
        for data in FLAGS.sets
        for budget in budgets
    ]


def jobs() -> list[dict[str, Any]]:
    """Trainings, seed by seed. Raises `TfodlError` for an unknown method."""
    unknown = sorted(set(FLAGS.methods) - set(METHODS))
    if unknown:
        raise TfodlError(f"methods: no {unknown}; allowed: {', '.join(METHODS)}.")
    every = configs()
    return [
        {"config": dataclasses.asdict(config), "method": method, "seed": seed}
        for seed in range(FLAGS.seeds)
        for config in every
        for method in FLAGS.methods
        if method not in UNLIMITED or config.budget == every[0].budget
    ]


def small(methods: list[str]) -> None:
    """Train the last blocks of mbv2-w0.35 in float on the four sets, by `methods`."""
    budgets = [{"params_share": float(share)} for share in BUDGETS]
    by_method = study_flags.by_method(methods, budgets)
    for name in study_flags.SETS:
        asked = Study(Task("mbv2-w0.35", name, 96, 4000, 3), Recipe(), by_method, SMALL_RATES, SMALL_SEEDS)
        study(asked, Path(FLAGS.out) / "small.jsonl", FLAGS.workers, float_learner.train)


def main(_: list[str]) -> None:
    out = Path(FLAGS.out)
    if FLAGS.small:
        small(SMALL)
    else:
        sweep.run(train, jobs(), out / "runs.jsonl", engine=FLAGS.engine, workers=FLAGS.workers)


def run(script: str, main: Callable[[list[str]], None]) -> None:
    """Run a script's main function."""
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"{script}: {error}") from error


if __name__ == "__main__":
    run("table1", main)
