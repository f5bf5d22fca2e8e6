"""Every loss against TensorFlow: its float64 gradient exactly, the device's integers and float32 closely."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from task_nets import dense_net

from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.gradients.head import usual_loss
from tflm_export.gradients.training_graph import training_graph
from tflm_export.ir import QParams
from tflm_export.ops import LOSSES
from tflm_export.ops.reconstruction_loss import Scales
from tflm_export.plan import UpdatePlan
from tflm_export.simulate.reference import cosine

NETS = {
    "one sigmoid": (dense_net(4, 1, end="LOGISTIC", out_scale=0.08), "bce"),
    "one logit": (dense_net(4, 1), "bce"),
    "labels": (dense_net(4, 7, end="LOGISTIC"), "bce"),
    "numbers": (dense_net(4, 3), "mse"),
    "autoencoder": (dense_net(9, 9, out_scale=0.021, out_zero=-11), "reconstruction"),
    "autoencoder of a wide input": (dense_net(9, 9, out_scale=0.012, out_zero=-11), "reconstruction"),
    "autoencoder of a very wide input": (dense_net(9, 9, out_scale=0.002, out_zero=9), "reconstruction"),
}


def by_tensorflow(loss, y, target):
    """Keras's loss and its gradient w.r.t. the logits or outputs `y`."""
    import keras
    import tensorflow as tf

    function = (
        keras.losses.BinaryCrossentropy(from_logits=True)
        if loss == "bce"
        else keras.losses.MeanSquaredError()
    )
    y, target = tf.Variable(y[None]), tf.constant(target[None], tf.float64)
    with tf.GradientTape() as tape:
        value = function(target, y)
    return float(value), tape.gradient(value, y).numpy()[0]


@pytest.mark.parametrize("name", NETS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_loss_is_tensorflow_s(name, seed):
    net, loss = NETS[name]
    graph = training_graph(simplify(read_tflite(net)), UpdatePlan(loss=loss))
    op, rng = graph.loss, np.random.default_rng(seed)
    logits, x = (graph.tensors[name] for name in (op.inputs[0], graph.inputs[0]))
    q, x_q = (rng.integers(-128, 128, t.shape, np.int8) for t in (logits, x))
    target = {
        "bce": rng.integers(0, 2, q.shape, np.int8),
        "mse": rng.integers(-128, 128, q.shape, np.int8),
    }.get(loss, x_q)
    real_target = {"bce": target, "mse": logits.quant.dequantize(target)}.get(loss, x.quant.dequantize(x_q))
    value, wanted = by_tensorflow(loss, logits.quant.dequantize(q).reshape(-1), real_target.reshape(-1))
    kind, arguments = LOSSES[op.kind], (op, graph, q, target)
    largest = np.abs(wanted).max()
    np.testing.assert_allclose(
        kind.reference(*arguments).reshape(-1), wanted, rtol=0, atol=1e-6 * largest + 1e-12
    )
    np.testing.assert_allclose(kind.run_f32(*arguments).reshape(-1), wanted, rtol=0, atol=1e-5 * largest)
    device = kind.run(*arguments)
    np.testing.assert_allclose(device.real().reshape(-1), wanted, rtol=0, atol=2e-3 * largest + 2.0**-30)
    assert cosine(device.real(), wanted) > 0.99999
    assert kind.value(*arguments) == pytest.approx(value, rel=2e-3, abs=1e-5)


def test_both_ends_of_a_sigmoid_keep_their_digits():
    """At +-20 a sigmoid in float32 is 0 or 1, at +-100 its complement is 0; the gradient knows."""
    far = training_graph(
        simplify(read_tflite(dense_net(4, 1, out_scale=0.8, out_zero=0))), UpdatePlan(loss="bce")
    )
    run = LOSSES[far.loss.kind].run_f32
    assert abs(run(far.loss, far, np.full((1, 1), 125, np.int8), np.ones((1, 1), np.int8)).item()) < 1e-20
    net = dense_net(4, 1, out_scale=0.16, out_zero=0)
    graph = training_graph(simplify(read_tflite(net)), UpdatePlan(loss="bce"))
    kind = LOSSES[graph.loss.kind]
    for q, t, sign in ((125, 1, -1), (-125, 0, 1)):
        found = kind.run_f32(graph.loss, graph, np.full((1, 1), q, np.int8), np.full((1, 1), t, np.int8))
        assert found.item() == pytest.approx(sign * np.exp(-20.0), rel=1e-5)


@pytest.mark.parametrize(
    "net, loss",
    [
        (dense_net(4, 1, end="LOGISTIC"), "bce"),
        (dense_net(4, 5, end="LOGISTIC"), "bce"),
        (dense_net(4, 3, end="SOFTMAX"), "crossentropy"),
        (dense_net(4, 3), "crossentropy"),
        (dense_net(4, 1), "mse"),
        (dense_net(9, 9), "reconstruction"),
        (dense_net(9, 9, end="LOGISTIC"), "reconstruction"),
        (dense_net(9, 9, end="SOFTMAX"), "crossentropy"),
    ],
)
def test_what_a_model_s_end_speaks_for(net, loss):
    assert usual_loss(read_tflite(net)) == loss


@pytest.mark.parametrize(
    "net, loss, message",
    [
        (dense_net(4, 1), "crossentropy", "needs 2 or more. Set the plan's loss to 'bce'"),
        (dense_net(4, 3, end="SOFTMAX"), "bce", "ends in SOFTMAX"),
        (dense_net(4, 3), "reconstruction", "'y0' holds 3 values and 'x' 4"),
        (dense_net(4, 4, out_scale=9.0), "reconstruction", "allowed: 1/64 to 64 times"),
    ],
)
def test_what_a_loss_cannot_read_is_refused(net, loss, message):
    with pytest.raises(ExportError, match=message):
        training_graph(read_tflite(net), UpdatePlan(loss=loss))


def test_a_difference_saturates_only_where_the_scales_are_alike():
    lowest, highest = np.array([-128], np.int8), np.array([127], np.int8)
    alike = Scales(QParams((0.01,), (127,)), QParams((0.02,), (-128,)))
    assert alike.bits == 6 and alike.difference(lowest, highest).tolist() == [-32767]
    wide = Scales(QParams((0.01,), (127,)), QParams((0.5,), (-128,)))
    assert wide.bits == 0 and wide.difference(lowest, highest).tolist() == [-255 - 50 * 255]
