"""Fine-tuning in phases: rates, a fresh head, the device's optimizer, the best epoch; dry refusals."""

from __future__ import annotations

import dataclasses
import time

import keras
import numpy as np
import pytest
from selective_nets import CLASSES, compiled, data, selective, small_net

import tfodl
from tflm_export.errors import TfodlError
from tflm_export.plan import Budget, Optimizer
from tfodl.jobs import rates
from tfodl.jobs.dry_run import check_rule, dry_engine
from tfodl.jobs.rates import search_rate
from tfodl.jobs.settings import FinetuneJob
from tfodl.jobs.tune import Pictures, tune

JOB = FinetuneJob("m", "d", "o", epochs=2, batch_size=16)


def pictures():
    x, y = data(160)
    test = data(64, seed=1)
    return Pictures((x[:120], y[:120]), (x[120:], y[120:]), test)


def made(momentum=0.0):
    return compiled(tfodl.SelectiveModel(small_net()), keras.optimizers.SGD(0.01, momentum=momentum))


def rule_for(model, method, held_out):
    engine = dry_engine(model, held_out[0])
    options = {"batchnorm": False, "engine": engine}
    if method == "head":
        return tfodl.FixedSelection("head", **options)
    return tfodl.VelocitySelection(Budget(ram_bytes=40_000), validation_data=held_out[0][:10], **options)


def test_the_rate_is_the_best_of_the_trials_and_nothing_has_moved():
    data_, model = pictures(), made(momentum=0.5)
    model.set_plan(tfodl.UpdatePlan())
    start = model.get_weights()
    best = search_rate(model, *data_.train, data_.held_out, 16)
    for have, want in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(have, want)
    assert float(model.optimizer.learning_rate) == pytest.approx(best)
    losses = {}
    for rate in rates.RATES:  # the same trials by hand, each on a model of its own
        fresh = made(momentum=0.5)
        fresh.set_plan(tfodl.UpdatePlan())
        fresh.optimizer.learning_rate = rate
        fresh.fit(*data_.train, batch_size=16, shuffle=False, verbose=0)
        losses[rate] = fresh.evaluate(*data_.held_out, verbose=0)[0]
    assert losses[best] <= min(losses.values()) * 1.001


def test_a_rate_that_ends_in_nan_is_never_taken(monkeypatch):
    data_, model = pictures(), made()
    model.set_plan(tfodl.UpdatePlan())
    monkeypatch.setattr(rates, "RATES", (3e38, 0.001))
    assert search_rate(model, *data_.train, data_.held_out, 16) == 0.001
    monkeypatch.setattr(rates, "RATES", (3e38,))
    with pytest.raises(TfodlError, match="no learning rate.*finite loss"):
        search_rate(model, *data_.train, data_.held_out, 16)


def test_a_fresh_head_learns_first_and_the_plan_is_the_methods(capsys):
    data_, model = pictures(), made()
    tuned = tune(model, rule_for(model, "velocity", data_.held_out), data_, JOB)
    text = capsys.readouterr().out
    assert "head phase: the classifier alone, 2 epochs" in text and text.count("found by short trials") == 2
    assert f"accuracy {tuned.before:.1%} before training, {tuned.after:.1%} after" in text
    assert tuned.plan.layers and tuned.plan.provenance["method"] == "velocity"
    assert len(tuned.history["val_accuracy"]) == 4
    assert tuned.plan.optimizer.batch == 16 and tuned.plan.optimizer.learning_rate in rates.RATES


def test_a_head_that_knows_its_classes_has_no_phase_of_its_own(capsys):
    data_, base = pictures(), small_net()
    compiled(base, keras.optimizers.Adam(0.01)).fit(*data_.train, epochs=12, batch_size=16, verbose=0)
    model = compiled(tfodl.SelectiveModel(base))
    tuned = tune(model, rule_for(model, "velocity", data_.held_out), data_, JOB)
    assert "head phase" not in capsys.readouterr().out
    assert len(tuned.history["val_accuracy"]) == 2 and tuned.before > 0.5


def test_a_given_rate_and_the_devices_batch_are_in_the_plan(capsys):
    data_, model = pictures(), made()
    job = dataclasses.replace(JOB, learning_rate=0.004, momentum=0.5, device_batch=4, method="head", epochs=1)
    tuned = tune(model, rule_for(model, "head", data_.held_out), data_, job)
    assert tuned.plan.optimizer == Optimizer(0.001, 0.5, 4)
    assert "short trials" not in capsys.readouterr().out


def test_a_ruinous_rate_leaves_the_weights_as_they_were(capsys):
    data_, model = pictures(), made()
    tune(model, rule_for(model, "head", data_.held_out), data_, dataclasses.replace(JOB, method="head"))
    start = model.get_weights()
    capsys.readouterr()
    job = dataclasses.replace(JOB, learning_rate=1e4, head_epochs=0)
    tuned = tune(model, rule_for(model, "velocity", data_.held_out), data_, job)
    assert "no epoch was better" in capsys.readouterr().out and tuned.after == tuned.before
    for have, want in zip(model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(have, want)


def test_what_does_not_fit_is_refused_before_training():
    data_, model = pictures(), made()
    engine = dry_engine(model, data_.held_out[0])
    everything = tfodl.FixedSelection("all", batchnorm=False, engine=engine)
    plan = check_rule(model, everything, Budget(ram_bytes=10**6, flash_bytes=10**6))
    assert len(plan.layers) > 3
    budget = Budget(ram_bytes=engine.ram_bytes(plan) - 1)
    with pytest.raises(
        TfodlError, match=r"RAM [\d,]+ B, allowed [\d,]+\..*--method head.*--method top_layers"
    ):
        check_rule(model, everything, budget)


def test_a_layer_that_no_gradient_can_pass_is_refused_before_training():
    x = keras.Input((12, 12, 3))
    h = keras.layers.Conv2D(4, 3, name="early")(x)
    h = keras.layers.Softmax(name="attention")(h)
    h = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(6, 1, name="late")(h))
    model = compiled(tfodl.SelectiveModel(keras.Model(x, keras.layers.Dense(CLASSES)(h))))
    data_ = pictures()
    rule = rule_for(model, "velocity", data_.held_out)
    began = time.monotonic()
    with pytest.raises(TfodlError, match="SOFTMAX.*no gradient.*trainable = False"):
        check_rule(model, rule, rule.requested)
    assert time.monotonic() - began < 30


def test_selective_models_convert_as_their_base_does():
    model, (x, _) = selective(), data(8)
    tflite = tfodl.convert.to_int8(model, x)
    assert tfodl.quantize.layer_map.layer_map(model, tflite) == tfodl.quantize.layer_map.layer_map(
        model.base, tflite
    )
