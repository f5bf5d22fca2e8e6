"""Which neurons should learn, as a device asks it: every rule in the same RAM of the compiled engine.

    python scripts/equal_bytes.py                              # every method and set; two cores: a night
    python scripts/equal_bytes.py --small                      # what results/papers holds: some hours

mbv2-w0.35 from ImageNet weights at 96 px, batch norm folded, in int8 with quantisation-aware scaling; the
last five blocks (92 % of the convolutions' weights) may learn, on features computed once. A budget is a
share of the RAM between the engine that trains the head alone and the one that trains all. Writes
runs.jsonl to --out, one line a training; a killed run goes on. `benchmarks/paper_tables.py` makes the tables.
"""

from __future__ import annotations

from pathlib import Path

from absl import app, flags

from tflm_export.errors import TfodlError
from tfodl.experiments.learner import Recipe
from tfodl.experiments.rules import RULES
from tfodl.experiments.study import Study, study
from tfodl.experiments.transfer import Task

UNLIMITED = ("head", "all")  # whatever the budget
SMALL = {
    "flowers102_128": (list(RULES), [0.088]),
    "cifar10_sub": (["head", "random", "velocity", "top_layers_random", "sparse_update", "all"], [0.088]),
}

flags.DEFINE_list("sets", ["flowers102_128", "cifar10_sub", "flower_photos_128", "person_windows_96"], "sets")
flags.DEFINE_list("methods", list(RULES), "rules")
flags.DEFINE_list("shares", ["0.088", "0.212", "0.308"], "budgets; rates are chosen at the first")
flags.DEFINE_list("rates", ["0.01", "0.03", "0.06"], "learning rates to choose from")
flags.DEFINE_integer("seeds", 5, "trainings a cell", lower_bound=1)
flags.DEFINE_integer("pictures", 1000, "to learn from", lower_bound=16)
flags.DEFINE_integer("epochs", 8, "epochs a training", lower_bound=2)
flags.DEFINE_integer("workers", 1, "trainings at a time", lower_bound=1)
flags.DEFINE_boolean("small", False, "the sets, methods and shares that are committed")
flags.DEFINE_string("out", "results/papers/equal_bytes", "folder for results")
FLAGS = flags.FLAGS


def studies() -> list[Study]:
    """One for every set."""
    whole = {name: (FLAGS.methods, list(map(float, FLAGS.shares))) for name in FLAGS.sets}
    recipe, rates = Recipe(FLAGS.pictures, epochs=FLAGS.epochs), list(map(float, FLAGS.rates))
    return [
        Study(Task("mbv2-w0.35", name, 96, 4000, 5), recipe, budgets(methods, shares), rates, FLAGS.seeds)
        for name, (methods, shares) in (SMALL if FLAGS.small else whole).items()
    ]


def budgets(methods: list[str], shares: list[float]) -> dict[str, list[dict[str, float]]]:
    """The budgets of every method, as a study has them."""
    every = [{"ram_share": share} for share in shares]
    return {name: every[:1] if name in UNLIMITED else every for name in methods}


def main(_: list[str]) -> None:
    for wanted in studies():
        study(wanted, Path(FLAGS.out) / "runs.jsonl", FLAGS.workers)


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"equal_bytes: {error}") from error
