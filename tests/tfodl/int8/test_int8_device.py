"""Batch 1 with the board's gradients: Keras makes the weights that the compiler's simulator makes."""

import keras
import numpy as np
import pytest
from int8_nets import digits, int8_model, qat_tflite

import tfodl
from tflm_export.front.read_tflite import read_tflite
from tflm_export.gradients.training_graph import training_graph
from tflm_export.ops.convolution.rates import rate_constants
from tflm_export.simulate.step import Simulator
from tfodl import LayerUpdate, Optimizer, TfodlError, UpdatePlan
from tfodl.int8.device_update import device_rates
from tfodl.quantize.layer_map import address


def plans(model, optimizer, seed, shallowest=0):
    """The plan in Keras and the board's: every second channel from layer `shallowest` up, and the head."""
    layers = tuple(
        LayerUpdate(group.layer, "out", tuple(range(0, group.channels, 2)), "selected")
        for group in model.groups[shallowest:]
        if not group.head
    )
    plan = UpdatePlan(layers, optimizer=optimizer, seed=seed)
    return plan, address(plan, model, qat_tflite())


def differences(model, simulator):
    mine = model.constants()
    return np.concatenate(
        [(mine[name].astype(int) - value).ravel() for name, value in simulator.weights.items()]
    )


@pytest.mark.parametrize(("rounding", "qas"), [("stochastic", True), ("accumulator", False)])
def test_hundred_steps_make_the_boards_weights(rounding, qas):
    x, y = digits(100)
    rate = 0.02 if qas else 30.0
    model = int8_model(gradients="device", rounding=rounding, seed=11)
    plan, device_plan = plans(model, Optimizer(rate, rounding=rounding, qas=qas), 11)
    model.set_plan(plan)
    inner = keras.optimizers.SGD(rate)
    model.compile(tfodl.QAS(inner) if qas else inner)
    simulator = Simulator(training_graph(read_tflite(qat_tflite()), device_plan), device_plan)
    first = {name: value.copy() for name, value in simulator.weights.items()}
    q = model.quantize_inputs(x)
    for i in range(100):
        simulator.train_step(q[i : i + 1], int(y[i]))
        model.train_on_batch(x[i : i + 1], y[i : i + 1])
    changed = np.concatenate([(simulator.weights[n] != first[n]).ravel() for n in first])
    assert changed.mean() > 0.02
    assert np.abs(differences(model, simulator)).max() == 0


@pytest.mark.parametrize("qas", [True, False])
def test_rates_are_the_boards(qas):
    model = int8_model(gradients="device")
    plan = plans(model, Optimizer(qas=qas), 0)[1]
    graph = training_graph(read_tflite(qat_tflite()), plan)
    rates = device_rates(model.graph, model.weighted(), qas)
    layers = {op.name: layer for op, layer in model.weighted()}
    updates = [op for op in graph.ops if op.role == "update"]
    assert len(updates) == 2 * len(layers)
    for op in updates:
        variable = layers[op.of].bias if op.kind == "BIAS_UPDATE" else layers[op.of].kernel
        found = rates[variable.path].steps
        assert found.dtype == np.float32
        expected = rate_constants(op, graph.layers[op.of], graph, qas)
        np.testing.assert_array_equal(found.reshape(-1), expected, err_msg=op.name)


def test_fit_is_the_same_as_steps():
    x, y = digits(20)
    model = int8_model(gradients="device", seed=5)
    plan, device_plan = plans(model, Optimizer(0.02), 5, shallowest=2)
    model.set_plan(plan)
    model.compile(tfodl.QAS(keras.optimizers.SGD(0.02)))
    model.fit(x, y, batch_size=1, epochs=1, shuffle=False, verbose=0)
    simulator = Simulator(training_graph(read_tflite(qat_tflite()), device_plan), device_plan)
    for sample, label in zip(model.quantize_inputs(x), y, strict=True):
        simulator.train_step(sample[None], int(label))
    assert np.abs(differences(model, simulator)).max() == 0


def test_another_seed_makes_other_weights():
    x, y = digits(10)
    constants = []
    for seed in (1, 2):
        model = int8_model(gradients="device", seed=seed)
        model.compile(tfodl.QAS(keras.optimizers.SGD(0.02)))
        model.fit(x, y, batch_size=1, shuffle=False, verbose=0)
        constants.append(model.constants())
    assert any((constants[0][name] != constants[1][name]).any() for name in constants[0])


def test_larger_batches_are_refused():
    x, y = digits(8)
    model = int8_model(gradients="device")
    model.compile()
    with pytest.raises(TfodlError, match="batch_size=1, got 4"):
        model.fit(x, y, batch_size=4, verbose=0)
    with pytest.raises(TfodlError, match="batch_size=1, got 8"):
        model.train_on_batch(x, y)


def test_unknown_gradients_are_refused():
    with pytest.raises(TfodlError, match="'real' or 'device'"):
        int8_model(gradients="exact")


def test_real_gradients_are_those_of_the_device_to_its_rounding():
    """One sample: float gradients and the simulator's, tensor by tensor."""
    import tensorflow as tf

    x, y = digits(4)
    model = int8_model()
    plan, device_plan = plans(model, Optimizer(), 0)
    simulator = Simulator(training_graph(read_tflite(qat_tflite()), device_plan), device_plan)
    board = simulator.gradients(model.quantize_inputs(x[:1]), int(y[0]))
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y[:1], model(x[:1]))
    variables = [layer.kernel for _, layer in model.weighted()]
    found = tape.gradient(loss, [v.value for v in variables])
    for (op, layer), gradient in zip(model.weighted(), found, strict=True):
        real = layer.to_file(np.asarray(gradient / layer.kernel.quantum.scale))
        trained = next(u for u in simulator.graph.ops if u.role == "update" and u.inputs[-1] == op.inputs[1])
        axis = -1 if op.kind == "DEPTHWISE_CONV_2D" else 0
        part = np.take(real, trained.attrs["channels"], axis=axis).reshape(board[op.inputs[1]].shape)
        error = np.linalg.norm(part - board[op.inputs[1]]) / max(np.linalg.norm(part), 1e-12)
        assert error < 0.02, op.name
