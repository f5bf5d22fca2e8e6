"""Bottlenecks in slices of channels: the same bits as without, in numpy, on the host and on the board."""

import re
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers as L

from tflm_export import compiler
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.gradients.training_graph import training_graph
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import measure
from tflm_export.machines.sanitize import run_sanitized
from tflm_export.macs import count_macs
from tflm_export.memory.price import made_again, ram_price
from tflm_export.memory.slices import banded, sizes_of, sliced, sliced_buffers
from tflm_export.memory.storage import engine_ram
from tflm_export.ops import GRADIENTS
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import samples
from tflm_export.simulate.step import Simulator
from tflm_export.variable import variables
from tfodl import quantize

DRAWN = {"bias_initializer": "random_uniform"}


def bottleneck(x, wide, out, kernel, strides=1):
    y = L.Conv2D(wide, 1, activation="relu6", **DRAWN)(x)
    y = L.DepthwiseConv2D(kernel, strides, padding="same", activation="relu6", **DRAWN)(y)
    y = L.Conv2D(out, 1, **DRAWN)(y)
    return L.Add()([x, y]) if strides == 1 and x.shape[-1] == out else y


@pytest.fixture(scope="module")
def tflite():
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((12, 12, 3))
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu", **DRAWN)(x)
    x = bottleneck(x, 40, 8, 3)  # the last slice is a short one
    x = bottleneck(x, 48, 24, 5, strides=2)  # 3 x 3 pixels: the last one is alone
    x = bottleneck(x, 72, 24, 3)
    model = keras.Model(inputs, L.Dense(4, **DRAWN)(L.GlobalAveragePooling2D()(x)))
    return quantize.ptq(model, np.random.default_rng(0).uniform(-1, 1, (16, 12, 12, 3)).astype(np.float32))


def plan_of(tflite, optimizer=None):
    """All biases, and some columns of two layers that widen."""
    convolutions = [op for op in read_tflite(tflite).ops if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    columns = {1: (0, 3, 5), 4: (1, 2, 3, 7)}
    rows = [LayerUpdate(op.name, "in", columns.get(i, ()), "all") for i, op in enumerate(convolutions)]
    return UpdatePlan(tuple(rows), optimizer=optimizer or Optimizer(0.05))


def in_slices(graph, which=-1):
    """The graph with all that can be in slices or bands, of the largest or the smallest kind."""
    for name in graph.layers:
        step = next((i for i, op in enumerate(graph.ops) if op.name == name), None)
        if step is None or graph.ops[step].kind == "SLICES":
            continue
        ways = [*sliced(graph, step)] or [*banded(graph, step)]
        graph = ways[which] if ways else graph
    return graph


def compiled_in_slices(monkeypatch, tflite, plan, which=-1):
    with monkeypatch.context() as patch:
        patch.setattr(compiler, "fuse", lambda graph, enough: in_slices(graph, which))
        compiled = compile_model(tflite, plan)
    kinds = [(op.kind, op.role) for op in compiled.graph.ops]
    assert kinds.count(("SLICES", "gradient")) == 3 and kinds.count(("SLICES", "forward")) == 3
    assert sum("pixels" in op.attrs and op.kind != "SLICES" for op in compiled.graph.ops) >= 2
    return compiled


def assert_learns_alike(compiled, host, simulator):
    for x, t in zip(*samples(compiled, None, None, seed=1), strict=True):
        host.train_step(x, t)
        simulator.train_step(x, t)
    for name, weights in host.weights().items():
        np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=name)


