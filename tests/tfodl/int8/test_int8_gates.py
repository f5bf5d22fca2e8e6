"""Gates, concatenation, differences and pools: int8 forward exact, gradients TensorFlow's and the board's."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from int8_nets import digits, ptq_tflite, qat_net, qat_tflite, tflm, trained_net

import tfodl
from tflm_export.gradients.training_graph import training_graph
from tflm_export.simulate.reference import cosine
from tflm_export.simulate.step import Simulator
from tfodl import LayerUpdate, Optimizer, UpdatePlan
from tfodl.int8 import dequantized
from tfodl.int8.graph import Int8Model
from tfodl.quantize.layer_map import address, layer_map

KINDS = {"MUL", "LOGISTIC", "CONCATENATION", "SUB", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "CONV_2D"}
LAYERS = ["stem", "narrow", "wide", "squeeze", "excite", "detail", "last", "head"]


def accuracy(outputs, y):
    return float((outputs.argmax(axis=1) == y).mean())


def keras_gradients(model, x, y):
    """Real gradients of the mean loss by constant's name, in the file's layout."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    pairs = [(op, layer, v) for op, layer in model.weighted() for v in (layer.kernel, layer.bias)]
    with tf.GradientTape() as tape:
        value = loss(y, model(x))
    found = tape.gradient(value, [v.value for _, _, v in pairs])
    real = {}
    for (op, layer, variable), gradient in zip(pairs, found, strict=True):
        scaled = np.asarray(gradient / variable.quantum.scale)
        weights = variable is layer.kernel
        real[op.inputs[1 if weights else 2]] = layer.to_file(scaled) if weights else scaled
    return real


@pytest.mark.parametrize("tflite", [qat_tflite, ptq_tflite])
def test_forward_is_tflite_micro_bit_for_bit(tflite):
    x, y = digits(100)
    model = Int8Model(tflite(gated=True))
    assert {op.kind for op in model.graph.ops} >= KINDS
    found = model.infer(x)
    np.testing.assert_array_equal(found, tflm(tflite(gated=True), model.quantize_inputs(x)))
    floating = accuracy(trained_net(gated=True).predict(x, verbose=0), y)
    assert floating > 0.7
    assert accuracy(found.astype(int), y) > floating - 0.05


@pytest.mark.parametrize("tflite", [qat_tflite, ptq_tflite])
def test_every_layer_has_its_op(tflite):
    source = qat_net(gated=True) if tflite is qat_tflite else trained_net(gated=True)
    found = layer_map(source, tflite(gated=True))
    assert sorted(found) == sorted(LAYERS) and len(set(found.values())) == len(LAYERS)


def test_fake_quantisation_is_the_int8_graph_to_a_few_lsb():
    x, _ = digits(64)
    int8 = Int8Model(qat_tflite(gated=True))
    (scale,) = int8.graph.tensors[int8.graph.outputs[0]].quant.scale
    difference = np.abs(int8.predict(x, verbose=0) - qat_net(gated=True).predict(x)) / scale
    assert difference.mean() < 1.5


def test_concatenated_layers_are_rounded_once():
    """The branches take the concatenation's own range: no QUANTIZE between, but for the pool's."""
    graph = Int8Model(qat_tflite(gated=True)).graph
    assert [op.kind for op in graph.ops].count("QUANTIZE") <= 1


def sigmoid_sloped_by_its_output(op, graph, values):
    """A line with the slope p (1 - p) of the rounded output p, which is all that the device keeps."""
    x = values[op.inputs[0]]
    p = tf.stop_gradient(tf.minimum(tf.round(256 * tf.sigmoid(x)), 255) / 256)
    return p * (1 - p) * x


@pytest.mark.parametrize(("slope", "likeness"), [("rounded", 0.99999), ("exact", 0.94)])
def test_straight_through_gradients_are_tensorflows(slope, likeness, monkeypatch):
    if slope == "rounded":
        monkeypatch.setitem(dequantized._TWINS, "LOGISTIC", sigmoid_sloped_by_its_output)
    x, y = digits(8)
    y = (y + 1) % 10  # wrong ones: the small gradients of right ones drown in Keras's float32 loss
    model = Int8Model(ptq_tflite(gated=True))
    expected = dequantized.gradients(model.graph, model.quantize_inputs(x), y)
    found = keras_gradients(model, x, y)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert np.abs(value).max() > 0, name
        assert cosine(found[name], value) > likeness, name
        relative = np.linalg.norm(found[name]) / np.linalg.norm(value)
        assert abs(relative - 1) < (1e-3 if slope == "rounded" else 0.2), name


@pytest.mark.parametrize(("rounding", "qas"), [("stochastic", True), ("accumulator", False)])
def test_hundred_steps_make_the_boards_weights(rounding, qas):
    x, y = digits(100)
    y = (y + 1) % 10  # wrong ones: right ones hardly move the weights before the gate
    rate = 0.02 if qas else 1000.0
    model = Int8Model(qat_tflite(gated=True), gradients="device", rounding=rounding, seed=11)
    layers = tuple(
        LayerUpdate(group.layer, "out", tuple(range(0, group.channels, 2)), "selected")
        for group in model.groups
        if not group.head
    )
    plan = UpdatePlan(layers, optimizer=Optimizer(rate, rounding=rounding, qas=qas), seed=11)
    model.set_plan(plan)
    inner = keras.optimizers.SGD(rate)
    model.compile(tfodl.QAS(inner) if qas else inner)
    device_plan = address(plan, model, qat_tflite(gated=True))
    simulator = Simulator(training_graph(model.graph, device_plan), device_plan)
    first = {name: value.copy() for name, value in simulator.weights.items()}
    q = model.quantize_inputs(x)
    for i in range(100):
        simulator.train_step(q[i : i + 1], int(y[i]))
        model.train_on_batch(x[i : i + 1], y[i : i + 1])
    mine = model.constants()
    for name, value in simulator.weights.items():
        assert value.dtype != np.int8 or (value != first[name]).any(), name
        np.testing.assert_array_equal(mine[name], value, err_msg=name)


def test_it_learns_and_is_a_tflite_again():
    x, y = digits(128)
    model = Int8Model(ptq_tflite(gated=True))
    model.compile(tfodl.QAS(keras.optimizers.SGD(0.01)))
    history = model.fit(x, (y + 1) % 10, epochs=4, batch_size=16, shuffle=False, verbose=0).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    np.testing.assert_array_equal(model.infer(x), tflm(model.to_tflite(), model.quantize_inputs(x)))
