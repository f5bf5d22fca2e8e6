"""Conversion: all int8, alone or in its own process; what is not int8 is named."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from int8_nets import L, digits, qat_net, qat_tflite, trained_net

from tfodl import TfodlError, convert


def test_own_process_gives_the_same_bytes():
    assert convert.to_int8(qat_net(), isolate=True) == qat_tflite()


def test_a_plain_model_needs_samples():
    with pytest.raises(TfodlError, match="representative"):
        convert.to_int8(trained_net())


def test_float_tensor_is_named():
    model = keras.Sequential([keras.Input((4,)), L.Dense(2)])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    with pytest.raises(TfodlError, match="float32"):
        convert.check_int8(converter.convert())


def test_not_a_tflite():
    with pytest.raises(TfodlError, match="not a .tflite"):
        convert.check_int8(b"no model at all")


def test_equal_constants_get_buffers_of_their_own():
    """Two all-zero biases share a buffer in what the converter writes, and must not in ours."""
    from tfodl.int8.graph import Int8Model

    model = keras.Sequential(
        [
            keras.Input((14, 14, 1)),
            L.Conv2D(4, 3),
            L.ReLU(),
            L.Conv2D(4, 3),
            L.ReLU(),
            L.Flatten(),
            L.Dense(3),
        ]
    )
    int8 = Int8Model(convert.to_int8(model, digits(16)[0]))
    names = [name for name, value in int8.constants().items() if value.dtype == np.int32]
    int8.load_constants({names[0]: np.full(4, 7, np.int32)})
    values = Int8Model(int8.to_tflite()).constants()
    assert values[names[0]].tolist() == [7] * 4
    assert not values[names[1]].any()
