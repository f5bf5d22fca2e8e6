"""ImportanceRandom: its draws follow TensorFlow's gradients, keep the budget, and go on after a cut."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from selective_nets import data, selective

import tfodl
from tflm_export.plan import Budget
from tfodl.callbacks.gradients import weight_gradients
from tfodl.callbacks.importance import channel_norms
from tfodl.neurons.cost import plan_cost


def fit(model, callback, epochs=1, **options):
    x, y = data(32)
    model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=[callback], **options)


def test_channels_are_drawn_in_proportion_to_their_norms():
    """500 redraws of three channels, 1 : 4 : 0; what has no gradient comes after all others."""
    rule = tfodl.ImportanceRandom(Budget(params=10), data(8), seed=5)
    rule.norms = {"hidden": np.array([1.0, 4.0, 0.0])}
    drawn = np.array([rule.scores(epoch)["hidden"] for epoch in range(500)])
    assert (drawn.argmax(1) == 1).mean() == pytest.approx(0.8, abs=0.06)
    assert (drawn.argmin(1) == 2).all() and np.isfinite(drawn).all()


def test_norms_are_of_the_gradients_before_training_by_input_channel():
    model = selective()
    every = weight_gradients(model, model.groups, data(16), batch_size=32)
    rule = tfodl.ImportanceRandom(Budget(scheme_bytes=700), data(16), top=2, batchnorm=False)
    fit(model, rule, 3)
    assert list(rule.norms) == rule.layers and len({plan.layers for plan in rule.plans}) > 1
    groups = {group.layer: group for group in rule.pool}
    for name, norms in rule.norms.items():
        depthwise = groups[name].axis == "out"
        rows = every[name] if depthwise else np.moveaxis(every[name], -2, -1)
        wanted = np.sqrt((rows.astype(np.float64) ** 2).reshape(-1, len(norms)).sum(0))
        np.testing.assert_allclose(norms, wanted, rtol=1e-5)
    for plan in rule.plans:
        assert {entry.name for entry in plan.layers} <= set(rule.layers)
        assert plan_cost(plan, model.groups).scheme_bytes <= 700


def test_norms_follow_the_axis():
    gradient = np.arange(24.0).reshape(1, 1, 4, 6)
    narrow = next(g for g in tfodl.neuron_groups(selective(), "in") if g.kind == "conv")
    narrow = dataclasses.replace(narrow, weight_shape=gradient.shape, channels=4)
    assert np.allclose(channel_norms(gradient, narrow), np.linalg.norm(gradient[0, 0], axis=1))


def test_past_the_best_layers_the_next_follow_in_order():
    """Top 1 with a dead channel in it, whose score is very low: what follows still comes by what it earns."""
    rule = tfodl.ImportanceRandom(Budget(params=10), data(8), top=1)
    model = selective()
    fit(model, rule)
    scores = {rule.layers[0]: np.array([-0.5, -1e30])}
    below = rule._with_next(scores)
    levels = [float(np.max(below[name])) for name in rule.ranked[1:]]
    assert levels == sorted(levels, reverse=True) and len(set(levels)) == len(levels) > 1
    assert levels[0] < -1e30


def test_backup_and_restore_goes_on_with_the_same_plans(tmp_path):
    def run(epochs, *more):
        model, rule = selective(), tfodl.ImportanceRandom(150, data(16), seed=2)
        x, y = data(32)
        model.fit(x, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0, callbacks=[rule, *more])
        return rule

    wanted = run(4)
    backup = keras.callbacks.BackupAndRestore(str(tmp_path), delete_checkpoint=False)
    run(2, backup)
    resumed = run(4, backup)
    assert resumed.plans[-2:] == wanted.plans[-2:] and len({p.layers for p in wanted.plans}) > 1
    assert all(np.array_equal(resumed.norms[name], norms) for name, norms in wanted.norms.items())
