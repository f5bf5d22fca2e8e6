"""What the int8 experiments share: trainings of a net's last two blocks from `tfodl.experiments.transfer`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import tfodl
from tfodl.experiments.transfer import Start, Task, WarmUpCosine, prepare


@dataclass(frozen=True)
class Settings:
    """How a training runs. validate: on a fifth of the training pictures, trained on the rest."""

    epochs: int = 6
    batch_size: int = 16
    validate: bool = False


METHODS: dict[str, Callable[[Any], Any]] = {
    "fp32 SGD": keras.optimizers.SGD,
    "int8 SGD": keras.optimizers.SGD,
    "int8 Adam": keras.optimizers.Adam,
    "int8 SGD+QAS": lambda rate: tfodl.QAS(keras.optimizers.SGD(rate)),
    "int8 SGD+QAS, accumulator": lambda rate: tfodl.QAS(keras.optimizers.SGD(rate)),
}


class Trainer:
    """Trains the last two blocks from `start` by `method` of `METHODS`, again and again from the same point.

    rounding: of int8 updates. One compiled model serves every learning rate and seed.
    """

    def __init__(self, start: Start, method: str, rounding: Any = "stochastic"):
        self.start, self.arithmetic = start, "fp32" if method == "fp32 SGD" else "int8"
        self.model = start.fp32() if self.arithmetic == "fp32" else start.int8(rounding=rounding)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(METHODS[method](1.0), loss, metrics=["accuracy"])
        self.first = self.model.get_weights()

    def run(self, learning_rate: float, seed: int, settings: Settings) -> dict[str, Any]:
        """One training; accuracies and mean |w| before and after, as plain numbers."""
        keras.utils.set_random_seed(seed)
        self._reset(seed)
        x, y, x_test, y_test = _split(self.start, self.arithmetic, settings.validate)
        before = mean_magnitude(self.model)
        schedule = WarmUpCosine(learning_rate, math.ceil(len(y) / settings.batch_size), settings.epochs)
        options = {"batch_size": settings.batch_size, "verbose": 0, "callbacks": [schedule]}
        history = self.model.fit(x, y, epochs=settings.epochs, **options).history
        accuracy = self.model.evaluate(x_test, y_test, batch_size=100, verbose=0)[1]
        return {
            "accuracy": round(float(accuracy), 4),
            "train_accuracy": [round(float(value), 4) for value in history["accuracy"]],
            "mean_magnitude": [before, mean_magnitude(self.model)],
        }

    def _reset(self, seed: int) -> None:
        """First weights, no optimizer state, the rounding's random numbers of this seed."""
        self.model.set_weights(self.first)
        for variable in self.model.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        if hasattr(self.model.optimizer, "reset"):
            self.model.optimizer.reset(step=seed * 1_000_000)


@functools.cache
def trainer(task: Task, method: str, rounding: str, cache: Path, data_dir: str | None) -> Trainer:
    """The `Trainer` of a task, made once."""
    return Trainer(prepare(task, cache, data_dir), method, rounding)


def mean_magnitude(model: keras.Model) -> float | None:
    """Mean |w| of the trained kernels below the head; None where they diverged."""
    kernels = [np.abs(np.asarray(v)).ravel() for v in model.trainable_variables if v.name == "kernel"]
    mean = float(np.concatenate(kernels[:-1]).mean())
    return round(mean, 3) if math.isfinite(mean) else None


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and standard deviation over seeds, for a table."""
    return {
        "mean": round(float(np.mean(values)), 4),
        "sd": round(float(np.std(values)), 4),
        "seeds": len(values),
    }


def _split(start: Start, arithmetic: str, validate: bool) -> tuple[np.ndarray, ...]:
    x, y = start.x[arithmetic, "train"], start.y["train"]
    if not validate:
        return x, y, start.x[arithmetic, "test"], start.y["test"]
    order = np.random.default_rng(0).permutation(len(y))
    held, kept = order[: len(y) // 5], order[len(y) // 5 :]
    return x[kept], y[kept], x[held], y[held]
