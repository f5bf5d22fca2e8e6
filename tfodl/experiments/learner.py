"""`train`: one training of a net's last blocks in int8, under one rule and budget; numbers in, numbers out.

A `Learner` is made once a process and task: its cut net, features and engine serve every rule and seed.
`float_learner.py` has the same in float.
"""

from __future__ import annotations

import functools
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.plan import Budget, Optimizer
from tfodl.callbacks.base import Selection
from tfodl.datasets.split import draw, hold_out
from tfodl.experiments.masked_loop import MaskedLoop
from tfodl.experiments.rules import Setting, ram_budget, rule
from tfodl.experiments.transfer import Start, Task, WarmUpCosine, draw_head, prepare
from tfodl.int8.graph import Int8Model
from tfodl.int8.qas import QAS
from tfodl.selection.choose import as_budget
from tfodl.selection.engine import Engine
from tfodl.selective.model import SelectiveModel

CACHE = "TFODL_CACHE"  # environment: folder for features
COSTS = ("ram_bytes", "params", "backward_macs", "flops_saved", "flops_saved_paper")  # of an epoch's plan
Arithmetic = Literal["int8", "fp32"]
DEVICE = Optimizer(learning_rate=0.001)  # a step a sample, no momentum: what bytes are counted for


@dataclass(frozen=True)
class Recipe:
    """How a training runs. pictures: drawn by the seed, every class by its share; held_out: as many more, for
    the rules to measure on. Rate: a line up over the first epoch, a cosine down to 0 over the others."""

    pictures: int = 1000
    held_out: int = 50
    epochs: int = 8
    batch_size: int = 16


def train(
    task: Mapping[str, Any],
    recipe: Mapping[str, Any],
    method: str,
    budget: Mapping[str, Any],
    rate: float,
    seed: int,
    validate: bool = False,
) -> dict[str, Any]:
    """One training, for `tfodl.experiments.sweep`: JSON values in and out.

    task, recipe: fields of `Task`, `Recipe`. method: of `tfodl.experiments.rules.rule`. budget: fields of
    `Budget`, or `{"ram_share": s}` (`ram_budget`), or `{"params_share": s}` of what may train. rate: the
    highest learning rate. seed: of pictures, first head, order, rounding and the rule's choices: the same for
    every method. validate: on a fifth of the training pictures, trained on others; else on the test pictures.

    Returns accuracy; correct: a bit a picture, hex; train_accuracy by epoch; by epoch what the plan takes:
    `COSTS`; seconds; with seed 0 the last epoch's plan.
    """
    return learner(Task(**task)).run(Recipe(**recipe), method, budget, rate, seed, validate)


@functools.cache
def learner(task: Task) -> Int8Learner:
    """The `Int8Learner` of a task, made once; features lie in `cache()`."""
    return Int8Learner(prepare(task, cache()))


def cache() -> Path:
    """The folder for features: `$TFODL_CACHE`, or build/transfer."""
    return Path(os.environ.get(CACHE, "build/transfer"))


