"""Table 2 of the Velocity paper: first epoch's neurons at random, three nets.

    python scripts/table2.py                        # the paper's recipe: three nets, seven sets: weeks
    python scripts/table2.py --models resnet18 --sets flowers

The trainings are those of scripts/table1.py under `--first random`; Sparse Update has published schemes for
MobileNetV2 alone. Writes runs.jsonl to --out, one line a training; a killed run goes on.
"""

from __future__ import annotations

from typing import Any

import table1
from absl import flags

flags.DEFINE_list("models", ["mobilenet_v2", "resnet18", "resnet50"], "nets, in place of --model")
FLAGS = flags.FLAGS
FLAGS.set_default("first", "random")
FLAGS.set_default("out", "results/papers/table2")


def jobs() -> list[dict[str, Any]]:
    """Table 1's, net by net."""
    found = []
    for model in FLAGS.models:
        every = [{**job, "config": {**job["config"], "model": model}} for job in table1.jobs()]
        found += [job for job in every if model == "mobilenet_v2" or job["method"] != "sparse_update"]
    return found


if __name__ == "__main__":
    table1.run("table2", jobs)
