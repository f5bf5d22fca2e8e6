"""LSTM and SVDF: bit for bit TFLite Micro over inferences in a row; what stands behind them learns."""

import numpy as np
import pytest
from recurrent_nets import lstm, replaced, svdf, with_head
from tflite_file import O, T, build
from tflite_micro import runtime

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.machines.host import HostEngine
from tflm_export.machines.sanitize import run_sanitized
from tflm_export.macs import count_macs
from tflm_export.ops.sigmoid_q15 import TABLE
from tflm_export.plan import LayerUpdate, Memory, Optimizer, UpdatePlan
from tflm_export.report.verify import samples, verify
from tflm_export.simulate.step import Simulator

NOTHING = UpdatePlan(head=False)
DRAWN = {
    "plain": lstm(0),
    "time first": lstm(1, time_major=True),
    "one step": lstm(2, steps=1, depth=9, units=2),
    "clipped cells": lstm(3, clip=0.5),
    "coarse cells": lstm(4, power=-9, units=8),
    "fine cells": lstm(5, power=-15, steps=12),
    "very fine cells": lstm(9, power=-18),
    "SVDF": svdf(0),
    "SVDF of rank 1": svdf(1, rank=1, units=9, memory=3),
    "SVDF of one step": svdf(2, memory=1),
    "SVDF of int16": svdf(3, state="int16"),
    "SVDF of int16, long": svdf(4, state="int16", memory=20, rank=3),
}


@pytest.mark.parametrize("name", DRAWN)
def test_inferences_in_a_row_are_tflite_micros(name):
    data = DRAWN[name].tflite()
    if name == "time first":
        data = turned(data)
    graph = simplify(read_tflite(data))
    oracle = runtime.Interpreter.from_bytes(data, arena_size=1 << 18)
    engines = [Simulator(graph, NOTHING), HostEngine(compile_model(data, NOTHING))]
    shape = graph.tensors[graph.inputs[0]].shape
    seen = []
    for x in np.random.default_rng(0).integers(-128, 128, (8, *shape), np.int8):
        oracle.set_input(x, 0)
        oracle.invoke()
        seen.append(oracle.get_output(0).copy())
        for engine in engines:
            np.testing.assert_array_equal(engine.infer(x).reshape(-1), seen[-1].reshape(-1))
    assert len(np.unique(np.stack(seen))) > 8  # it is no constant


def turned(data: bytes) -> bytes:
    """The layer between two transpositions, as converters put them around time that stands first."""
    layer = DRAWN["time first"]
    order = T("order", (3,), "int32", None, data=np.array([1, 0, 2], np.int32))
    (steps, _, depth), units = layer.x.shape, layer.y.shape[2]
    ends = [
        T("in", (1, steps, depth), scale=layer.x.scale, zero=layer.x.zero),
        T("out", (1, steps, units), scale=layer.y.scale, zero=layer.y.zero),
    ]
    ops = [O("TRANSPOSE", ["in", "order"], ["x0"]), *layer.ops, O("TRANSPOSE", ["y", "order"], ["out"])]
    return build([*ends, order, layer.x, *layer.constants, layer.y], ops, ["in"], ["out"])


@pytest.mark.parametrize(
    "layer", [lstm(6), svdf(5), svdf(6, state="int16")], ids=["LSTM", "SVDF", "SVDF int16"]
)
def test_a_head_behind_it_learns(layer):
    """Right gradients; host, numpy and the Cortex-M4 alike, one step's state going into the next."""
    plan = UpdatePlan(optimizer=Optimizer(0.5))
    compiled = compile_model(with_head(layer), plan)
    result = verify(compiled, count=6, steps=6, board=True)
    assert result.ok and result.tflm_mismatches == 0 and result.board_steps == 6, result.summary()
    assert result.lowest_cosine > 0.9999
    engine, x = HostEngine(compiled), np.full(compiled.input.shape, 90, np.int8)
    before = engine.infer(x)
    engine.train_step(x, 1)
    assert (engine.infer(x) != before).any()  # the state went on, too
    engine.reset()
    np.testing.assert_array_equal(engine.infer(x), before)


@pytest.mark.parametrize("layer", [lstm(8), svdf(8, state="int16")], ids=["LSTM", "SVDF"])
def test_under_sanitizers(layer):
    compiled = compile_model(with_head(layer), UpdatePlan())
    xs, targets = samples(compiled, None, None, 0)
    run_sanitized(compiled, xs[:4], targets[:4])


def test_the_work_is_counted():
    assert count_macs(read_tflite(lstm(0).tflite()))["forward"] == 5 * 4 * 6 * (3 + 6)
    assert count_macs(read_tflite(svdf(0).tflite()))["forward"] == 8 * 7 + 8 * 5


