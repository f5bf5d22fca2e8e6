"""`study`: rules side by side under budgets, each at the learning rate that suits it, over paired seeds.

The rate of a rule on a set is the one of a grid, the same for all, that does best at the first budget with a
seed and pictures that are not counted; then every budget and seed is trained, seed by seed, so that a study
that is cut short has whole pairs. All of it is one `sweep`: what its file holds is not done again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tflm_export.errors import TfodlError
from tfodl.experiments import sweep
from tfodl.experiments.learner import Recipe, train
from tfodl.experiments.rules import check_names
from tfodl.experiments.transfer import Task

RATE_SEED = 100
Budget = Mapping[str, Any]
Jobs = list[dict[str, Any]]


@dataclass(frozen=True)
class Study:
    """What is trained. budgets: by method, as `learner.train` takes them; the first is what the rate is
    chosen at. rates: the grid. seeds: trainings a cell.

    Raises `TfodlError` for an unknown method, no budget, no rate or no seed.
    """

    task: Task
    recipe: Recipe
    budgets: Mapping[str, Sequence[Budget]]
    rates: Sequence[float]
    seeds: int

    def __post_init__(self) -> None:
        check_names(self.budgets)
        if not all(self.budgets.values()) or not self.budgets:
            raise TfodlError("study: every method needs a budget; give --methods and --shares.")
        if not self.rates or self.seeds < 1:
            raise TfodlError(f"study: needs rates and a seed, got {list(self.rates)} and {self.seeds}.")

    def rate_jobs(self) -> Jobs:
        """A training a method and rate, on held-out training pictures."""
        first = {method: budgets[0] for method, budgets in self.budgets.items()}
        return [
            self._job(method, budget, rate, RATE_SEED, validate=True)
            for method, budget in first.items()
            for rate in self.rates
        ]

    def test_jobs(self, best: Mapping[str, float]) -> Jobs:
        """A training a seed, budget and method, on the test pictures. best: rate by method."""
        return [
            self._job(method, budget, best[method], seed, validate=False)
            for seed in range(self.seeds)
            for method, budgets in self.budgets.items()
            for budget in budgets
        ]

    def _job(self, method: str, budget: Budget, rate: float, seed: int, validate: bool) -> dict[str, Any]:
        return {
            "task": dataclasses.asdict(self.task),
            "recipe": dataclasses.asdict(self.recipe),
            "method": method,
            "budget": dict(budget),
            "rate": rate,
            "seed": seed,
            "validate": validate,
        }


def best_rates(jobs: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The rate of the highest accuracy by method; of equals the lowest."""
    found: dict[str, tuple[float, float]] = {}
    for job, result in zip(jobs, results, strict=True):
        key = float(result["accuracy"]), -float(job["rate"])
        found[job["method"]] = max(found.get(job["method"], key), key)
    return {method: -rate for method, (_, rate) in found.items()}


def study(
    wanted: Study, results: Path, workers: int | None = None, train: Callable[..., Any] = train
) -> Jobs:
    """Choose rates, then train what counts; returns the test results in the order of the jobs.

    A grid of one rate needs no trial. results: `.jsonl`, of `sweep.run`, which is raised from, too. train:
    `learner.train`, or `float_learner.train`.
    """
    jobs = wanted.rate_jobs()
    best = dict.fromkeys(wanted.budgets, float(wanted.rates[0]))
    if len(wanted.rates) > 1:
        best = best_rates(jobs, sweep.run(train, jobs, results, workers=workers))
    found: Jobs = sweep.run(train, wanted.test_jobs(best), results, workers=workers)
    return found
