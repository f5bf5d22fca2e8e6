"""The best epoch's weights with the plan that trained them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from selective_nets import compiled, data, selective, small_net

import tfodl
from tflm_export.errors import TfodlError
from tflm_export.plan import Budget, Optimizer
from tfodl.callbacks import BestEpoch, RandomSelection

ACCURACIES = (0.5, 0.8, 0.8, 0.6)


class Judge(keras.callbacks.Callback):
    """Writes given figures into the logs and keeps every epoch's weights."""

    def __init__(self, accuracies, losses):
        super().__init__()
        self.figures, self.weights = list(zip(accuracies, losses, strict=True)), []

    def on_epoch_end(self, epoch, logs=None):
        logs["val_accuracy"], logs["val_loss"] = self.figures[epoch]
        self.weights.append(self.model.get_weights())


def run(losses, start=None):
    x, y = data(32)
    model, rule = selective(), RandomSelection(Budget(params=120), batchnorm=False, seed=2)
    judge, best = Judge(ACCURACIES, losses), BestEpoch(rule, start=start)
    first = model.get_weights()
    model.fit(x, y, epochs=len(ACCURACIES), verbose=0, callbacks=[rule, judge, best])
    return model, rule, judge, best, first


@pytest.mark.parametrize("losses, epoch", [((1.0, 0.5, 0.4, 0.1), 2), ((1.0, 0.5, 0.5, 0.1), 1)])
def test_weights_and_plan_are_those_of_the_best_epoch(losses, epoch):
    model, rule, judge, best, _ = run(losses)
    assert best.improved and best.epoch == epoch and best.plan == rule.plans[epoch]
    assert len({plan.layers for plan in rule.plans}) == len(ACCURACIES)
    for have, want in zip(model.get_weights(), judge.weights[epoch], strict=True):
        np.testing.assert_array_equal(have, want)


def test_the_start_comes_back_where_no_epoch_is_better():
    start = {"val_accuracy": 0.9, "val_loss": 0.1}
    model, rule, _, best, first = run((1.0,) * 4, start)
    assert not best.improved and best.plan == rule.plans[1]
    for have, want in zip(model.get_weights(), first, strict=True):
        np.testing.assert_array_equal(have, want)


def test_nan_is_no_best_epoch():
    _, rule, _, best, _ = run((np.nan, np.nan, 0.4, np.nan))
    assert best.plan == rule.plans[2]


def test_without_validation_data_it_says_what_is_missing():
    x, y = data(16)
    rule = RandomSelection(Budget(params=120), batchnorm=False)
    with pytest.raises(TfodlError, match="no 'val_accuracy' in the logs.*validation_data"):
        selective().fit(x, y, verbose=0, callbacks=[rule, BestEpoch(rule)])


@pytest.mark.parametrize(
    "optimizer, loss, wanted",
    [
        (keras.optimizers.SGD(0.003, momentum=0.9), "sparse_categorical_crossentropy", (0.003, 0.9, 8)),
        (tfodl.QAS(keras.optimizers.SGD(0.02)), "mse", (0.02, 0.0, 8)),
    ],
)
def test_plans_carry_what_the_model_was_compiled_with(optimizer, loss, wanted):
    x, y = data(16)
    model = tfodl.SelectiveModel(small_net())
    model.compile(optimizer, loss)
    target = y if loss != "mse" else np.eye(4)[y]
    rule = tfodl.FixedSelection("head")
    model.fit(x, target, batch_size=8, verbose=0, callbacks=[rule])
    plan = rule.plans[0]
    assert plan.optimizer == Optimizer(*wanted)
    assert plan.loss == ("mse" if loss == "mse" else "crossentropy")


def test_what_has_no_form_on_the_device_is_said():
    x, y = data(16)
    model = compiled(selective(), keras.optimizers.Adam(0.001))
    with pytest.warns(UserWarning, match="SGD only.*Adam"):
        model.fit(x, y, verbose=0, callbacks=[tfodl.FixedSelection("head")])
    given = tfodl.FixedSelection("head", device=Optimizer(0.05))
    model.fit(x, y, verbose=0, callbacks=[given])
    assert given.plans[0].optimizer == Optimizer(0.05)
