"""Train on the source domain, then adapt to the target domain by several methods, side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras

from tflm_export.contracts import Contract
from tflm_export.plan import Optimizer, UpdatePlan
from tfodl import models
from tfodl.callbacks import FixedSelection, RandomSelection, Selection, VelocitySelection
from tfodl.demo.config import DemoConfig
from tfodl.demo.domains import HELD_OUT, Domains
from tfodl.int8.graph import Int8Model
from tfodl.int8.qas import QAS
from tfodl.jobs.loaded import load_model
from tfodl.quantize.layer_map import layer_map
from tfodl.quantize.model import QATModel
from tfodl.selective.model import SelectiveModel
from tfodl.tasks.keras_losses import keras_metrics


@dataclass(frozen=True)
class Outcome:
    """One method on the target domain: accuracy (fraction) after each epoch, and each epoch's plan."""

    accuracy: tuple[float, ...]
    plans: tuple[UpdatePlan, ...] = ()


def pretrain(pictures: Domains, config: DemoConfig) -> tuple[keras.Model, Contract]:
    """The model trained on the source domain of uint8 `pictures`, batch norm folded into its convolutions as
    on the device; and how it takes pictures."""
    keras.utils.set_random_seed(config.seed)
    loaded = load_model(config.model, pictures.input_shape, pictures.classes)
    model, contract = loaded.model, loaded.contract
    x, y = contract.apply(pictures.source[0]), pictures.source[1]
    rate = keras.optimizers.schedules.CosineDecay(3e-3, config.source_epochs * -(-len(x) // 32))
    _compile(model, keras.optimizers.Adam(rate))
    model.optimizer.build(model.trainable_variables)  # in the first step, it would be traced twice
    model.fit(x, y, batch_size=32, epochs=config.source_epochs, verbose=0, callbacks=[Progress()])
    return models.folded(model), contract


def accuracy(model: keras.Model, x: Any, y: Any) -> float:
    """Fraction of `x` that `model` classifies as `y`."""
    return float((model.predict(x, batch_size=256, verbose=0).argmax(-1) == y).mean())


def compare(model: keras.Model, domains: Domains, config: DemoConfig) -> dict[str, Outcome]:
    """Head only, random, velocity and full update on the target domain, each from `model`'s weights."""
    held_out = domains.target[0][-HELD_OUT:]
    methods: dict[str, Callable[[], Selection]] = {
        "head only": lambda: FixedSelection("head"),
        "random": lambda: RandomSelection(config.budget_share, batchnorm=False, seed=config.seed),
        "velocity": lambda: VelocitySelection(
            config.budget_share, x=held_out, batchnorm=False, seed=config.seed
        ),
        "full update": lambda: FixedSelection("all"),
    }
    rate = config.float_learning_rate
    return {
        name: adapt(model, domains, make(), config, config.float_batch, lambda _: rate)
        for name, make in methods.items()
    }


def float_twin(model: keras.Model, domains: Domains, plan: UpdatePlan, config: DemoConfig) -> Outcome:
    """The device's plan in float: the same rates, samples and batch."""
    return adapt(model, domains, FixedSelection(plan), config, 1, config.device_rate)


def adapt_int8(
    aware: QATModel, tflite: bytes, plan: UpdatePlan, domains: Domains, config: DemoConfig
) -> Outcome:
    """Fine-tune the int8 graph of `tflite` in batches: velocity goes on from `plan`, made on the float model,
    QAS scales the gradients, updates round as on the board. The outcome's plans name the graph's layers."""
    domains = domains.each(aware.rescale)
    model = Int8Model(tflite, seed=config.seed)
    layers = {op: layer for layer, op in layer_map(model, tflite).items()}
    ops = layer_map(aware, tflite)
    first = replace(plan, layers=tuple(replace(row, name=layers[ops[row.name]]) for row in plan.layers))
    selection = VelocitySelection(
        config.budget_share, x=domains.target[0][-HELD_OUT:], initial=first, seed=config.seed
    )
    rate = config.float_learning_rate
    model.compile(QAS(keras.optimizers.SGD(rate)))
    return _learn(model, domains, selection, config, config.float_batch, lambda _: rate)


def adapt(
    model: keras.Model,
    domains: Domains,
    selection: Selection,
    config: DemoConfig,
    batch: int,
    rate: Callable[[int], float],
) -> Outcome:
    """Fine-tune a copy of `model` with SGD, at `rate(epoch)`, on the pictures that the device sees too."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    selective = SelectiveModel(copy)
    _compile(selective, keras.optimizers.SGD(rate(0)))
    return _learn(selective, domains, selection, config, batch, rate)


def _learn(
    model: SelectiveModel,
    domains: Domains,
    selection: Selection,
    config: DemoConfig,
    batch: int,
    rate: Callable[[int], float],
) -> Outcome:
    keras.utils.set_random_seed(config.seed)
    x, y, x_test, y_test = domains.target
    n = config.device_count(len(x) - HELD_OUT)
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, _: rate(epoch))
    history = model.fit(
        x[:n], y[:n], batch_size=batch, epochs=config.device_epochs, verbose=0,
        validation_data=(x_test, y_test), validation_batch_size=256,
        callbacks=[selection, schedule, Progress()],
    )  # fmt: skip
    curve = tuple(float(value) for value in history.history["val_accuracy"])
    return Outcome(curve, tuple(selection.plans))


def device_plan(outcome: Outcome, config: DemoConfig) -> UpdatePlan:
    """The plan that ships: the last epoch's selection, with the device's optimizer."""
    return replace(
        outcome.plans[-1], optimizer=Optimizer(learning_rate=config.device_learning_rate), seed=config.seed
    )


class Progress(keras.callbacks.Callback):
    """One progress bar for a whole `fit`."""

    def on_train_begin(self, logs: Any = None) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=self.params["epochs"], unit="epoch", leave=False, disable=None)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._bar.update(1)

    def on_train_end(self, logs: Any = None) -> None:
        self._bar.close()


def _compile(model: keras.Model, optimizer: Any) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=keras_metrics("crossentropy"))
