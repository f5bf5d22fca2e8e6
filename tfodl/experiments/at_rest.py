"""`train`: one training from scratch in which neurons at rest are frozen: NEq, SCoTTi and their baselines.

After Bragagnolo et al., "To update or not to update?" (NeurIPS 2022) and SCoTTi: ResNet-32 on CIFAR-10, 32
px, SGD with momentum, batch norm on batch statistics. The rate falls by a cosine, but where it is learned.
Augmentation and weight decay are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tflm_export.errors import TfodlError
from tfodl import datasets, models
from tfodl.callbacks import EquilibriumSelection, FixedSelection, ScottiSelection
from tfodl.callbacks.base import Selection
from tfodl.callbacks.hypergrad import HyperSGD
from tfodl.selective.model import SelectiveModel
from tfodl.tasks.keras_losses import keras_metrics

LEARNED = {  # what a method's optimizer learns
    "scotti": ("eps",),
    "scotti_ultimate": ("eps", "learning_rate", "momentum"),
    "ultimate_neq": ("learning_rate", "momentum"),
}
LOGS = ("updated_share", "flops_saved", "flops_saved_paper", "eps")
METHODS = ("all", "neq", *LEARNED)


@dataclass(frozen=True)
class Config:
    """One experiment.

    model, width: a ResNet of `tfodl.models`. train_limit, test_limit: pictures at most, 0 is all. held_out:
    pictures of the train split that velocities are measured on. eps: where it is learned, its start.
    """

    data: str = "cifar10"
    model: str = "resnet32"
    width: float = 1.0
    train_limit: int = 0
    test_limit: int = 0
    held_out: int = 50
    epochs: int = 250
    batch_size: int = 100
    learning_rate: float = 0.1
    momentum: float = 0.9
    eps: float = 1e-3


def train(config: Mapping[str, Any], method: str, seed: int) -> dict[str, Any]:
    """One training, for `tfodl.experiments.sweep`: JSON values in and out.

    config: fields of `Config`; method: of `METHODS`. Returns by epoch accuracy on the test pictures and what
    the plan trains and saves: updated_share, flops_saved, flops_saved_paper, and eps where it is learned;
    `correct` as `learner.train`. Raises `TfodlError` for an unknown method.
    """
    options = Config(**config)
    if method not in METHODS:
        raise TfodlError(f"methods: no {method!r}; allowed: {', '.join(METHODS)}.")
    data = datasets.load(options.data, size=32, limit=options.test_limit or None)
    count = options.train_limit + options.held_out if options.train_limit else None
    data = data.subset(count, None, seed=seed)
    (x, y), (held_out, _) = data.hold_out(options.held_out, seed)
    x, x_test, held_out = map(models.preprocess, (x, data.x_test, held_out))
    keras.utils.set_random_seed(seed)
    model = SelectiveModel(
        models.build(options.model, input_shape=x.shape[1:], classes=data.classes, width=options.width)
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(_optimizer(method, options, len(x)), loss, metrics=keras_metrics("crossentropy"))
    fitted = model.fit(
        x,
        y,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_data=(x_test, data.y_test),
        callbacks=[_rule(method, options, held_out, seed)],
        verbose=0,
    )
    right = model.predict(x_test, verbose=0).argmax(-1) == data.y_test
    logs = {name: fitted.history[name] for name in LOGS if name in fitted.history}
    return {
        "correct": np.packbits(right).tobytes().hex(),
        "test": len(right),
        "accuracy": [round(float(v), 5) for v in fitted.history["val_accuracy"]],
        **{name: [round(float(v), 7) for v in values] for name, values in logs.items()},
    }


def _optimizer(method: str, options: Config, pictures: int) -> keras.optimizers.Optimizer:
    if method in LEARNED:
        return HyperSGD(options.learning_rate, options.momentum, options.eps, learn=LEARNED[method])
    steps = options.epochs * -(-pictures // options.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    return keras.optimizers.SGD(rate, momentum=options.momentum)


def _rule(method: str, options: Config, held_out: np.ndarray, seed: int) -> Selection:
    if method == "all":
        return FixedSelection("all", seed=seed)
    if method == "neq":
        return EquilibriumSelection(options.eps, held_out, seed=seed)
    return ScottiSelection(held_out, seed=seed)
