"""A net of the papers on a new data set, in int8, cut before its last blocks.

What lies below the cut is frozen, so its features are computed once, in float and in int8, and kept in a
cache folder; a training touches the blocks above and the head only. The head starts from small random
integers; its scale is that of a linear probe, so that it can grow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import logging

from tflm_export.errors import TfodlError
from tflm_export.files import write_bytes
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl import datasets, models
from tfodl.datasets.split import draw
from tfodl.int8.graph import Int8Model
from tfodl.quantize.convert import to_int8
from tfodl.quantize.layer_map import layer_map

# (net, last blocks) -> the layer that ends what is frozen, and the one after it.
CUTS = {
    ("mbv2-w0.35", 2): ("b14_add", "b15_expand"),
    ("mbv2-w0.35", 3): ("b13_project", "b14_expand"),
    ("mbv2-w0.35", 5): ("b11_add", "b12_expand"),
    ("mcunet-5fps", 2): ("b11_add", "b12_expand"),
}
HEAD_LSB = 4.0  # standard deviation of the head's first weights


@dataclass(frozen=True)
class Task:
    """One net on one data set.

    net: of `tfodl.models`, with ImageNet weights. data: of `tfodl.datasets`. size: side in pixels.
    limit: pictures a split at most. blocks: the last ones, which may train.

    Raises `TfodlError` for a net and blocks that no cut is known for.
    """

    net: str
    data: str
    size: int = 128
    limit: int = 2000
    blocks: int = 2

    def __post_init__(self) -> None:
        if (self.net, self.blocks) not in CUTS:
            known = ", ".join(f"{net} with {blocks}" for net, blocks in CUTS)
            raise TfodlError(f"Task: no cut before the last {self.blocks} blocks of {self.net!r}; {known}.")

    @property
    def key(self) -> str:
        """Name of the task's folder in a cache."""
        return f"{self.net}_{self.data}_{self.size}_{self.limit}_{self.blocks}"


@dataclass(frozen=True)
class Start:
    """Where every training begins.

    tflite: the whole net in int8; first: the op after the cut. x: features at the cut, real values float32
    [N, h, w, C], by arithmetic ("fp32", "int8") and split ("train", "test"); y: labels [N] by split.
    """

    task: Task
    tflite: bytes
    first: str
    x: dict[tuple[str, str], np.ndarray]
    y: dict[str, np.ndarray]

    def int8(self, **options: Any) -> Int8Model:
        """The last blocks and the head in int8, all of them trained. options: of `Int8Model`."""
        model = Int8Model(self.tflite, first=self.first, **options)
        layers = tuple(LayerUpdate(g.layer, "out", tuple(range(g.channels)), "all") for g in model.groups)
        model.set_plan(UpdatePlan(layers, head=True))
        return model

    def fp32(self) -> keras.Model:
        """The same layers in float."""
        model = _float_model(self.task, len(np.unique(self.y["train"])))
        model.layers[-1].set_weights(real_head(Int8Model(self.tflite, first=self.first)))
        tail = keras.Model(model.get_layer(CUTS[self.task.net, self.task.blocks][0]).output, model.output)
        return keras.models.clone_model(tail, clone_function=lambda layer: layer)


def prepare(task: Task, cache: Path, data_dir: str | None = None) -> Start:
    """The start of `task`, from the folder `cache` where it is there."""
    folder = cache / task.key
    if not (folder / "features.npz").exists():
        _compute(task, folder, data_dir)
    with np.load(folder / "features.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    x = {(a, s): arrays[f"{a}_{s}"] for a in ("fp32", "int8") for s in ("train", "test")}
    y = {split: arrays[f"y_{split}"] for split in ("train", "test")}
    return Start(task, (folder / "start.tflite").read_bytes(), str(arrays["first"]), x, y)


def head_of(model: Int8Model) -> Any:
    """The classifier's layer."""
    return model.weighted()[-1][1]


def real_head(model: Int8Model) -> list[np.ndarray]:
    """The classifier's weights as real values, and biases of 0."""
    head = head_of(model)
    return [np.asarray(head.kernel) * head.kernel.quantum.scale, np.zeros(head.bias.shape)]


def draw_head(model: Int8Model, seed: int) -> None:
    """Give the classifier fresh weights: small random integers, biases 0."""
    head = head_of(model)
    drawn = np.random.default_rng(seed).normal(0.0, HEAD_LSB, head.kernel.shape)
    head.kernel.assign(np.clip(np.round(drawn), -127, 127))
    head.bias.assign(np.zeros(head.bias.shape))


class WarmUpCosine(keras.callbacks.Callback):
    """The papers' schedule: `peak` reached by a line over the first epoch, then a cosine down to nothing.

    Without the warm-up a fresh head sends the blocks below it off at the rates that are best afterwards, in
    float and in int8 alike. steps: an epoch's.
    """

    def __init__(self, peak: float, steps: int, epochs: int):
        super().__init__()
        self.peak, self.warm, self.total, self.step = peak, steps, steps * epochs, 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = self.rate(self.step)
        self.step += 1

    def rate(self, step: int) -> float:
        """The learning rate of step `step`, from 0."""
        if step < self.warm:
            return self.peak * (step + 1) / self.warm
        return self.peak * (1 + math.cos(math.pi * (step - self.warm) / (self.total - self.warm))) / 2


def _float_model(task: Task, classes: int) -> keras.Model:
    return models.build(task.net, input_shape=(task.size, task.size, 3), classes=classes, weights="imagenet")


def _compute(task: Task, folder: Path, data_dir: str | None) -> None:
    logging.info("%s: computing features", task.key)
    data = datasets.load(task.data, size=task.size, limit=task.limit, data_dir=data_dir)
    x = {"train": models.preprocess(data.x_train), "test": models.preprocess(data.x_test)}
    y = {"train": data.y_train, "test": data.y_test}
    model = _float_model(task, data.classes)
    cut, after = CUTS[task.net, task.blocks]
    both = keras.Model(model.input, [model.get_layer(cut).output, model.layers[-1].input])
    float_out = {split: both.predict(x[split], batch_size=64, verbose=0) for split in x}
    _probe(model.layers[-1], float_out["train"][1], y["train"])
    tflite = to_int8(model, x["train"][draw(y["train"], 256)], isolate=True)
    first = layer_map(model, tflite)[after]
    int8 = Int8Model(tflite)
    arrays = {f"int8_{split}": int8.features(x[split], first) for split in x}
    arrays |= {f"fp32_{split}": float_out[split][0] for split in x}
    arrays |= {f"y_{split}": y[split] for split in y} | {"first": np.array(first)}
    draw_head(int8, 0)
    write_bytes(folder / "start.tflite", int8.to_tflite())
    np.savez(folder / "features.part.npz", **arrays)  # type: ignore[arg-type]
    (folder / "features.part.npz").rename(folder / "features.npz")


def _probe(head: keras.layers.Dense, features: np.ndarray, y: np.ndarray) -> None:
    keras.utils.set_random_seed(0)
    probe = keras.Sequential([keras.Input(features.shape[1:]), keras.layers.Dense(head.units)])
    probe.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    probe.fit(features, y, epochs=20, batch_size=64, verbose=0)
    head.set_weights(probe.get_weights())
