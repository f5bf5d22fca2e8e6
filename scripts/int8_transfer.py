"""What the int8 experiments share: a net of the papers on a new data set, cut before its last two blocks.

Everything below the cut is frozen, so its features are computed once, in float and in int8, and kept in a
cache folder; a training then touches the last two blocks and the head only. The head starts from small
random integers, the same for float and int8; its scale is that of a linear probe, so that it can grow.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import logging

import tfodl
from tflm_export.files import write_bytes
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl import datasets, models
from tfodl.datasets.split import draw
from tfodl.int8.graph import Int8Model
from tfodl.quantize.layer_map import layer_map

CUTS = {"mbv2-w0.35": ("b14_add", "b15_expand"), "mcunet-5fps": ("b11_add", "b12_expand")}
HEAD_LSB = 4.0  # standard deviation of the head's first weights


@dataclass(frozen=True)
class Task:
    """One net on one data set. limit: pictures a split at most; size: side in pixels."""

    net: str
    data: str
    size: int = 128
    limit: int = 2000

    @property
    def key(self) -> str:
        return f"{self.net}_{self.data}_{self.size}_{self.limit}"


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


@dataclass(frozen=True)
class Start:
    """Where every training begins. x: features at the cut, real values float32 [N, h, w, C], by arithmetic
    ("fp32", "int8") and split; y: labels; first: the op after the cut."""

    task: Task
    tflite: bytes
    first: str
    x: dict[tuple[str, str], np.ndarray]
    y: dict[str, np.ndarray]

    def int8(self, **options: Any) -> Int8Model:
        """The last two blocks and the head in int8, all of them trained."""
        model = Int8Model(self.tflite, first=self.first, **options)
        layers = tuple(LayerUpdate(g.layer, "out", tuple(range(g.channels)), "all") for g in model.groups)
        model.set_plan(UpdatePlan(layers, head=True))
        return model

    def fp32(self) -> keras.Model:
        """The same layers in float."""
        model = _float_model(self.task, len(np.unique(self.y["train"])))
        int8 = Int8Model(self.tflite, first=self.first)
        head = int8._weighted()[-1][1]
        scale = head.kernel.quantum.scale
        model.layers[-1].set_weights([np.asarray(head.kernel) * scale, np.asarray(head.bias) * 0.0])
        tail = keras.Model(model.get_layer(CUTS[self.task.net][0]).output, model.output)
        return keras.models.clone_model(tail, clone_function=lambda layer: layer)


def prepare(task: Task, cache: Path, data_dir: str | None = None) -> Start:
    """The start of `task`, from the cache where it is there."""
    folder = cache / task.key
    if not (folder / "features.npz").exists():
        _compute(task, folder, data_dir)
    with np.load(folder / "features.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    x = {(a, s): arrays[f"{a}_{s}"] for a in ("fp32", "int8") for s in ("train", "test")}
    y = {split: arrays[f"y_{split}"] for split in ("train", "test")}
    return Start(task, (folder / "start.tflite").read_bytes(), str(arrays["first"]), x, y)


def _float_model(task: Task, classes: int) -> keras.Model:
    return models.build(task.net, input_shape=(task.size, task.size, 3), classes=classes, weights="imagenet")


def _compute(task: Task, folder: Path, data_dir: str | None) -> None:
    logging.info("%s: computing features", task.key)
    data = datasets.load(task.data, size=task.size, limit=task.limit, data_dir=data_dir)
    x = {"train": models.preprocess(data.x_train), "test": models.preprocess(data.x_test)}
    y = {"train": data.y_train, "test": data.y_test}
    model = _float_model(task, data.classes)
    cut, after = CUTS[task.net]
    pool = model.layers[-1].input
    both = keras.Model(model.input, [model.get_layer(cut).output, pool])
    float_out = {split: both.predict(x[split], batch_size=64, verbose=0) for split in x}
    _probe(model.layers[-1], float_out["train"][1], y["train"])
    tflite = tfodl.convert.to_int8(model, x["train"][draw(y["train"], 256)], isolate=True)
    first = layer_map(model, tflite)[after]
    int8 = Int8Model(tflite)
    arrays = {f"int8_{split}": int8.features(x[split], first) for split in x}
    arrays |= {f"fp32_{split}": float_out[split][0] for split in x}
    arrays |= {f"y_{split}": y[split] for split in y} | {"first": np.array(first)}
    write_bytes(folder / "start.tflite", _with_fresh_head(int8))
    np.savez(folder / "features.part.npz", **arrays)
    (folder / "features.part.npz").rename(folder / "features.npz")


def _probe(head: keras.layers.Dense, features: np.ndarray, y: np.ndarray) -> None:
    keras.utils.set_random_seed(0)
    probe = keras.Sequential([keras.Input(features.shape[1:]), keras.layers.Dense(head.units)])
    probe.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    probe.fit(features, y, epochs=20, batch_size=64, verbose=0)
    head.set_weights(probe.get_weights())


def _with_fresh_head(int8: Int8Model) -> bytes:
    op, head = int8._weighted()[-1]
    draw = np.random.default_rng(0).normal(0.0, HEAD_LSB, head.kernel.shape)
    head.kernel.assign(np.clip(np.round(draw), -127, 127))
    head.bias.assign(np.zeros(head.bias.shape))
    return int8.to_tflite()


class WarmUpCosine(keras.callbacks.Callback):
    """The paper's schedule: `peak` reached by a line over the first epoch, then a cosine down to nothing.

    Without the warm-up a fresh head sends the blocks below it off at the rates that are best afterwards, in
    float and in int8 alike.
    """

    def __init__(self, peak: float, steps: int, epochs: int):
        super().__init__()
        self.peak, self.warm, self.total, self.step = peak, steps, steps * epochs, 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = self.rate(self.step)
        self.step += 1

    def rate(self, step: int) -> float:
        if step < self.warm:
            return self.peak * (step + 1) / self.warm
        return self.peak * (1 + math.cos(math.pi * (step - self.warm) / (self.total - self.warm))) / 2


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


class Runs:
    """Results as JSON lines, one a training: a killed experiment goes on where it was."""

    def __init__(self, path: Path):
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            self.rows = [json.loads(line) for line in path.read_text().splitlines()]

    def get(self, key: dict[str, Any], compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The row of `key`, computed and written when it is not there yet."""
        for row in self.rows:
            if all(row.get(name) == value for name, value in key.items()):
                return row
        row = {**key, **compute()}
        self.rows.append(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
        logging.info("%s", row)
        return row
