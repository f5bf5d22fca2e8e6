"""`QAS` and `IntegerUpdate`: scaling, rounding rules, random numbers, state."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfodl
from tflm_export.ops.arithmetic import random_bits as board_bits
from tflm_export.ops.arithmetic import random_key
from tfodl import TfodlError
from tfodl.int8.linear import Quantum
from tfodl.int8.qas import IntegerUpdate, random_bits


def variable(values, scale=1.0, limit=127, tensor=4):
    values = np.asarray(values, np.float64)
    v = keras.Variable(values, dtype="float64")
    index = np.arange(values.size).reshape(values.shape)
    v.quantum = Quantum(np.broadcast_to(np.float64(scale), values.shape), tensor, index, limit)
    return v


def step(optimizer, v, gradient, times=1):
    for _ in range(times):
        optimizer.apply([tf.constant(gradient, tf.float64)], [v])
    return np.asarray(v)


def test_scaling_divides_by_the_square_of_an_lsb():
    v, plain = variable([10.0, 10.0], scale=[0.5, 0.1]), keras.Variable([1.0, 1.0])
    optimizer = tfodl.QAS(keras.optimizers.SGD(1.0))
    optimizer.apply([tf.constant([0.25, 0.01], tf.float64), tf.constant([0.5, 0.5])], [v, plain])
    np.testing.assert_allclose(np.asarray(v), [9.0, 9.0])
    np.testing.assert_allclose(np.asarray(plain), [0.5, 0.5])


@pytest.mark.parametrize(
    ("rounding", "gradient", "steps", "expected"),
    [
        ("nearest", 0.4, 10, 0.0),
        ("nearest", 0.6, 10, -10.0),
        ("truncate", 0.9, 10, 0.0),
        ("truncate", 1.9, 10, -10.0),
        ("truncate", -0.1, 10, 0.0),
        ("accumulator", 0.25, 8, -2.0),
    ],
)
def test_rounding_rules_by_hand(rounding, gradient, steps, expected):
    v = variable(np.zeros(3))
    optimizer = IntegerUpdate(keras.optimizers.SGD(1.0), rounding)
    assert step(optimizer, v, np.full(3, gradient), steps).tolist() == [expected] * 3


def test_truncation_shrinks_weights():
    """A tenth of an LSB inwards costs a whole one, outwards is lost: the drift of the 256 KB paper's code."""
    v = variable([50.0, -50.0, 50.0, -50.0])
    found = step(IntegerUpdate(keras.optimizers.SGD(1.0), "truncate"), v, [0.1, 0.1, -0.1, -0.1], 5)
    assert found.tolist() == [45.0, -50.0, 50.0, -45.0]


def test_stochastic_rounding_is_right_on_average():
    v = variable(np.zeros(20_000), limit=2**30)
    found = step(IntegerUpdate(keras.optimizers.SGD(1.0)), v, np.full(20_000, 0.3))
    assert set(found.tolist()) == {0.0, -1.0}
    assert abs(found.mean() + 0.3) < 0.015


def test_zero_gradient_moves_nothing():
    v = variable(np.arange(100.0) - 50)
    found = step(IntegerUpdate(keras.optimizers.SGD(1.0)), v, np.zeros(100), 5)
    np.testing.assert_array_equal(found, np.arange(100) - 50)


def test_weights_saturate():
    v = variable([120.0, -120.0])
    found = step(IntegerUpdate(keras.optimizers.SGD(1.0)), v, [-50.0, 50.0])
    assert found.tolist() == [127.0, -127.0]


@pytest.mark.parametrize(("seed", "number", "tensor"), [(0, 0, 0), (7, 3, 11), (2**32 - 1, 99_999, 240)])
def test_random_numbers_are_the_boards(seed, number, tensor):
    quantum = Quantum(np.ones(500), tensor, np.arange(500) * 7, 127)
    found = random_bits(seed, tf.constant(number, tf.int64), quantum)
    expected = board_bits(random_key(seed, number, tensor), np.arange(500) * 7)
    np.testing.assert_array_equal(np.asarray(found).astype(int), expected)


@pytest.mark.parametrize("make", [keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.RMSprop])
def test_wraps_any_optimizer_and_survives_serialisation(make):
    optimizer = IntegerUpdate(tfodl.QAS(make(0.5)), "accumulator", seed=3)
    optimizer.learning_rate = 0.25
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again.inner.inner) is make and again.rounding == "accumulator" and again.seed == 3
    assert float(again.learning_rate) == 0.25
    v = variable([5.0, 5.0])
    assert (step(again, v, [1.0, -1.0], 20) != 5.0).all()


def test_unknown_rounding_is_refused():
    with pytest.raises(TfodlError, match="stochastic"):
        IntegerUpdate(keras.optimizers.SGD(), "floor")
