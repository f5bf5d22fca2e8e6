"""Conversion: all int8, alone or in its own process; what is not int8 is named."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from int8_nets import L, digits, qat_net, qat_tflite, tflm, trained_net

import tfodl
from tfodl import TfodlError, convert
from tfodl.int8.graph import Int8Model


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


def bare_net():
    """Convolutions and a dense layer whose biases are all zeros, as drawn."""
    keras.utils.set_random_seed(4)
    layers = [L.Conv2D(4, 3, activation="relu"), L.DepthwiseConv2D(3, use_bias=False), L.ReLU(), L.Flatten()]
    return keras.Sequential([keras.Input((14, 14, 1)), *layers, L.Dense(3)])


def test_zero_biases_are_kept_and_learn():
    """The converter leaves them out; the device and `Int8Model` then had nothing to train."""
    x, y = digits(48)
    int8 = Int8Model(convert.to_int8(bare_net(), x))
    biases = [layer.bias for _, layer in int8.weighted()]
    assert len(biases) == 3 and not any(np.asarray(bias).any() for bias in biases)
    for op, _ in int8.weighted():
        source, weights, bias = (int8.graph.tensors[name].quant for name in op.inputs)
        assert bias.scale == pytest.approx(np.multiply(source.scale, weights.scale), rel=1e-6)
    np.testing.assert_array_equal(int8.infer(x), tflm(int8.to_tflite(), int8.quantize_inputs(x)))
    int8.compile(tfodl.QAS(keras.optimizers.SGD(0.02)))
    int8.fit(x, y % 3, epochs=1, batch_size=8, verbose=0)
    assert all(np.asarray(bias).any() for bias in biases)
    np.testing.assert_array_equal(int8.infer(x), tflm(int8.to_tflite(), int8.quantize_inputs(x)))


def test_a_complete_file_stays_as_it_is():
    assert convert.ready_to_train(qat_tflite()) == qat_tflite()
