"""The TensorFlow twin of an int8 graph: gradients worked by hand, and where its clamp cuts."""

import numpy as np
import pytest
import tensorflow as tf

from tflm_export.errors import TfodlError
from tflm_export.ir import Graph, Op, QParams, Tensor
from tfodl.int8.dequantized import dequantize, gradients


def dense_graph(rng, inputs=6, outputs=4):
    """One dense layer whose logits never saturate: its twin is a plain softmax regression."""
    weights = rng.integers(-127, 128, (outputs, inputs), np.int8)
    scales = tuple(rng.uniform(0.001, 0.002, outputs))
    tensors = {
        "x": Tensor("x", (1, inputs), "int8", QParams((0.1,), (3,))),
        "w": Tensor("w", weights.shape, "int8", QParams(scales, (0,) * outputs, 0), weights),
        "b": Tensor(
            "b",
            (outputs,),
            "int32",
            QParams(tuple(0.1 * s for s in scales), (0,) * outputs, 0),
            rng.integers(-500, 500, outputs).astype(np.int32),
        ),
        "y": Tensor("y", (1, outputs), "int8", QParams((0.2,), (0,))),
    }
    from tflm_export.ops.requantize import quantize_multipliers

    multiplier, shift = quantize_multipliers([0.1 * s / 0.2 for s in scales])
    attrs = {"multiplier": multiplier, "shift": shift, "act_min": -128, "act_max": 127}
    op = Op("FULLY_CONNECTED", "#0", ("x", "w", "b"), ("y",), attrs)
    return Graph(tensors, (op,), ("x",), ("y",)).check()


def test_gradient_of_a_dense_layer_is_softmax_minus_label():
    rng = np.random.default_rng(0)
    graph = dense_graph(rng)
    x, labels = rng.integers(-128, 128, (5, 6), np.int8), np.array([0, 1, 2, 3, 1])
    found = gradients(graph, x, labels)

    from tflm_export.simulate.evaluate import run

    logits = dequantize(graph, "y", run(graph, {"x": x})["y"])
    p = np.exp(logits - logits.max(1, keepdims=True))
    error = (p / p.sum(1, keepdims=True) - np.eye(4)[labels]) / 5
    np.testing.assert_allclose(found["w"], error.T @ dequantize(graph, "x", x), rtol=1e-9)
    np.testing.assert_allclose(found["b"], error.sum(0), rtol=1e-9)


def test_an_op_without_a_twin_is_named():
    graph = dense_graph(np.random.default_rng(0))
    odd = graph.replace(ops=(Op("FFT", "#0", graph.ops[0].inputs, ("y",)),))
    with pytest.raises((TfodlError, ValueError), match="FFT"):
        gradients(odd, np.zeros((1, 6), np.int8), np.array([0]))


def test_relu_cuts_at_zero_and_not_beside_it():
    from tfodl.int8.dequantized import _clip

    op = Op("RELU", "#0", ("x",), ("y",), {"act_min": 0, "act_max": 127})
    graph = Graph({"y": Tensor("y", (1, 4), "int8", QParams((0.1,), (0,)))}, (op,), (), ("y",))
    x = tf.constant([-1.0, 1e-9, 0.04, 12.9], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = _clip(op, graph, x)
    assert tape.gradient(y, x).numpy().tolist() == [0, 0, 1, 0]
