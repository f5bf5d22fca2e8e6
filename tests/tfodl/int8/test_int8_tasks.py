"""`Int8Model` of other tasks than choosing a class: its losses, and the board's weights."""

import keras
import numpy as np
import pytest
from task_nets import dense_net

import tfodl
from tflm_export.front.read_tflite import read_tflite
from tflm_export.gradients.training_graph import training_graph
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.simulate.step import Simulator
from tfodl import Int8Model, TfodlError

TASKS = {
    "labels": (dense_net(6, 8, 3, end="LOGISTIC"), "bce"),
    "numbers": (dense_net(6, 8, 2), "mse"),
    "autoencoder": (dense_net(12, 8, 12, out_scale=0.07), "reconstruction"),
    "autoencoder of a wide input": (dense_net(12, 8, 12, out_scale=0.02), "reconstruction"),
}


def data(model, loss, count):
    """Real inputs on the int8 grid, targets as Keras and as the board take them."""
    rng = np.random.default_rng(3)
    quant = model.graph.tensors["x"].quant
    x = quant.dequantize(rng.integers(-128, 128, (count, *model.base.input_shape[1:]), np.int8)).astype(
        np.float32
    )
    shape = (count, model.classes)
    if loss == "reconstruction":
        return x, None, [None] * count
    q = rng.integers(0, 2, shape, np.int8) if loss == "bce" else rng.integers(-128, 128, shape, np.int8)
    real = q if loss == "bce" else model.graph.tensors["y1"].quant.dequantize(q)
    return x, real.astype(np.float32), list(q)


@pytest.mark.parametrize("task", TASKS)
def test_steps_make_the_boards_weights(task):
    net, loss = TASKS[task]
    whole = (LayerUpdate("op_0", "out", tuple(range(8)), "all"),)
    plan = UpdatePlan(whole, loss=loss, optimizer=Optimizer(0.05), seed=7)
    model = Int8Model(net, plan, gradients="device", seed=7)
    model.compile(tfodl.QAS(keras.optimizers.SGD(0.05)))
    board = UpdatePlan(
        (LayerUpdate("#0", "out", tuple(range(8)), "all"),), loss=loss, optimizer=plan.optimizer, seed=7
    )
    simulator = Simulator(training_graph(read_tflite(net), board), board)
    first = {name: value.copy() for name, value in simulator.weights.items()}
    x, real, targets = data(model, loss, 24)
    losses = [
        simulator.train_step(q[None], t) for q, t in zip(model.quantize_inputs(x), targets, strict=True)
    ]
    before = model.evaluate(x[:1], None if real is None else real[:1], verbose=0, return_dict=True)["loss"]
    assert before == pytest.approx(losses[0], rel=1e-3)
    model.fit(x, real, batch_size=1, epochs=1, shuffle=False, verbose=0)
    constants = model.constants()
    assert any((simulator.weights[name] != value).any() for name, value in first.items())
    for name, value in simulator.weights.items():
        np.testing.assert_array_equal(constants[name], value)


@pytest.mark.parametrize("task", ["labels", "autoencoder"])
def test_batches_learn_by_what_the_model_s_end_speaks_for(task):
    net, loss = TASKS[task]
    model = Int8Model(net)
    assert model.task_loss == loss
    model.compile(tfodl.QAS(keras.optimizers.SGD(0.3)))
    x, _, _ = data(model, loss, 64)
    y = {"bce": (x[:, :1] > x[:, 1:2]) * np.ones(model.classes), "mse": x[:, :2] / 4}.get(loss)
    logs = model.fit(
        x, None if y is None else y.astype(np.float32), epochs=12, batch_size=8, verbose=0
    ).history
    assert logs["loss"][-1] < 0.8 * logs["loss"][0]


def test_it_is_saved_with_its_loss(tmp_path):
    model = Int8Model(TASKS["autoencoder"][0], loss="mse")
    model.save(tmp_path / "m.keras")
    assert keras.models.load_model(tmp_path / "m.keras").task_loss == "mse"


@pytest.mark.parametrize(
    "loss, message", [("hinge", "loss must be one of"), ("reconstruction", "'y1' holds 2 values and 'x' 6")]
)
def test_a_loss_that_is_not_for_the_model_is_refused(loss, message):
    with pytest.raises(TfodlError, match=message):
        Int8Model(TASKS["numbers"][0], loss=loss)
