"""Table 2 of the Velocity paper: first epoch's neurons at random, three nets.

    python scripts/table2.py                        # the paper's recipe: three nets, seven sets: weeks
    python scripts/table2.py --models resnet18 --sets flowers

The trainings are those of scripts/table1.py under `--first random`; Sparse Update has published schemes for
MobileNetV2 alone. keras.applications has no weights of ResNet-18: it starts from drawn ones. `--small` is
table1's with the first epoch at random (small.jsonl), and ResNet-18, a quarter as wide, on cifar10_sub at
32 px (resnet18.jsonl). Writes runs.jsonl to --out, one line a training; a killed run goes on.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import table1
from absl import flags

from tfodl.experiments import sweep
from tfodl.experiments.whole_net import Config, train

RESNET18 = Config(
    data="cifar10_sub", model="resnet18", size=32, width=0.25, weights="", train_limit=2000, test_limit=2000,
    epochs=8, learning_rate=0.1, warm_up=1, budget=0.088,
)  # fmt: skip

flags.DEFINE_list("models", ["mobilenet_v2", "resnet18", "resnet50"], "nets, in place of --model")
FLAGS = flags.FLAGS
FLAGS.set_default("first", "random")
FLAGS.set_default("out", "results/papers/table2")


def jobs() -> list[dict[str, Any]]:
    """Table 1's, net by net."""
    found = []
    for model in FLAGS.models:
        change = {"model": model} | ({"weights": ""} if model == "resnet18" else {})
        every = [{**job, "config": {**job["config"], **change}} for job in table1.jobs()]
        found += [job for job in every if model == "mobilenet_v2" or job["method"] != "sparse_update"]
    return found


def resnet18() -> list[dict[str, Any]]:
    """The net that two cores can train whole, under each rule."""
    return [
        {"config": dataclasses.asdict(RESNET18), "method": method, "seed": seed}
        for seed in range(table1.SMALL_SEEDS)
        for method in ("random", "velocity", "head", "all")
    ]


def main(_: list[str]) -> None:
    out = Path(FLAGS.out)
    if FLAGS.small:
        table1.small(["random", "velocity"])
        sweep.run(train, resnet18(), out / "resnet18.jsonl", workers=FLAGS.workers)
    else:
        sweep.run(train, jobs(), out / "runs.jsonl", engine=FLAGS.engine, workers=FLAGS.workers)


if __name__ == "__main__":
    table1.run("table2", main)
