"""Layers of one dimension: the twin does what Keras's own layers do, trains for them, and reaches int8."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfodl
from tflm_export import TfodlError, UpdatePlan, compile_model
from tflm_export.machines.tflm import tflm_outputs
from tflm_export.simulate.step import Simulator
from tfodl.neurons.groups import neuron_groups
from tfodl.quantize import model as quantization
from tfodl.quantize.folding.fold import fold
from tfodl.quantize.folding.widen import widen

SHAPE = (24, 3)
STAGES = {  # layers between a sequence [24, 4] and the head
    "valid": lambda x: L.Conv1D(5, 3)(x),
    "same, stride": lambda x: L.Conv1D(5, 4, strides=3, padding="same", activation="relu")(x),
    "causal, dilated": lambda x: L.Conv1D(5, 3, padding="causal", dilation_rate=2)(x),
    "norm of axis 2": lambda x: L.ReLU()(L.BatchNormalization(axis=2)(L.Conv1D(4, 3, use_bias=False)(x))),
    "depthwise": lambda x: L.DepthwiseConv1D(3, strides=2, padding="same")(x),
    "separable": lambda x: L.SeparableConv1D(5, 3, strides=2)(x),
    "pools": lambda x: L.AveragePooling1D(3, 2, padding="same")(L.MaxPooling1D(2)(x)),
    "zeros": lambda x: L.Conv1D(5, 3)(L.ZeroPadding1D((2, 1))(x)),
    "dense a step": lambda x: L.Dense(5, activation="relu")(x),
    "residual": lambda x: L.Add()([x, L.Conv1D(4, 3, padding="same")(x)]),
    "joined": lambda x: L.Concatenate(axis=2)([x, L.Conv1D(3, 1)(x)]),
    "nested": lambda x: keras.Sequential([keras.Input((24, 4)), L.Conv1D(5, 3), L.SpatialDropout1D(0.1)])(x),
}
ENDS = {
    "mean": lambda x: L.GlobalAveragePooling1D()(x),
    "most": lambda x: L.GlobalMaxPooling1D()(x),
    "flat": lambda x: L.Flatten()(x),
}


def net(stage, end="mean"):
    """A net whose every weight is drawn, with batch norms that do something."""
    keras.utils.set_random_seed(3)
    x = sequence = keras.Input(SHAPE)
    x = L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 9.0, 1.0])(x)
    x = ENDS[end](stage(L.Conv1D(4, 3, padding="same", activation="relu", name="stem")(x)))
    model = keras.Model(sequence, L.Dense(3, name="head")(x))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "normalization/" not in weight.path:
            weight.assign(weight + rng.uniform(0, 0.3, weight.shape))
    return model


def inputs(count, seed=1):
    return (np.random.default_rng(seed).normal(0, 2, (count, *SHAPE)) + [1, 2, 3]).astype(np.float32)


@pytest.mark.parametrize(
    "kind, end", [*((kind, "mean") for kind in STAGES), *(("valid", end) for end in ENDS)]
)
def test_the_twin_is_the_model(kind, end):
    model = net(STAGES[kind], end)
    twin = widen(model).model
    np.testing.assert_allclose(twin(inputs(4)), model(inputs(4)), rtol=1e-5, atol=1e-5)
    named = {layer.name for layer in model._flatten_layers() if layer.weights}
    assert named <= {layer.name for layer in twin._flatten_layers()}
    assert len(neuron_groups(twin)) >= 2  # every convolution may train


def test_what_the_twin_learns_goes_back():
    model = net(STAGES["norm of axis 2"])
    wide = widen(model)
    before = np.array(model(inputs(4)))
    for weight in wide.model.trainable_weights:
        weight.assign(weight * 1.5)
    np.testing.assert_array_equal(model(inputs(4)), before)
    wide.give_back()
    after = np.array(model(inputs(4)))
    np.testing.assert_allclose(after, wide.model(inputs(4)), rtol=1e-5, atol=1e-5)
    assert not np.allclose(after, before)


def test_an_adapted_normalization_is_kept():
    scale = L.Normalization()
    scale.adapt(inputs(50))
    model = keras.Sequential([keras.Input(SHAPE), scale, L.Conv1D(4, 3), L.Flatten(), L.Dense(2)])
    np.testing.assert_allclose(widen(model).model(inputs(4)), model(inputs(4)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fold(model).rescaling.scale, 1 / inputs(50).std((0, 1)), rtol=1e-4)


def test_a_model_of_maps_is_left_alone():
    model = keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(2, 3), L.Flatten(), L.Dense(2)])
    assert widen(model).model is model


def test_a_layer_without_a_twin_is_named():
    model = keras.Sequential(
        [keras.Input(SHAPE), L.Conv1D(4, 3), L.UpSampling1D(2, name="up"), L.GlobalAveragePooling1D()]
    )
    with pytest.raises(TfodlError, match=r"UpSampling1D 'up': .*no form on the device; allowed: Conv1D"):
        widen(model)


@pytest.mark.parametrize("kind", ["norm of axis 2", "separable", "residual"])
def test_in_int8_it_is_close_to_keras_and_equal_to_tflm(kind):
    model, x = net(STAGES[kind]), inputs(64)
    compiled = compile_model(quantization.ptq(model, x), UpdatePlan())
    assert compiled.input.shape == (1, *SHAPE)
    rescaled = ((x[:16] - [1, 2, 3]) / [2, 3, 1]).astype(np.float32)
    int8 = list(compiled.to_int8(rescaled)[:, None])
    simulator = Simulator(compiled.graph, compiled.plan)
    found = [simulator.infer(q) for q in int8]
    np.testing.assert_array_equal(found, tflm_outputs(compiled, int8))
    int8_model = tfodl.Int8Model(compiled.tflite)
    np.testing.assert_allclose(
        int8_model.predict(rescaled, verbose=0), compiled.to_real(np.array(found))[:, 0], rtol=1e-5
    )
    wanted = model.predict(x[:16], verbose=0)
    assert np.abs(compiled.to_real(np.array(found))[:, 0] - wanted).max() < 0.06 * np.abs(wanted).max()
