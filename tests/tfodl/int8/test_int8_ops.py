"""Ops as Keras layers: forward and both kinds of gradients are those of the engine in numpy.

The engine is held to TFLite Micro and TensorFlow by the same rows in tests/tflm_export/ops.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from op_cases import CASES, OpCase

from tflm_export.gradients.training_graph import training_graph
from tflm_export.simulate.evaluate import run
from tflm_export.simulate.reference import reference_gradients
from tflm_export.simulate.step import Simulator
from tfodl import LayerUpdate, UpdatePlan
from tfodl.int8.build import BUILDERS
from tfodl.int8.graph import Int8Model

PASSED = {kind: cases[0] for kind, cases in CASES.items() if cases[0].function is not None}
IN_NETS = {  # held in the nets of test_int8_device.py and test_int8_gates.py
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "LOGISTIC",
    "MAX_POOL_2D", "MEAN", "MUL", "QUANTIZE", "RELU", "RESHAPE", "SUB",
}  # fmt: skip
ALONE = [pytest.param(case, id=kind) for kind, case in PASSED.items() if kind not in IN_NETS]
LABEL = 1


def test_every_op_that_a_gradient_passes_has_a_layer():
    assert set(BUILDERS) == set(PASSED)


@pytest.mark.parametrize("case", ALONE)
def test_layer_is_the_engine(case: OpCase):
    model = Int8Model(case.net(), gradients="device")
    graph = model.graph
    x = np.random.default_rng(1).normal(0, 1.5, (1, *case.xs[0][0][1:])).astype(np.float32)
    q = model.quantize_inputs(x)
    plan = UpdatePlan(tuple(LayerUpdate(f"x{i}/w", "out", (0, 1), "all") for i in range(len(case.xs))))
    trained = training_graph(graph, plan)
    agree(model, x, Simulator(trained, plan).gradients(q, LABEL), 1e-6)
    for layer in model.base.layers:
        layer.device, layer.edges = None, ()
    output = agree(model, x, reference_gradients(trained, q, LABEL), 1e-4)
    logits = np.round(output / np.float32(graph.tensors["logits"].quant.scale[0]))
    np.testing.assert_array_equal(logits, run(graph, {"in": q})["logits"])


def agree(model: Int8Model, x: np.ndarray, expected: dict[str, np.ndarray], tolerance: float) -> np.ndarray:
    """Hold the gradients of the trained weights and biases to `expected`; the model's output."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    layers = model.weighted()
    with tf.GradientTape() as tape:
        output = model(x)
        value = loss(np.array([LABEL]), output)
    found = tape.gradient(value, [layer.kernel.value for _, layer in layers])
    for (op, layer), gradient in zip(layers, found, strict=True):
        name = op.inputs[1]
        real, wanted = layer.to_file(np.asarray(gradient / layer.kernel.quantum.scale)), expected[name]
        largest = np.abs(wanted).max()
        assert largest > 0, name
        real = real.reshape(-1)[: wanted.size].reshape(wanted.shape)  # the first output channels
        np.testing.assert_allclose(real, wanted, rtol=0, atol=tolerance * largest, err_msg=name)
    return np.asarray(output)
