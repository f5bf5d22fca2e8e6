"""Flags that the scripts of `study` share, and their main function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags

from tflm_export.errors import TfodlError
from tfodl.experiments.cells import UNLIMITED
from tfodl.experiments.learner import Recipe, train
from tfodl.experiments.study import Budget, Study, study
from tfodl.experiments.transfer import Task

FLAGS = flags.FLAGS
Budgets = Mapping[str, Sequence[Budget]]  # by method
SETS = ["flowers102_128", "cifar10_sub", "flower_photos_128", "person_windows_96"]


def define(out: str) -> None:
    """Define them. out: folder for results."""
    flags.DEFINE_list("sets", SETS, "data sets")
    flags.DEFINE_list("shares", ["0.088", "0.212", "0.308"], "budgets; rates are chosen at the first")
    flags.DEFINE_list("rates", ["0.02", "0.06"], "learning rates to choose from")
    flags.DEFINE_integer("seeds", 5, "trainings a cell", lower_bound=1)
    flags.DEFINE_integer("pictures", 1000, "to learn from", lower_bound=16)
    flags.DEFINE_integer("epochs", 8, "epochs a training", lower_bound=2)
    flags.DEFINE_integer("blocks", 3, "the last ones, that may learn", lower_bound=1)
    flags.DEFINE_integer("workers", 1, "trainings at a time", lower_bound=1)
    flags.DEFINE_boolean("small", False, "the sets and budgets of the committed results")
    flags.DEFINE_string("out", out, "folder for results")


def numbers(name: str) -> list[float]:
    """A list flag as numbers. Raises `TfodlError` where it holds anything else."""
    try:
        return [float(text) for text in FLAGS[name].value]
    except ValueError as error:
        raise TfodlError(f"--{name}: needs numbers, got {','.join(FLAGS[name].value)!r}.") from error


def by_method(methods: Sequence[str], every: Sequence[Budget]) -> Budgets:
    """Each method at `every` budget, but at the first alone those that train the same at all of them."""
    return {name: every[:1] if name in UNLIMITED else every for name in methods}


def run(
    script: str, budgets: Callable[[], Iterable[tuple[str, Budgets]]], train: Callable[..., Any] = train
) -> None:
    """Main function of a script. budgets: a study's data set and its budgets by method, asked for when the
    flags are read; train: of `study`."""

    def main(_: list[str]) -> None:
        recipe = Recipe(FLAGS.pictures, epochs=FLAGS.epochs)
        wanted = [
            Study(
                Task("mbv2-w0.35", name, 96, 4000, FLAGS.blocks), recipe, cells, numbers("rates"), FLAGS.seeds
            )
            for name, cells in budgets()
        ]
        for one in wanted:
            study(one, Path(FLAGS.out) / "runs.jsonl", FLAGS.workers, train)

    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"{script}: {error}") from error
