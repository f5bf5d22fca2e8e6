"""Training in phases: a fresh head first, then the method; each at a rate of its own, the best epoch kept."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tflm_export.plan import Optimizer, UpdatePlan
from tfodl.callbacks import FixedSelection, Selection
from tfodl.callbacks.best import BestEpoch
from tfodl.jobs.dry_run import check_rule
from tfodl.jobs.rates import search_rate
from tfodl.jobs.settings import FinetuneJob
from tfodl.selective.model import SelectiveModel
from tfodl.tasks.task import Task

CLASSES = Task()
HEAD_EPOCHS = 5  # of the head phase where the head is new, at most
LOOKED_AT = 256  # pictures that tell whether a head is new
JUDGED, MEASURED = 500, 50  # train samples that epochs are judged by and rules measure on, at most
XY = tuple[Any, Any]


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Inputs and labels: to train on, held out of training to judge by, and of the test split."""

    train: XY
    held_out: XY
    test: XY


@dataclasses.dataclass(frozen=True)
class Tuned:
    """plan: the best epoch's. history: metric -> values. before, after: the task's metric, test split."""

    plan: UpdatePlan
    history: dict[str, list[float]]
    before: float
    after: float


def tune(
    model: SelectiveModel, rule: Selection, pictures: Pictures, job: FinetuneJob, task: Task = CLASSES
) -> Tuned:
    """Train the compiled `model` by `rule`, after a phase of the head alone where the head is new.

    The model ends with the weights of the best epoch on the held-out pictures. Raises `TfodlError`.
    """
    before = _measured(model, pictures.test, task)
    if task is CLASSES:
        print(f"accuracy before training {before:.1%}")
    history: dict[str, list[float]] = {}
    epochs = _head_epochs(model, pictures.train, job, task)
    if epochs:
        print(f"head phase: the classifier alone, {epochs} epochs")
        options = {"seed": rule.seed, "verbose": 1, "engine": rule.given_engine}
        _phase(model, FixedSelection("head", **options), pictures, job, epochs, history, task)
    plan = _phase(model, rule, pictures, job, job.epochs, history, task)
    after = _measured(model, pictures.test, task)
    print(f"{task.text(before)} before training, {task.text(after).split(' ')[-1]} after")
    if not task.better(after, before):
        print("warning: training made it worse; try a lower --learning-rate, or --method head")
    return Tuned(plan, history, before, after)


def _phase(
    model: SelectiveModel, rule: Selection, pictures: Pictures, job: FinetuneJob, epochs: int,
    history: dict[str, list[float]], task: Task,
) -> UpdatePlan:  # fmt: skip
    """Train `epochs` by one rule; the best epoch's plan."""
    (x, y), held_out = pictures.train, pictures.held_out
    model.optimizer.learning_rate = job.learning_rate or model.optimizer.learning_rate
    check_rule(model, rule, rule.budget)
    if job.learning_rate is None:
        rate = search_rate(model, x, y, held_out, job.batch_size)
        print(f"learning rate {rate:g}, found by short trials on held-out pictures")
    rule.device = device_optimizer(job, float(np.asarray(model.optimizer.learning_rate)))
    judged = model.evaluate(*held_out, batch_size=256, verbose=0, return_dict=True)
    start = {f"val_{name}": value for name, value in judged.items()}
    best = BestEpoch(rule, f"val_{task.metric}", start)
    logs = model.fit(
        x, y, batch_size=job.batch_size, epochs=epochs, validation_data=held_out, callbacks=[rule, best]
    )
    for name, values in logs.history.items():
        history.setdefault(name, []).extend(map(float, values))
    assert best.plan is not None
    if not best.improved:
        print("no epoch was better than the start on held-out pictures: the weights stay as they were")
    else:
        print(f"epoch {best.epoch + 1} was the best on held-out pictures: its weights and plan are kept")
    return best.plan


def device_optimizer(job: FinetuneJob, rate: float) -> Optimizer:
    """The board's rule: the job's, `device_batch` samples a step with the rate in proportion.

    >>> device_optimizer(FinetuneJob("m", "d", "o", batch_size=32, device_batch=8), 0.04).learning_rate
    0.01
    """
    batch = job.device_batch or job.batch_size
    return Optimizer(float(f"{rate * batch / job.batch_size:.7g}"), job.momentum, batch)


def _head_epochs(model: SelectiveModel, train: XY, job: FinetuneJob, task: Task) -> int:
    """Epochs of the head phase: as asked; else some where a model of classes is at chance on its training
    samples."""
    if job.method == "head":
        return 0
    if job.head_epochs is not None or task.metric != "accuracy":
        return job.head_epochs or 0
    x, y = (part[:: max(1, len(train[1]) // LOOKED_AT)] for part in train)
    chance = np.bincount(y).max() / len(y)
    error = np.sqrt(chance * (1 - chance) / len(y))
    return min(HEAD_EPOCHS, job.epochs) if _measured(model, (x, y), task) <= chance + 2 * error else 0


def _measured(model: SelectiveModel, samples: XY, task: Task) -> float:
    return float(model.evaluate(*samples, batch_size=256, verbose=0, return_dict=True)[task.metric])
