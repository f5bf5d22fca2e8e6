"""NEq: how much may rest, and at what price? ResNet-32 on CIFAR-10 over eps (Bragagnolo et al., 2022).

    python scripts/neq.py              # 250 epochs, 4 seeds, 6 values of eps: days of a GPU
    python scripts/neq.py --small      # a quarter of the width, 1,000 pictures of cifar10_sub, 20 epochs

Writes runs.jsonl to --out, one line a training; a killed run goes on.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from absl import app, flags

from tflm_export.errors import TfodlError
from tfodl.experiments import sweep
from tfodl.experiments.at_rest import METHODS, Config, train

SMALL = Config("cifar10_sub", width=0.25, train_limit=1000, test_limit=2000, epochs=20, learning_rate=0.05)
SMALL_SEEDS = 2

flags.DEFINE_list("methods", ["all", "neq"], f"of {', '.join(METHODS)}")
flags.DEFINE_list("eps", ["1e-4", "5e-4", "1e-3", "5e-3", "1e-2", "5e-2"], "thresholds; all takes the first")
flags.DEFINE_list("small_eps", ["1e-3", "1e-2", "5e-2", "2e-1"], "thresholds of --small")
flags.DEFINE_integer("seeds", 4, "trainings a cell", lower_bound=1)
flags.DEFINE_boolean("small", False, "what two cores can do, with two seeds")
flags.DEFINE_enum("engine", "local", sweep.ENGINES, "processes of this machine, or a Ray cluster")
flags.DEFINE_integer("workers", None, "trainings at a time")
flags.DEFINE_string("out", "results/papers/neq", "folder for results")
FLAGS = flags.FLAGS


def jobs() -> list[dict[str, Any]]:
    """Trainings, seed by seed. Raises `TfodlError` for an eps that is no number."""
    given = FLAGS.small_eps if FLAGS.small else FLAGS.eps
    try:
        thresholds = [float(text) for text in given]
    except ValueError as error:
        raise TfodlError(f"--eps: needs numbers, got {','.join(given)!r}.") from error
    config = SMALL if FLAGS.small else Config()
    return [
        {"config": dataclasses.asdict(dataclasses.replace(config, eps=eps)), "method": method, "seed": seed}
        for seed in range(SMALL_SEEDS if FLAGS.small else FLAGS.seeds)
        for method in FLAGS.methods
        for eps in (thresholds[:1] if method == "all" else thresholds)
    ]


def run(script: str) -> None:
    """Main function of this script and of scripts/scotti.py."""

    def main(_: list[str]) -> None:
        sweep.run(train, jobs(), Path(FLAGS.out) / "runs.jsonl", engine=FLAGS.engine, workers=FLAGS.workers)

    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"{script}: {error}") from error


if __name__ == "__main__":
    run("neq")
