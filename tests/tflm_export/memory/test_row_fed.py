"""Engines that ask for their picture row by row, or keep within given bytes, have the bits of others."""

import dataclasses

import keras
import keras_nets as nets
import numpy as np
import pytest
from keras import layers as L

from tflm_export import compiler
from tflm_export.board.sketch import make_sketch
from tflm_export.compiler import compile_model
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import measure
from tflm_export.memory.storage import STACK_BYTES
from tflm_export.plan import LayerUpdate, Memory, Optimizer, UpdatePlan
from tflm_export.report.verify import samples
from tflm_export.simulate.step import Simulator
from tfodl import quantize

UPPER = (LayerUpdate("#2", "out", (1, 3, 5), "selected"), LayerUpdate("#3", "in", (0, 4, 9), "all"))
PLAN = UpdatePlan(UPPER, optimizer=Optimizer(0.02))


@pytest.fixture(scope="module")
def fed():
    return compile_model(nets.mobile_net(True), PLAN, row_fed=True)


def test_it_learns_as_with_the_whole_picture(fed):
    assert not {"x", fed.input.name} & {b.name for b in fed.memory.buffers}
    engine, simulator = HostEngine(fed), Simulator(fed.graph, PLAN)
    for x, t in zip(*samples(fed, None, None, seed=1), strict=True):
        np.testing.assert_array_equal(engine.infer(x), simulator.infer(x))
        engine.train_step(x, t)
        simulator.train_step(x, t)
    for name, weights in engine.weights().items():
        np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=name)


@pytest.fixture(scope="module")
def wide():
    """A net whose picture is its largest map: 32 x 32 x 3, then 16 x 16 x 8."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((32, 32, 3))
    for filters, stride in ((8, 2), (4, 1), (24, 1)):
        x = L.Conv2D(filters, 3, stride, "same", activation="relu", bias_initializer="random_uniform")(x)
        x = L.DepthwiseConv2D(3, 2, "same", activation="relu", bias_initializer="random_uniform")(x)
    model = keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))
    return quantize.ptq(model, np.random.default_rng(0).uniform(-1, 1, (16, 32, 32, 3)).astype(np.float32))


def test_on_the_board_it_takes_less(wide, monkeypatch):
    monkeypatch.setattr(compiler, "ENOUGH_RAM_BYTES", 0)
    whole, rows = (compile_model(wide, UpdatePlan(), row_fed=fed) for fed in (False, True))
    xs, ts = samples(rows, None, None, seed=1)
    one, other = (measure(c, np.stack(xs[:2]), ts[:2]) for c in (rows, whole))
    np.testing.assert_array_equal(one.outputs, other.outputs)
    for name, weights in one.weights.items():
        np.testing.assert_array_equal(weights, other.weights[name])
    assert one.static_ram_bytes < other.static_ram_bytes - 2_000


def test_its_folder_is_loaded_as_it_was(fed, tmp_path):
    loaded = load(fed.save(tmp_path / "engine"))
    assert loaded.memory == fed.memory and loaded.facts["row_fed"]


def test_an_engine_that_only_infers(tmp_path):
    compiled = compile_model(nets.mobile_net(True), UpdatePlan(head=False), row_fed=True)
    x = samples(compiled, None, None, seed=1)[0][0]
    np.testing.assert_array_equal(
        HostEngine(compiled).infer(x), Simulator(compiled.graph, compiled.plan).infer(x)
    )


def test_what_needs_the_picture_is_refused(fed, tmp_path):
    first = dataclasses.replace(PLAN, layers=(LayerUpdate("#0", "out", (1,), "all"),))
    with pytest.raises(ExportError, match="read .*first layer alone"):
        compile_model(nets.mobile_net(), first, row_fed=True)
    with pytest.raises(ExportError, match="has no rows"):
        compile_model(nets.autoencoder(), UpdatePlan(loss="mse"), row_fed=True)
    below = dataclasses.replace(PLAN, layers=(), candidates=("#0",), memory=Memory(samples=2))
    with pytest.raises(ExportError, match="keep whole pictures"):
        compile_model(nets.mobile_net(), below, row_fed=True)
    with pytest.raises(ExportError, match="by rows"):
        make_sketch(fed, "nano33ble", tmp_path / "sketch.zip")


def test_ram_is_what_was_given(wide):
    most = compile_model(wide, UpdatePlan(), ram_bytes=200_000)
    with pytest.raises(ExportError, match="it needs ([0-9,]+) at least") as refused:
        compile_model(wide, UpdatePlan(), ram_bytes=3_000)
    needed = int(str(refused.value).split("it needs ")[1].split(" ")[0].replace(",", ""))
    for ram in (needed, needed + 300):
        compiled = compile_model(wide, UpdatePlan(), ram_bytes=ram)
        assert compiled.memory.static_ram + STACK_BYTES <= ram
        assert compiled.memory.arena < most.memory.arena
        assert any(op.kind == "STREAM" for op in compiled.graph.ops)
    assert not any(op.kind == "STREAM" for op in most.graph.ops)