@pytest.mark.parametrize(("shift", "which"), [(None, 0), (0, -1), (30, -1)])
def test_the_bits_are_the_same(tflite, monkeypatch, shift, which):
    """Whatever the shifts begin with: too low or too high, and all slices are made again."""
    if shift is not None:
        for kind, row in GRADIENTS.items():
            monkeypatch.setitem(GRADIENTS, kind, replace(row, first_shift=shift))
    plan = plan_of(tflite)
    compiled, whole = compiled_in_slices(monkeypatch, tflite, plan, which), compile_model(tflite, plan)
    assert_learns_alike(compiled, HostEngine(compiled), Simulator(whole.graph, plan))
    xs, ts = samples(compiled, None, None, seed=1)
    board, again = measure(compiled, np.stack(xs[:2]), ts[:2]), HostEngine(compiled)
    for x, t in zip(xs[:2], ts[:2], strict=True):
        again.train_step(x, t)
    weights = again.weights()
    for variable in variables(compiled.graph):
        learned = variable.take(weights[variable.tensor])
        np.testing.assert_array_equal(board.weights[variable.tensor], learned.ravel())


def test_what_the_optimizer_remembers_lies_where_it_did(tflite, monkeypatch):
    plan = plan_of(tflite, Optimizer(0.05, momentum=0.9, batch=2, rounding="accumulator"))
    compiled = compiled_in_slices(monkeypatch, tflite, plan)
    assert_learns_alike(compiled, HostEngine(compiled), Simulator(compiled.graph, plan))


def test_no_byte_is_read_or_written_beside(tflite, monkeypatch):
    compiled = compiled_in_slices(monkeypatch, tflite, plan_of(tflite))
    xs, ts = samples(compiled, None, None, seed=1)
    run_sanitized(compiled, np.stack(xs[:2]), ts[:2])


def test_an_engine_that_asks_for_no_size_has_none(tflite):
    graph = compile_model(tflite, plan_of(tflite)).graph
    assert not any(op.kind == "SLICES" or "pixels" in op.attrs for op in graph.ops)


def test_the_price_counts_slices_that_weights_learn_from(tflite):
    graph = compile_model(tflite, plan_of(tflite)).graph
    cut = in_slices(training_graph(read_tflite(tflite), plan_of(tflite)))
    number = sum(op.kind == "SLICES" for op in cut.ops)
    assert made_again(graph) == 0 < made_again(cut) < sum(count_macs(cut).values())
    assert f"{number} bottlenecks by channels, " in ram_price(cut)
    assert f"; {made_again(cut):,} of " in ram_price(cut)


def test_what_the_error_promises_fits(tflite):
    plan = plan_of(tflite)
    with pytest.raises(ExportError, match="needs [0-9,]+ at least") as error:
        compile_model(tflite, plan, ram_bytes=4096)
    least = int(re.search("needs ([0-9,]+)", str(error.value))[1].replace(",", ""))
    compiled = compile_model(tflite, plan, ram_bytes=least)
    assert engine_ram(compiled.memory.static_ram) <= least
    assert_learns_alike(compiled, HostEngine(compiled), Simulator(compiled.graph, plan))


def test_larger_slices_cost_less_and_take_more(tflite):
    graph = in_slices(training_graph(read_tflite(tflite), plan_of(tflite)))
    for op in (op for op in graph.ops if op.kind == "SLICES"):
        nbytes = [sum(sliced_buffers(size.put(op), graph).values()) for size in sizes_of(op, graph)]
        assert nbytes == sorted(nbytes, reverse=True) and len(nbytes) > 1


def test_what_the_kernels_do_not_take_stays_whole(tflite):
    """Weights of a depthwise or a narrowing layer that learn; gradients in float32."""

    def gradients(plan, arithmetic="int16"):
        graph = in_slices(training_graph(read_tflite(tflite), plan, arithmetic))
        return [op.members for op in graph.ops if op.kind == "SLICES" and op.role == "gradient"]

    plan = plan_of(tflite)
    assert gradients(plan, "float32") == []
    for layer in range(1, len(plan.layers)):  # wide, depthwise, narrow, wide ...
        if layer % 3 != 1:
            learns = replace(plan.layers[layer], axis="out", channels=(1,))
            rows = (*plan.layers[:layer], learns, *plan.layers[layer + 1 :])
            assert len(gradients(replace(plan, layers=rows))) == 2
