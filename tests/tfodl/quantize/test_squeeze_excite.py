"""Squeeze and excite with hard swish or swish, as keras.applications writes them: folded, int8, with
gradients."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras.src.applications import mobilenet_v3

from tflm_export import LayerUpdate, UpdatePlan, compile_model
from tflm_export.machines.tflm import tflm_outputs
from tflm_export.report.verify import gradient_cosines
from tflm_export.simulate.step import Simulator
from tfodl.quantize import layer_map
from tfodl.quantize import model as quantization

SHAPE = (8, 8, 3)


def v3_block(x, i):
    """MobileNetV3's own inverted residual block."""
    return mobilenet_v3._inverted_res_block(x, 2, 8, 3, 1, 0.25, mobilenet_v3.hard_swish, i)


def efficient_block(x, i):
    """EfficientNet's squeeze and excite: swish, a sigmoid in a convolution, the mean reshaped."""
    y = x = L.Activation("swish", name=f"b{i}_act")(L.Conv2D(8, 1, name=f"b{i}_expand")(x))
    y = L.Reshape((1, 1, 8), name=f"b{i}_se_reshape")(L.GlobalAveragePooling2D(name=f"b{i}_se_squeeze")(y))
    y = L.Conv2D(2, 1, activation="swish", name=f"b{i}_se_reduce")(y)
    y = L.Conv2D(8, 1, activation="sigmoid", name=f"b{i}_se_expand")(y)
    return L.Conv2D(8, 1, name=f"b{i}_project")(L.Multiply(name=f"b{i}_excite")([x, y]))


BLOCKS = {
    "MobileNetV3": (v3_block, "expanded_conv_{}_squeeze_excite_conv_1", "expanded_conv_{}_project"),
    "EfficientNet": (efficient_block, "b{}_se_expand", "b{}_project"),
}


def net(block):
    """Two blocks of the same sizes, so that their constants are alike."""
    keras.utils.set_random_seed(2)
    image = keras.Input(SHAPE)
    x = L.Conv2D(8, 3, strides=2, name="stem")(L.Rescaling(1 / 127.5, -1)(image))
    for i in (1, 2):
        x = block(x, i)
    model = keras.Model(image, L.Dense(3, name="head")(L.GlobalAveragePooling2D()(x)))
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(weight + rng.normal(0, 0.2, weight.shape))
    return model


@pytest.mark.parametrize("name", BLOCKS)
def test_it_learns_in_int8(name):
    block, excite, project = BLOCKS[name]
    model = net(block)
    x = np.random.default_rng(1).uniform(0, 255, (32, *SHAPE)).astype(np.float32)
    tflite = quantization.ptq(model, x)
    learn = [part.format(i) for i in (1, 2) for part in (excite, project)]
    plan = UpdatePlan(tuple(LayerUpdate(layer, "out", (0, 1), "all") for layer in learn))
    compiled = compile_model(tflite, layer_map.address(plan, model, tflite))
    int8 = list(compiled.to_int8(x[:12] / 127.5 - 1)[:, None])
    simulator = Simulator(compiled.graph, compiled.plan)
    found = [simulator.infer(q) for q in int8]
    np.testing.assert_array_equal(found, tflm_outputs(compiled, int8))
    wanted = model.predict(x[:12], verbose=0)
    assert np.abs(compiled.to_real(np.array(found))[:, 0] - wanted).max() < 0.1 * np.abs(wanted).max()
    cosines = gradient_cosines(compiled, int8[:4], [0, 1, 2, 0])
    assert len(cosines) >= 2 * len(learn) and min(cosines.values()) > 0.999