def test_nothing_is_learned_through_it():
    layer = svdf(0)
    weights = T("w", (7, 7), scale=0.01, data=np.ones((7, 7), np.int8))
    below = [T("in", (1, 7), scale=0.05), weights, T("z", (7,), "int32", 5e-4, data=np.zeros(7, np.int32))]
    ops = [O("FULLY_CONNECTED", ["in", "w", "z"], ["x0"]), *layer.ops]
    data = build([*below, layer.x, *layer.constants, layer.y], ops, ["in"], ["y"])
    with pytest.raises(ExportError, match="SVDF"):
        compile_model(data, UpdatePlan((LayerUpdate("w", "out", (0,), "all"),), head=False))


def test_no_memory_beside_a_state():
    with pytest.raises(ExportError, match="take the memory and the pool out of the plan"):
        compile_model(with_head(svdf(0)), UpdatePlan(memory=Memory(samples=4, replays=1)))


def test_the_table_begins_at_a_half_and_rises():
    assert TABLE[0] == 2**15 and (np.diff(TABLE) >= 0).all() and TABLE[-1] == 2**16 - 1


MORE = T("p", (6,), "int16", 0.01, data=np.zeros(6, np.int16))
REFUSED = {
    "peepholes": (
        replaced(lstm(0), [(9, "p")], [MORE]),
        r"UNIDIRECTIONAL_SEQUENCE_LSTM '#0' .*\(inputs \[9\]\); allowed: the plain cell, as Keras's LSTM",
    ),
    "three gates": (replaced(lstm(0), [(1, "")]), r"needed inputs \[1\] are missing"),
    "an int8 cell": (
        replaced(lstm(0), tensors=[T("c", (1, 6), is_variable=True)]),
        "its state is int8 and its cells are int8; allowed: int8 and int16",
    ),
    "a cell between powers of two": (
        replaced(lstm(0), tensors=[T("c", (1, 6), "int16", 0.003, is_variable=True)]),
        "its cell's scale is 0.003; allowed: 2\\^-24 to 1, powers of two",
    ),
    "two sequences": (
        replaced(lstm(0), tensors=[T("x0", (2, 5, 3)), T("y", (2, 5, 6))]),
        r"shapes \[2, 5, 3\] x \[6, 3\] -> \[2, 5, 6\] do not fit; allowed: a batch of 1",
    ),
    "a RELU": (lstm(0, FusedActivationFunction=1).tflite(), "its activation is RELU; allowed: TANH"),
    "a state that another op reads": (
        build(
            [svdf(0).x, *svdf(0).constants, svdf(0).y, T("z", (1, 40))],
            [*svdf(0).ops, O("RELU", ["s"], ["z"])], ["x0"], ["y", "z"],
        ),
        r"RELU '#1' .*it reads or writes \['s'\], which a recurrent op keeps",
    ),
    "no memory": (replaced(svdf(0), [(4, "")]), "SVDF '#0' .*has 5 inputs and 1 outputs; allowed: 5 and 1"),
    "a rank that does not divide": (
        replaced(svdf(0), tensors=[T("wf", (7, 7), data=np.ones((7, 7), np.int8))]), "and rank 2 do not fit",
    ),
    "a float state": (
        replaced(svdf(0), tensors=[T("s", (1, 40), "float32", None, is_variable=True)]),
        "its state is float32; allowed: int8 and int16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refused_in_one_line(what):
    data, said = REFUSED[what]
    with pytest.raises(ExportError, match=said) as refused:
        compile_model(data, NOTHING)
    assert "\n" not in str(refused.value)


def keras_lstm(folder) -> bytes:
    """Two layers of tf_keras, converted as they are: Keras 3's own way ends TensorFlow 2.21's converter."""
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    inner = [layers.LSTM(5, return_sequences=True), layers.LSTM(7), layers.Dense(3, activation="softmax")]
    model = tf_keras.Sequential([tf_keras.Input((6, 4), batch_size=1), *inner])
    traced = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((1, 6, 4), tf.float32))
    model.save(folder, save_format="tf", signatures=traced)
    samples = np.random.default_rng(0).normal(size=(32, 1, 6, 4)).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x] for x in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


def test_kerass_lstm_as_it_is_converted(tmp_path):
    data = keras_lstm(tmp_path / "saved")
    kinds = [op.kind for op in read_tflite(data).ops]
    assert kinds.count("UNIDIRECTIONAL_SEQUENCE_LSTM") == 2
    result = verify(compile_model(data, UpdatePlan()), count=6, steps=6)
    assert result.ok and result.tflm_mismatches == 0, result.summary()
