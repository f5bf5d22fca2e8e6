"""Layers that converters write in a roundabout way: dilated ones in blocks, dense ones on unknown rows.

Keras's own files are compared with LiteRT's reference kernels: TFLite Micro cannot run them rightly.
"""

import keras
import nets
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers
from keras_nets import quantized
from tflite_file import oracle

from tflm_export.compiler import compile_model
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import verify
from tflm_export.simulate.evaluate import run


def stack(shape, *stages):
    x = inputs = keras.Input(shape)
    for stage in stages:
        x = stage(x)
    return keras.Model(inputs, x)


NETS = {
    "maps": lambda: stack(
        (15, 13, 3),
        layers.Conv2D(5, 3, padding="same", dilation_rate=2, activation="relu"),
        layers.DepthwiseConv2D((3, 2), padding="same", dilation_rate=(3, 2)),
        layers.Conv2D(4, (2, 3), dilation_rate=3),
    ),
    "rows": lambda: stack(
        (21, 4),
        layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"),
        layers.Conv1D(5, 2, padding="same", dilation_rate=4),
    ),
}


def litert(data: bytes, x: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(into["index"], x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(into["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(out["index"])


def inputs_of(graph, count):
    shape = graph.tensors[graph.inputs[0]].shape
    return np.random.default_rng(1).integers(-128, 128, (count, *shape)).astype(np.int8)


def computed(data: bytes, x: np.ndarray) -> np.ndarray:
    graph = simplify(read_tflite(data))
    assert not {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"} & {op.kind for op in graph.ops}
    return run(graph, {graph.inputs[0]: x})[graph.outputs[0]]


@pytest.mark.parametrize("name", ["maps", "rows"])
def test_dilated_keras_layers_are_exact(name):
    keras.utils.set_random_seed(3)
    model = NETS[name]()
    samples = np.random.default_rng(0).normal(0, 1, (8, *model.input_shape[1:])).astype(np.float32)
    data = quantized(model, samples)
    for x in inputs_of(read_tflite(data), 4):
        np.testing.assert_array_equal(computed(data, x), litert(data, x))


def test_dense_keras_layers_on_rows():
    """LiteRT's own dense kernel rounds otherwise: within one step of the output."""
    keras.utils.set_random_seed(4)
    model = stack((5, 7, 4), layers.Dense(6, activation="relu"), layers.Dense(3))
    data = quantized(model, np.random.default_rng(0).normal(0, 1, (8, 5, 7, 4)).astype(np.float32))
    for x in inputs_of(read_tflite(data), 4):
        y, expected = computed(data, x), litert(data, x)
        assert y.shape == expected.shape == (1, 5, 7, 3)
        assert np.abs(y.astype(int) - expected).max() <= 1 and (y == expected).mean() > 0.95


def test_engine_of_blocks(tmp_path):
    data, plain = nets.block_net(), nets.block_net(roundabout=False)
    for x in inputs_of(read_tflite(data), 8):
        np.testing.assert_array_equal(computed(data, x), oracle(plain, x)[0])
    plan = UpdatePlan(
        (LayerUpdate("#1", "out", (), "all"), LayerUpdate("#4", "out", (1,))), optimizer=Optimizer(0.02)
    )
    folder = compile_model(data, plan).save(tmp_path / "engine")
    unknown = verify(folder, count=16, steps=8)
    assert not unknown.ok and "NOT compared with TFLite Micro: " in unknown.summary()
    assert verify(folder, count=16, steps=8, tflm=False).ok
