"""Gradients written over gradients: the same bits as without, in numpy, on the host and on the board."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers as L

from tflm_export import compiler
from tflm_export.compiler import compile_model
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import measure
from tflm_export.memory.overwrite import overwriting_all
from tflm_export.ops import GRADIENTS
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import samples
from tflm_export.simulate.step import Simulator
from tflm_export.variable import variables
from tfodl import quantize

BELOW = LayerUpdate("#1", "out", (0, 3), "all")
PLAN = UpdatePlan((BELOW, LayerUpdate("#2", "out", (), "all")), optimizer=Optimizer(0.05))


@pytest.fixture(scope="module")
def tflite():
    keras.utils.set_random_seed(3)
    drawn = {"bias_initializer": "random_uniform"}
    x = inputs = keras.Input((16, 16, 3))
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu", **drawn)(x)
    x = L.Conv2D(24, 1, activation="relu", **drawn)(x)
    x = L.DepthwiseConv2D(3, padding="same", activation="relu", **drawn)(x)
    x = L.Conv2D(8, 1, **drawn)(x)
    model = keras.Model(inputs, L.Dense(4, **drawn)(L.GlobalAveragePooling2D()(x)))
    return quantize.ptq(model, np.random.default_rng(0).uniform(-1, 1, (16, 16, 16, 3)).astype(np.float32))


@pytest.fixture
def small_arena(monkeypatch):
    """Every byte counts."""
    monkeypatch.setattr(compiler, "ENOUGH_RAM_BYTES", 0)


def in_place(compiled):
    return [op.of for op in compiled.graph.ops if "again" in op.attrs]


@pytest.mark.parametrize("shift", [None, 0, 30])
def test_the_bits_are_the_same(tflite, small_arena, monkeypatch, shift):
    """Whatever the shift begins with: too low or too high, and the gradient before is made again."""
    if shift is not None:
        for kind, row in GRADIENTS.items():
            monkeypatch.setitem(GRADIENTS, kind, replace(row, first_shift=shift))
    compiled = compile_model(tflite, PLAN)
    assert in_place(compiled) == ["#2"]
    engine, simulator = HostEngine(compiled), Simulator(compiled.graph, compiled.plan)
    for x, t in zip(*samples(compiled, None, None, seed=1), strict=True):
        engine.train_step(x, t)
        simulator.train_step(x, t)
    for name, weights in engine.weights().items():
        np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=name)
    xs, ts = samples(compiled, None, None, seed=1)
    board = measure(compiled, np.stack(xs[:3]), ts[:3])
    again = HostEngine(compiled)
    for x, t in zip(xs[:3], ts[:3], strict=True):
        again.train_step(x, t)
    weights = again.weights()
    for variable in variables(compiled.graph):
        learned = variable.take(weights[variable.tensor])
        np.testing.assert_array_equal(board.weights[variable.tensor], learned.ravel())


def test_it_is_not_done_where_it_would_change_bits(tflite, small_arena):
    trained = UpdatePlan((BELOW, LayerUpdate("#2", "out", (1,), "all")))
    above = UpdatePlan((BELOW, LayerUpdate("#3", "out", (1,), "all")))
    for plan in (trained, above):  # the layer's own weights, or those of the op that would run again
        assert in_place(compile_model(tflite, plan)) == []
    float32 = compile_model(tflite, PLAN, gradients="float32")
    assert in_place(float32) == [] and overwriting_all(float32.graph) is float32.graph


def test_an_arena_that_is_small_enough_is_left_alone(tflite):
    assert in_place(compile_model(tflite, PLAN)) == []
