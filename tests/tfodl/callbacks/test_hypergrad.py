"""Hypergradients against finite differences of the loss, through a real network."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tflm_export.errors import TfodlError
from tfodl.callbacks.hypergrad import HyperSGD

STEPS = 3
HYPER = {"learning_rate": 0.1, "momentum": 0.8, "eps": 0.5}


def problem():
    """Two weight matrices, a smooth loss, speeds on both sides of eps for the first."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(5, 4)), rng.normal(size=(4, 3))]
    x, y = rng.normal(size=(8, 5)), rng.integers(0, 3, 8)
    speeds = np.array([0.1, 0.9, 0.49, 0.7])
    return weights, x, y, speeds


def loss_of(weights, x, y):
    hidden = tf.tanh(tf.matmul(tf.constant(x), weights[0]))
    logits = tf.matmul(hidden, weights[1])
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))


def by_hand(last: dict[str, float]) -> float:
    """The loss after `STEPS` float64 steps; the last one is taken with the values in `last`.

    The threshold's step function is replaced by the line that the straight-through estimate takes it for:
    the mask at the true eps, minus how far eps is moved.
    """
    weights, x, y, speeds = problem()
    buffers = [np.zeros_like(w) for w in weights]
    gradients = None
    for step in range(STEPS):
        values = last if step == STEPS - 1 else HYPER
        parts = [tf.constant(w) for w in weights]
        with tf.GradientTape() as tape:
            tape.watch(parts)
            loss = loss_of(parts, x, y)
        gradients = [g.numpy() for g in tape.gradient(loss, parts)]
        buffers = [values["momentum"] * b + g for b, g in zip(buffers, gradients, strict=True)]
        mask = (speeds >= HYPER["eps"]).astype(float) - (values["eps"] - HYPER["eps"])
        masks = [mask, 1.0]
        weights = [
            w - values["learning_rate"] * b * m for w, b, m in zip(weights, buffers, masks, strict=True)
        ]
    return float(loss_of([tf.constant(w) for w in weights], x, y))


def run_optimizer(learn, **options):
    weights, x, y, speeds = problem()
    variables = [keras.Variable(w.astype(np.float32), name=f"w{i}") for i, w in enumerate(weights)]
    optimizer = HyperSGD(**HYPER, learn=learn, **options)
    optimizer.build(variables)
    optimizer.set_speeds([(variables[0], speeds)])
    seen = {}
    original = optimizer.hypergradients
    optimizer.hypergradients = lambda *step: seen.update(original(*step)) or original(*step)
    for _ in range(STEPS + 1):
        with tf.GradientTape() as tape:
            parts = [v.value for v in variables]
            hidden = tf.tanh(tf.matmul(tf.constant(x, tf.float32), parts[0]))
            logits = tf.matmul(hidden, parts[1])
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
        optimizer.apply(tape.gradient(loss, parts), variables)
    return optimizer, variables, {name: float(value) for name, value in seen.items()}


@pytest.mark.parametrize("name", HYPER)
def test_hypergradient_is_the_slope_of_the_loss(name):
    _, _, got = run_optimizer(learn=())
    step = 1e-4
    high, low = (by_hand({**HYPER, name: HYPER[name] + d}) for d in (step, -step))
    slope = (high - low) / (2 * step)
    assert abs(slope) > 1e-4
    assert got[name] == pytest.approx(slope, rel=2e-3)


def test_weights_under_the_threshold_stay_bit_identical_and_others_follow_momentum_sgd():
    weights, x, y, speeds = problem()
    _, variables, _ = run_optimizer(learn=())
    start = weights[0].astype(np.float32)
    frozen = speeds < HYPER["eps"]
    assert np.array_equal(variables[0].numpy()[:, frozen], start[:, frozen])
    assert (variables[0].numpy()[:, ~frozen] != start[:, ~frozen]).any()


def test_without_threshold_it_is_keras_sgd():
    weights, x, y, _ = problem()
    runs = []
    for optimizer in (HyperSGD(0.1, 0.8, learn=()), keras.optimizers.SGD(0.1, momentum=0.8)):
        variables = [keras.Variable(w.astype(np.float32)) for w in weights]
        for _ in range(5):
            with tf.GradientTape() as tape:
                parts = [v.value for v in variables]
                hidden = tf.tanh(tf.matmul(tf.constant(x, tf.float32), parts[0]))
                logits = tf.matmul(hidden, parts[1])
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
            optimizer.apply(tape.gradient(loss, parts), variables)
        runs.append([v.numpy() for v in variables])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_learned_values_move_against_their_gradient_and_stay_in_bounds():
    optimizer, _, got = run_optimizer(tuple(HYPER), hyper_learning_rate=1e-3)
    moved = {name: optimizer.hyper(name) - start for name, start in HYPER.items()}
    assert all(moved.values())
    fixed, _, _ = run_optimizer(("learning_rate",), hyper_learning_rate=1e-3)
    assert fixed.hyper("eps") == HYPER["eps"] and fixed.hyper("momentum") == pytest.approx(0.8)
    wild, _, _ = run_optimizer(tuple(HYPER), hyper_learning_rate=1e6)
    assert (
        0 <= wild.hyper("momentum") <= 0.9991 and wild.hyper("learning_rate") >= 0 and wild.hyper("eps") >= 0
    )


def test_learning_rate_set_from_outside_is_the_one_that_is_used():
    """As `LearningRateScheduler` sets it."""
    optimizer, variables, _ = run_optimizer(learn=())
    optimizer.learning_rate = 0.0
    before = [v.numpy() for v in variables]
    optimizer.apply([tf.ones(v.shape) for v in variables], variables)
    assert optimizer.hyper("learning_rate") == 0.0
    assert all(np.array_equal(v.numpy(), old) for v, old in zip(variables, before, strict=True))


def test_config_round_trip_and_bad_names():
    optimizer = HyperSGD(0.2, 0.5, 0.01, learn=("eps", "momentum"))
    again = HyperSGD.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    with pytest.raises(TfodlError, match="allowed"):
        HyperSGD(learn=("speed",))
    with pytest.raises(TfodlError, match="learning_rate must be a number"):
        HyperSGD(keras.optimizers.schedules.CosineDecay(0.1, 5))
