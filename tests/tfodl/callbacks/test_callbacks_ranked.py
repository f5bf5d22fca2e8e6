"""Fisher and TopLayersRandom: their measures against plain TensorFlow, their plans as defined."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from selective_nets import data, selective

import tfodl
from tflm_export.errors import TfodlError
from tflm_export.plan import Budget
from tfodl.callbacks.gradients import fisher, weight_gradients
from tfodl.neurons.cost import plan_cost


@pytest.fixture(scope="module")
def model():
    return selective()


def fit(model, callback, epochs=3):
    model.run_eagerly = True  # a plan an epoch: a traced step would be taken twice
    x, y = data(32)
    return model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=[callback]).history


@pytest.mark.parametrize("axis", ["out", "in"])
def test_fisher_of_a_layer_sample_by_sample(model, axis):
    """`hidden` with its neighbours taken apart by hand, one sample at a time."""
    x, y = data(7)
    groups = [group for group in tfodl.neuron_groups(model, axis) if group.layer == "hidden"]
    hidden, head = model.base.get_layer("hidden"), model.base.get_layer("head")
    features = keras.Model(model.base.input, hidden.input)
    total = 0.0
    for sample, label in zip(x, y, strict=True):
        inputs = tf.convert_to_tensor(features(sample[None], training=False))
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = tf.matmul(inputs, hidden.kernel.value) + hidden.bias.value
            loss = model.compute_loss(sample[None], np.array([label]), head(tf.nn.relu(outputs)))
        chosen = outputs if axis == "out" else inputs
        total = total + np.square(chosen.numpy()[0] * tape.gradient(loss, chosen).numpy()[0])
    got = fisher(model, groups, (x, y), batch_size=3)["hidden"]
    np.testing.assert_allclose(got, total / (2 * 7), rtol=1e-4, atol=1e-9)


def test_gradients_are_those_of_the_mean_loss(model):
    x, y = data(10)
    got = weight_gradients(model, model.groups, (x, y), batch_size=4)
    kernels = {site.name: site.weight.value for site in model.sites}
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model.base(x, training=False))
    for name, gradient in tape.gradient(loss, kernels).items():
        np.testing.assert_allclose(got[name], gradient, rtol=1e-4, atol=1e-7, err_msg=name)


def test_fisher_selects_once_by_information_per_cost():
    model = selective()
    callback = tfodl.Fisher(Budget(params=150), data(16), rule="fill")
    fit(model, callback)
    assert callback.plans[0].layers == callback.plans[2].layers
    assert 0 < plan_cost(callback.plans[0], model.groups).params <= 150
    again = tfodl.Fisher(Budget(params=150), data(16), every=1)
    fit(selective(), again)
    assert len({plan.layers for plan in again.plans}) > 1


def test_top_layers_random_redraws_input_channels_in_the_best_layers():
    model = selective()
    callback = tfodl.TopLayersRandom(Budget(scheme_bytes=700), data(16), top=2, batchnorm=False, rule="fill")
    fit(model, callback, 4)
    best = sorted(callback.earnings, key=callback.earnings.get)[-2:]
    assert set(callback.layers) == set(best)
    for plan in callback.plans:
        assert {entry.name for entry in plan.layers} <= set(best)
        assert plan_cost(plan, model.groups).scheme_bytes <= 700
    assert len({plan.layers for plan in callback.plans}) > 1
    axes = {entry.axis for plan in callback.plans for entry in plan.layers if entry.name != "depthwise"}
    assert axes <= {"in", "out"}


def test_top_as_a_share_takes_as_many_layers_as_it_needs():
    model = selective()
    callback = tfodl.TopLayersRandom(0.5, data(16), top=0.6)
    fit(model, callback, 1)
    falling = sorted(callback.earnings.values(), reverse=True)
    count = len(callback.layers)
    assert sum(falling[:count]) >= 0.6 * sum(falling) > sum(falling[: count - 1])
    everything = tfodl.TopLayersRandom(0.5, data(16), top=1.0)
    fit(selective(), everything, 1)
    assert len(everything.layers) == len(everything.earnings)


def test_a_budget_for_more_than_the_best_layers_goes_on_to_the_next():
    """Top 1 of five layers: within it channels are drawn; past it layers follow by what they earn; a budget
    for all trains all, with biases."""
    model = selective()
    every = sum(group.weights + group.channels_out * group.bias for group in model.groups if group.selectable)
    plans = {}
    for budget in (every // 2, every):
        callback = tfodl.TopLayersRandom(budget, data(16), top=1, batchnorm=False, rule="fill")
        fit(model, callback, 1)
        plans[budget] = callback.plans[0]
        assert plan_cost(plans[budget], model.groups).params <= budget
    half, best = plans[every // 2], callback.ranked
    whole = {entry.name for entry in half.layers if len(entry.channels) == channels_of(model, entry)}
    assert best[0] in whole and {entry.name for entry in half.layers} > {best[0]}
    assert plan_cost(plans[every], model.groups).params == every
    assert {entry.axis for entry in plans[every].layers} == {"out"}
    strict = tfodl.TopLayersRandom(every, data(16), top=1, beyond=False, batchnorm=False)
    fit(model, strict, 1)
    assert [entry.name for entry in strict.plans[0].layers] == strict.layers


def channels_of(model, entry):
    """Of the entry's layer, along its axis."""
    return {g.layer: g.channels for g in tfodl.neuron_groups(model, entry.axis)}[entry.name]


@pytest.mark.parametrize(
    "callback, text",
    [
        (lambda: tfodl.Fisher(100, data(8)[0]), "labelled samples"),
        (lambda: tfodl.Fisher(100), "give validation_data="),
        (lambda: tfodl.TopLayersRandom(100, [data(8)[0]]), "labelled samples"),
        (lambda: tfodl.TopLayersRandom(100, data(8), top=0), "top must be"),
    ],
)
def test_bad_requests(callback, text):
    with pytest.raises(TfodlError, match=text):
        fit(selective(), callback(), 1)