class Learner(ABC):
    """Trains from `start` again and again: one compiled model for every rule, rate and seed.

    arithmetic: of the features. curve: note the accuracy on the test pictures after every epoch, too.
    """

    arithmetic: Arithmetic
    curve = False
    engine: Engine | None = None

    def __init__(
        self, start: Start, model: Int8Model | SelectiveModel, optimizer: keras.optimizers.Optimizer
    ) -> None:
        self.start, self.model = start, model
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.optimizer.build(model.base.trainable_variables)
        self.loop = MaskedLoop(model)
        self.first = model.get_weights()

    @abstractmethod
    def reset(self, seed: int) -> None:
        """First weights under a head of this seed, no optimizer state, the seed's random numbers."""

    def run(
        self, recipe: Recipe, method: str, budget: Mapping[str, Any], rate: float, seed: int, validate: bool
    ) -> dict[str, Any]:
        """See `train`."""
        begun = time.perf_counter()
        x, y, held_out, x_test, y_test = self._data(recipe, seed, validate)
        self.reset(seed)
        chosen = rule(method, Setting(self.budget(budget), held_out, seed, DEVICE, self.engine))
        chosen.set_model(self.model)
        chosen.on_train_begin()
        learned, tested, costs = [], [], _Costs(chosen)
        for epoch, (order, rates) in enumerate(_epochs(len(y), recipe, rate, seed)):
            chosen.on_epoch_begin(epoch)
            learned.append(self.loop.run(x, y, order, rates))
            costs.note()
            if self.curve:
                tested.append(round(float((self._classes(x_test) == y_test).mean()), 4))
        correct = self._classes(x_test) == y_test
        return {
            "accuracy": round(float(correct.mean()), 5),
            "correct": np.packbits(correct).tobytes().hex(),
            "test": len(y_test),
            "train_accuracy": [round(value, 4) for value in learned],
            **({"test_accuracy": tested} if tested else {}),
            **costs.rows,
            **({} if seed else {"plan": json.loads(chosen.plans[-1].to_json())}),
            "seconds": round(time.perf_counter() - begun, 1),
        }

    def budget(self, wanted: Mapping[str, Any]) -> Budget:
        """The `Budget` that a job means. Raises `TfodlError` for more than one kind of it."""
        if len(wanted) != 1:
            raise TfodlError(f"budget: one of ram_share, params_share or a limit, got {dict(wanted)}.")
        if "ram_share" in wanted:
            if self.engine is None:
                raise TfodlError("budget: a net in float has no engine; give params_share.")
            return ram_budget(wanted["ram_share"], self.engine, self.model.groups, DEVICE)
        if "params_share" in wanted:
            return as_budget(wanted["params_share"], self.model.groups)
        return Budget(**wanted)

    def _data(self, recipe: Recipe, seed: int, validate: bool) -> tuple[Any, ...]:
        x, y = self.start.x[self.arithmetic, "train"], self.start.y["train"]
        x_test, y_test = self.start.x[self.arithmetic, "test"], self.start.y["test"]
        if validate:
            kept, held = hold_out(y, len(y) // 5)
            x, y, x_test, y_test = x[kept], y[kept], x[held], y[held]
        drawn = draw(y, recipe.pictures + recipe.held_out, seed)
        measured, learned = drawn[: recipe.held_out], drawn[recipe.held_out :]
        return x[learned], y[learned], (x[measured], y[measured]), x_test, y_test

    def _classes(self, x: np.ndarray) -> np.ndarray:
        """What the model takes `x` for, [N]."""
        found: np.ndarray = self.model.predict(x, batch_size=256, verbose=0).argmax(-1)
        return found


class Int8Learner(Learner):
    """Trains the int8 graph that the board runs, with quantisation-aware scaling."""

    arithmetic = "int8"
    engine: Engine
    model: Int8Model

    def __init__(self, start: Start) -> None:
        super().__init__(start, start.int8(), QAS(keras.optimizers.SGD(1.0)))
        self.engine = Engine.of(Int8Model(start.tflite))

    def reset(self, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        self.model.set_weights(self.first)
        draw_head(self.model, seed)
        self.model.optimizer.reset(step=seed * 1_000_000)


class _Costs:
    """What every epoch's plan takes; RAM where there is an engine."""

    def __init__(self, rule: Selection) -> None:
        self.rule = rule
        self.rows: dict[str, list[float]] = {name: [] for name in COSTS[rule.engine is None :]}

    def note(self) -> None:
        cost, engine = self.rule.model.cost, self.rule.engine
        ram = [] if engine is None else [engine.ram_bytes(self.rule.plans[-1])]
        saved = round(cost.flops_saved, 4), round(cost.flops_saved_paper, 4)
        for name, value in zip(self.rows, (*ram, cost.params, cost.macs.backward, *saved), strict=True):
            self.rows[name].append(value)


def _epochs(count: int, recipe: Recipe, peak: float, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """By epoch, samples of every step [steps, batch] (whole batches of `count`, in an order that only the
    seed decides) and the rate of every step [steps]."""
    rng, steps = np.random.default_rng(seed), count // recipe.batch_size
    schedule = WarmUpCosine(peak, steps, recipe.epochs)
    for epoch in range(recipe.epochs):
        order = rng.permutation(count)[: steps * recipe.batch_size].reshape(steps, recipe.batch_size)
        yield order, np.array([schedule.rate(epoch * steps + step) for step in range(steps)])
