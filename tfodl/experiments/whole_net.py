"""`train`: one float training of a whole net under one rule and budget of parameters.

After Quélennec et al., "Towards On-device Learning on the Edge" (WACV-W 2024): their recipe is the default.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from tflm_export.errors import TfodlError
from tfodl import datasets, models
from tfodl.callbacks import FixedSelection, RandomSelection, VelocitySelection
from tfodl.callbacks.base import Selection
from tfodl.neurons.cost import plan_cost
from tfodl.neurons.group import NeuronGroup
from tfodl.selection import schemes
from tfodl.selective.model import SelectiveModel
from tfodl.tasks.keras_losses import keras_metrics

METHODS = ("head", "random", "sparse_update", "velocity", "all")
HELD_OUT = 50  # pictures that velocities are measured on
OPTIMIZERS = ("sgd", "adam")


@dataclass(frozen=True)
class Config:
    """One experiment.

    width: of the channels. weights: "imagenet", or "" to draw them (the ResNets but 50 have no others).
    train_limit, test_limit: pictures at most, 0 is all. probe_epochs: the classifier first trains alone on
    frozen features, for every method alike. learning_rate: reached by a line over warm_up epochs, then a
    cosine to 0. batchnorm: every gamma and beta trains, on batch statistics, outside the budget. budget:
    share of the convolutions' parameters. first: neurons of the first epoch, "random" (the paper's table 2)
    or "sparse_update" (table 1).

    Raises `TfodlError` for an optimizer or first choice that is not known.
    """

    data: str = "flowers"
    model: str = "mobilenet_v2"
    size: int = 128
    width: float = 1.0
    weights: str = "imagenet"
    train_limit: int = 0
    test_limit: int = 0
    probe_epochs: int = 0
    epochs: int = 200
    batch_size: int = 32
    learning_rate: float = 0.125
    budget: float = 0.088
    optimizer: Literal["sgd", "adam"] = "sgd"
    warm_up: int = 5
    batchnorm: bool = True
    first: Literal["random", "sparse_update"] = "random"

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise TfodlError(f"optimizer must be one of {OPTIMIZERS}, got {self.optimizer!r}.")
        if self.first not in ("random", "sparse_update"):
            raise TfodlError(f"first must be 'random' or 'sparse_update', got {self.first!r}.")
        if not 0 <= self.warm_up < self.epochs:
            raise TfodlError(f"warm_up must be >= 0 and less than {self.epochs} epochs, got {self.warm_up}.")


def train(config: Mapping[str, Any], method: str, seed: int) -> dict[str, Any]:
    """One training, for `tfodl.experiments.sweep`.

    config: fields of `Config`. method: of `METHODS`. seed: of pictures, first head, order and random choices.
    Returns the test accuracy after every epoch, right or wrong a picture at the end (`correct`, hex bits),
    and what the last plan trains.
    """
    options = Config(**config)
    keras.utils.set_random_seed(seed)
    x, y, x_test, y_test, held_out, classes = _data(options, seed)
    net = models.build(
        options.model,
        input_shape=x.shape[1:],
        classes=classes,
        weights=options.weights or None,
        width=None if options.width == 1.0 else options.width,
    )
    if options.probe_epochs:
        _probe(net, x, y, options)
    model = SelectiveModel(net)
    model.compile(
        _optimizer(options, -(-len(x) // options.batch_size)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=keras_metrics("crossentropy"),
    )
    chosen = selection(method, options, held_out, seed, model.groups)
    batches = {"batch_size": options.batch_size, "epochs": options.epochs, "verbose": 0}
    tested = model.fit(x, y, validation_data=(x_test, y_test), callbacks=[chosen], **batches)
    right = model.predict(x_test, verbose=0).argmax(-1) == y_test
    return {
        "accuracy": tested.history["val_accuracy"],
        "correct": np.packbits(right).tobytes().hex(),
        "test": len(y_test),
        "scheme": nearest_scheme(options, model.groups) if method == "sparse_update" else None,
        **_cost(model),
    }


def selection(
    method: str, options: Config, held_out: np.ndarray, seed: int, groups: Sequence[NeuronGroup]
) -> Selection:
    """The callback of `method`. Raises `TfodlError` for one that is not in `METHODS`."""
    common: dict[str, Any] = {"batchnorm": options.batchnorm, "seed": seed}
    if options.first == "sparse_update" and method in ("velocity", "random"):
        common["initial"] = nearest_scheme(options, groups)
    if method == "velocity":
        return VelocitySelection(options.budget, validation_data=held_out, **common)
    if method == "random":
        return RandomSelection(options.budget, **common)
    if method == "sparse_update":
        return FixedSelection(nearest_scheme(options, groups), **common)
    if method not in METHODS:
        raise TfodlError(f"methods: no {method!r}; allowed: {', '.join(METHODS)}.")
    return FixedSelection(method, **common)


def nearest_scheme(options: Config, groups: Sequence[NeuronGroup]) -> str:
    """The published scheme whose share of the convolutions' parameters is nearest to the budget.

    Raises `TfodlError` when none was published for the model.
    """
    net = "mbv2-w0.35" if options.model == "mobilenet_v2" else options.model
    names = [name for name, scheme in schemes.SCHEMES.items() if scheme.net == net]
    if not names:
        raise TfodlError(f"no Sparse Update scheme was published for model {options.model!r}.")
    shares = {name: plan_cost(schemes.plan(name, groups), groups).share for name in names}
    return min(names, key=lambda name: abs(shares[name] - options.budget))


def _optimizer(options: Config, steps: int) -> keras.optimizers.Optimizer:
    """steps: of an epoch."""
    kind = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[options.optimizer]
    rate, warm = options.learning_rate, options.warm_up * steps
    if not warm:
        return kind(keras.optimizers.schedules.CosineDecay(rate, options.epochs * steps))
    rest = options.epochs * steps - warm
    return kind(keras.optimizers.schedules.CosineDecay(0.0, rest, warmup_target=rate, warmup_steps=warm))


def _probe(net: keras.Model, x: np.ndarray, y: np.ndarray, options: Config) -> None:
    """Train the classifier alone, on features computed once, so that its random start upsets no layer."""
    features = keras.Model(net.input, net.get_layer("pool").output).predict(x, verbose=0)
    classifier = net.get_layer("classifier")
    head = keras.Sequential([keras.Input(features.shape[1:]), keras.layers.Dense(classifier.units)])
    head.layers[0].set_weights(classifier.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head.compile(keras.optimizers.Adam(0.01), loss)
    head.fit(features, y, batch_size=options.batch_size, epochs=options.probe_epochs, verbose=0)
    classifier.set_weights(head.layers[0].get_weights())


def _data(options: Config, seed: int) -> tuple[Any, ...]:
    """Train pictures (drawn with `seed`), test pictures (always the same), and the held-out ones."""
    data = datasets.load(options.data, size=options.size)
    count = options.train_limit + HELD_OUT if options.train_limit else None
    data = data.subset(None, options.test_limit or None, seed=0).subset(count, None, seed=seed)
    (x_train, y_train), (held_out, _) = data.hold_out(HELD_OUT, seed)
    x_train, x_test, held_out = map(models.preprocess, (x_train, data.x_test, held_out))
    return x_train, y_train, x_test, data.y_test, held_out, data.classes


def _cost(model: SelectiveModel) -> dict[str, Any]:
    cost = model.cost
    return {
        "params": cost.params,
        "share": cost.share,
        "ram_bytes": cost.scheme_bytes,
        "macs": dataclasses.asdict(cost.macs),
    }
