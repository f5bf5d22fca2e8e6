"""Sparse Update end to end: contributions, evolutionary search, its scheme against the published ones.

    python scripts/su_search.py            # what results/papers holds: an hour of one core

The last three blocks of mbv2-w0.35 on cached features, as in scripts/equal_bytes.py. On --searched, each
layer's contribution is measured in float on a fifth of the training pictures; the search finds the scheme of
most gain whose compiled engine keeps the budget; then it is trained in int8 on that set and on the others of
--sets, beside equal_bytes' rules (the published schemes, cut to the same bytes): the same seeds, pictures and
rates. Writes contributions.json, scheme.json, found.json and runs.jsonl to --out; a killed run goes on.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from absl import app, flags

from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tflm_export.plan import UpdatePlan
from tfodl.datasets.split import draw, hold_out
from tfodl.experiments import study_flags
from tfodl.experiments.learner import DEVICE, Int8Learner, Recipe, cache, learner
from tfodl.experiments.rules import ram_budget
from tfodl.experiments.study import Study, study
from tfodl.experiments.transfer import Start, Task, prepare
from tfodl.neurons.group import NeuronGroup
from tfodl.neurons.groups import neuron_groups
from tfodl.selection.schemes import entries
from tfodl.sparse_update import Contributions, Found, Training, analyse, search
from tfodl.sparse_update.contributions import convolutions

RATIOS = (0.25, 0.5, 1.0)
LARGEST = 200_000  # bytes by the paper's count, of all that may train
STEP = 500  # bytes between budgets that are tried

flags.DEFINE_string("searched", "flowers102_128", "set on which contributions are measured")
flags.DEFINE_list("sets", ["flowers102_128", "flower_photos_128"], "sets to train on")
flags.DEFINE_float("share", 0.212, "budget, as in scripts/equal_bytes.py")
flags.DEFINE_integer("analysis_seeds", 2, "trainings a contribution", lower_bound=1)
flags.DEFINE_integer("seeds", 5, "trainings a cell", lower_bound=1)
flags.DEFINE_list("rates", ["0.02", "0.06"], "learning rates to choose from")
flags.DEFINE_integer("workers", 1, "trainings at a time", lower_bound=1)
flags.DEFINE_string("out", "results/papers/su_search", "folder for results")
FLAGS = flags.FLAGS


def task(data: str) -> Task:
    """The cut net on a set."""
    return Task("mbv2-w0.35", data, 96, 4000, 3)


def contributions(start: Start, out: Path) -> Contributions:
    """What training each layer brings, in float on cached features."""
    x, y = start.x["fp32", "train"], start.y["train"]
    kept, held = hold_out(y, len(y) // 5)
    kept = kept[draw(y[kept], Recipe.pictures, 0)]
    measured = analyse(
        start.fp32(),
        (x[kept], y[kept], x[held], y[held]),
        cache() / "su_search",
        training=Training(Recipe.epochs, Recipe.batch_size, learning_rate=0.02),
        ratios=RATIOS,
        seeds=range(FLAGS.analysis_seeds),
        workers=FLAGS.workers,
    )
    measured.save(out / "contributions.json")
    return measured


def searched(measured: Contributions, start: Start, made: Int8Learner) -> tuple[Found, UpdatePlan]:
    """The scheme of most gain whose engine keeps the RAM, and its plan on the int8 graph."""
    floats, ints = neuron_groups(start.fp32()), convolutions(made.model.groups)
    limit = ram_budget(FLAGS.share, made.engine, made.model.groups, DEVICE).ram_bytes
    assert limit is not None

    def found(nbytes: int) -> tuple[Found, UpdatePlan, int]:
        scheme = search(measured, floats, nbytes)
        plan = dataclasses.replace(addressed(scheme, ints), optimizer=DEVICE)
        return scheme, plan, made.engine.ram_bytes(plan)

    low, high, best = 0, LARGEST // STEP, found(0)
    while high - low > 1:
        middle = (low + high) // 2
        tried = found(middle * STEP)
        low, high, best = (middle, high, tried) if tried[2] <= limit else (low, middle, best)
    return best[:2]


def addressed(scheme: Found, convs: list[NeuronGroup]) -> UpdatePlan:
    """The scheme on the convolutions of another form of the net, place by place."""
    provenance = {"method": "sparse_update", "gain": scheme.gain}
    return UpdatePlan(entries(convs, scheme.ratios, scheme.biases), head=True, provenance=provenance)


def main(_: list[str]) -> None:
    out = Path(FLAGS.out)
    rates = study_flags.numbers("rates")
    start = prepare(task(FLAGS.searched), cache())
    scheme, plan = searched(contributions(start, out), start, learner(task(FLAGS.searched)))
    plan.save(out / "scheme.json")
    write_text(out / "found.json", json.dumps(_found(scheme), indent=2) + "\n")
    budgets: dict[str, Any] = {str(out / "scheme.json"): [{"ram_share": FLAGS.share}]}
    for data in FLAGS.sets:
        study(Study(task(data), Recipe(), budgets, rates, FLAGS.seeds), out / "runs.jsonl", FLAGS.workers)


def _found(scheme: Found) -> dict[str, Any]:
    shares = {str(place): ratio for place, ratio in sorted(scheme.ratios.items())}
    return {"searched": FLAGS.searched, "gain": scheme.gain, "biases": scheme.biases, "ratios": shares}


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"su_search: {error}") from error
