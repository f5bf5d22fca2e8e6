"""How much of Velocity's lead over Random was its budget? (Quélennec et al., WACV-W 2024, table 2)

    python scripts/fair_random.py            # three sets, two budgets
    python scripts/fair_random.py --small    # what results/papers holds

Velocity and Random with the same number of parameters, and Random with what the published code's costs gave
it on MobileNetV2: 0.34, 0.24 and 0.23 of the budgets 8.8, 21.2 and 30.8 %. The learner is that of
scripts/equal_bytes.py, budgets are parameters of the last five blocks.
"""

from __future__ import annotations

from pathlib import Path

from absl import app, flags

from tflm_export.errors import TfodlError
from tfodl.experiments.learner import Recipe
from tfodl.experiments.study import Study, study
from tfodl.experiments.transfer import Task

PUBLISHED = {0.088: 0.34, 0.212: 0.24, 0.308: 0.23}  # budget -> share of it that Random was given
SMALL = {"sets": ["flowers102_128"], "shares": ["0.088"]}

flags.DEFINE_list("sets", ["flowers102_128", "cifar10_sub", "flower_photos_128"], "sets")
flags.DEFINE_list("shares", ["0.088", "0.212", "0.308"], "budgets, of the parameters that may learn")
flags.DEFINE_list("rates", ["0.01", "0.03", "0.06"], "learning rates to choose from")
flags.DEFINE_integer("seeds", 5, "trainings a cell", lower_bound=1)
flags.DEFINE_integer("pictures", 1000, "to learn from", lower_bound=16)
flags.DEFINE_integer("epochs", 8, "epochs a training", lower_bound=2)
flags.DEFINE_integer("workers", 1, "trainings at a time", lower_bound=1)
flags.DEFINE_boolean("small", False, "the sets and shares that are committed")
flags.DEFINE_string("out", "results/papers/fair_random", "folder for results")
FLAGS = flags.FLAGS


def budgets(shares: list[float]) -> dict[str, list[dict[str, float]]]:
    """What Velocity and Random may train.

    Raises `TfodlError` for a share that nothing was published at.
    """
    unknown = [share for share in shares if share not in PUBLISHED]
    if unknown:
        raise TfodlError(f"shares: nothing was published at {unknown}; allowed: {list(PUBLISHED)}.")
    equal = [{"params_share": share} for share in shares]
    wrong = [{"params_share": round(share * PUBLISHED[share], 5)} for share in shares]
    return {"velocity": equal, "random": equal + wrong}


def main(_: list[str]) -> None:
    sets, shares = (SMALL[name] if FLAGS.small else FLAGS[name].value for name in ("sets", "shares"))
    wanted = budgets(list(map(float, shares)))
    recipe, rates = Recipe(FLAGS.pictures, epochs=FLAGS.epochs), list(map(float, FLAGS.rates))
    for name in sets:
        task = Task("mbv2-w0.35", name, 96, 4000, 5)
        study(Study(task, recipe, wanted, rates, FLAGS.seeds), Path(FLAGS.out) / "runs.jsonl", FLAGS.workers)


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"fair_random: {error}") from error
