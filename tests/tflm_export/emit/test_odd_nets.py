"""Convolutional nets of odd shapes, as Keras users write them: engine = numpy = TFLite Micro, mixed plans."""

import keras
import numpy as np
import pytest
from keras import layers
from keras_nets import quantized

from tflm_export.compiler import compile_model
from tflm_export.front.read_tflite import read_tflite
from tflm_export.ops import OPS
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import verify


def strides_without_padding(x):
    x = layers.Conv2D(7, 3, strides=(3, 2), activation="relu")(x)
    x = layers.Conv2D(5, (2, 3), strides=(1, 2))(x)
    x = layers.DepthwiseConv2D(2, strides=2, activation="relu6")(x)
    return layers.Dense(4, activation="softmax")(layers.Flatten()(x))


def long_rows(x):
    x = layers.Conv1D(5, 5, strides=2, padding="same", activation="relu")(x)
    x = layers.MaxPooling1D(2)(x)
    x = layers.DepthwiseConv1D(3, padding="same")(x)
    x = layers.Conv1D(7, 1, activation="relu")(x)
    return layers.Dense(3)(layers.GlobalMaxPooling1D()(x))


def down_to_one_pixel(x):
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(3, 3, strides=2, padding="same")(x)))
    x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, strides=2, padding="same")(x)))
    x = layers.Conv2D(5, 2)(x)
    x = layers.Conv2D(9, 1, activation="relu")(x)
    return layers.Flatten()(layers.Conv2D(3, 1)(x))


def two_branches(x):
    x = layers.Conv2D(6, 1, activation="relu")(x)
    a = layers.Conv2D(5, (1, 7), padding="same", activation="relu")(x)
    b = layers.Conv2D(3, (7, 1), padding="same")(layers.AveragePooling2D(3, 1, padding="same")(x))
    x = layers.Concatenate()([a, b, x])
    x = layers.MaxPooling2D((2, 3), padding="same")(x)
    return layers.Dense(5)(layers.GlobalAveragePooling2D()(x))


def residual_with_projection(x):
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = layers.Conv2D(7, 3, strides=2, padding="same", activation="relu")(x)
    y = layers.BatchNormalization()(layers.Conv2D(7, 3, padding="same")(y))
    x = layers.ReLU()(layers.Add()([layers.Conv2D(7, 1, strides=2, padding="same")(x), y]))
    y = layers.DepthwiseConv2D((3, 5), padding="same")(x)
    x = layers.ReLU(6.0)(layers.Add()([y, x]))
    return layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling2D()(x))


def large_kernels(x):
    x = layers.ZeroPadding2D((3, 2))(x)
    x = layers.Conv2D(5, 7, strides=2, activation="relu")(x)
    x = layers.DepthwiseConv2D(5, padding="same", depth_multiplier=2, activation="relu")(x)
    x = layers.AveragePooling2D(4, 3, padding="same")(x)
    return layers.Dense(2)(layers.Flatten()(x))


def dense_stack(x):
    for units in (17, 1, 31, 6):
        x = layers.Dense(units, activation="relu" if units > 1 else None)(x)
    return layers.Dense(3, activation="softmax")(x)


def squeezed(x):
    x = layers.Conv2D(11, 3, strides=2, use_bias=False)(x)
    x = layers.Activation("hard_swish")(layers.BatchNormalization()(x))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(11, 1, activation="sigmoid")(layers.Conv2D(3, 1, activation="relu6")(gate))
    x = layers.LeakyReLU()(layers.Conv2D(5, 1)(layers.Multiply()([x, gate])))
    x = layers.Conv2D(3, 3, padding="same", activation="tanh")(x)
    return layers.Dense(4)(layers.Flatten()(layers.Subtract()([x, layers.AveragePooling2D(3, 1, "same")(x)])))


NETS = {
    strides_without_padding: (23, 14, 3),
    long_rows: (37, 3),
    down_to_one_pixel: (7, 6, 5),
    two_branches: (9, 11, 1),
    residual_with_projection: (9, 7, 3),
    large_kernels: (15, 12, 2),
    dense_stack: (13,),
    squeezed: (11, 13, 3),
}


def converted(net, shape) -> bytes:
    keras.utils.set_random_seed(5)
    inputs = keras.Input(shape)
    model = keras.Model(inputs, net(inputs))
    rng = np.random.default_rng(5)
    for weight in model.weights:
        positive = "variance" in weight.path or "bias" in weight.path  # no layer is silent
        weight.assign(rng.uniform(0.3, 1, weight.shape) if positive else rng.normal(0, 0.4, weight.shape))
    return quantized(model, rng.normal(0, 1, (16, *shape)).astype(np.float32))


def mixed_plan(data: bytes) -> UpdatePlan:
    """In turn some output channels with their biases, some input channels, biases alone; the head whole."""
    graph = read_tflite(data)
    rows = []
    for i, op in enumerate(op for op in graph.ops if OPS[op.kind].axes):
        biased = len(op.inputs) > 2 and bool(op.inputs[2])
        sizes = {axis: graph.tensors[op.inputs[1]].shape[n] for axis, n in OPS[op.kind].axes.items()}
        kind = i % 3 if biased else i % 2
        some = {axis: tuple(range(0, size, 2)) for axis, size in sizes.items()}
        rows += [
            [LayerUpdate(op.name, "out", some["out"], "selected" if biased else "none")],
            [LayerUpdate(op.name, "in", some["in"], "all" if biased else "none")],
            [LayerUpdate(op.name, "out", (), "all")],
        ][kind]
    return UpdatePlan(tuple(rows), head=True, optimizer=Optimizer(0.01), seed=9)


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
def test_odd_net(net, tmp_path):
    data = converted(net, NETS[net])
    for plan in (mixed_plan(data), UpdatePlan(head=False)):
        compiled = compile_model(data, plan)
        result = verify(compiled.save(tmp_path / "engine"), count=24, steps=12)
        assert result.ok and result.tflm_mismatches == 0, result.summary()
        assert compiled.memory.arena <= 1.03 * compiled.memory.lower_bound
