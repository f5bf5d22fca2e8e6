"""Spare outputs: what they are in the file, that they are nothing until used, and the row they get."""

import math
from dataclasses import replace

import nets
import numpy as np
import pytest
from digits_net import LAYERS, digits_net, target_digits
from hypothesis import given, settings
from hypothesis import strategies as st

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.spare import add_spare_classes
from tflm_export.living.new_classes import imprint
from tflm_export.living.simulator import LivingSimulator
from tflm_export.machines.living_host import LivingEngine
from tflm_export.plan import Guard, Memory, Optimizer, UpdatePlan
from tflm_export.report.verify import verify
from tflm_export.simulate.step import Simulator

PLAN = UpdatePlan(
    LAYERS, optimizer=Optimizer(0.02), seed=9, memory=Memory(samples=12, replays=2), spare_classes=2
)
NEW = {20: 10, 22: 10, 24: 10, 40: 11, 41: 11}  # samples that are of classes new to the net


@pytest.fixture(scope="module")
def wide():
    return add_spare_classes(digits_net(), 2)


@pytest.fixture(scope="module")
def engine(wide):
    return LivingEngine(compile_model(wide, PLAN))


def test_the_file_gives_the_same_logits_and_the_lowest_besides(wide):
    before, after = (
        Simulator(compile_model(data, UpdatePlan()).graph, UpdatePlan()) for data in (digits_net(), wide)
    )
    xs, _ = target_digits(before.graph, 10)
    for x in xs:
        np.testing.assert_array_equal(after.logits(x)[0, :10], before.logits(x)[0])
        assert (after.logits(x)[0, 10:] == -128).all()
    compiled = compile_model(wide, UpdatePlan())
    assert verify(compiled, xs, count=10, steps=0).ok  # TFLite Micro reads the file, too


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_an_unused_output_is_never_said(engine, data):
    """Whatever comes in, before and after steps of any rate."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    engine.reset()
    shape = engine.compiled.input.shape
    for _ in range(data.draw(st.integers(0, 4))):
        engine.set_learning_rate(data.draw(st.sampled_from([0.01, 1.0, 100.0])))
        engine.train_step(rng.integers(-128, 128, shape, np.int8), int(rng.integers(10)))
    x = np.full(shape, data.draw(st.integers(-128, 127)), np.int8)
    for picture in (x, rng.integers(-128, 128, shape, np.int8)):
        assert engine.predict(picture) < 10
        assert (engine.logits(picture)[0, 10:] == -128).all()
    start = engine.compiled.graph.constant
    for name, value in engine.weights().items():
        if value.shape[0] == 12:
            np.testing.assert_array_equal(value[10:], start(name)[10:])


@pytest.mark.parametrize(
    "gradients, guard", [("int16", None), ("int16", Guard(samples=6, every=10)), ("float32", None)]
)
def test_a_new_class_is_that_of_numpy(wide, gradients, guard):
    plan = replace(PLAN, guard=guard)
    compiled = compile_model(wide, plan, gradients=gradients)
    host, simulator = LivingEngine(compiled), LivingSimulator(compiled.graph, plan)
    xs, ys = target_digits(compiled.graph, 60)
    known = []
    for i, (x, y) in enumerate(zip(xs, ys.tolist(), strict=True)):
        label = NEW.get(i, y)
        loss = host.train_step(x, label)
        assert loss == pytest.approx(simulator.train_step(x, label), rel=1e-4, abs=1e-4)
        host.remember(label)
        simulator.remember(label)
        assert host.classes_in_use == simulator.classes_in_use
        known.append(host.classes_in_use)
        for name, value in host.weights().items():
            np.testing.assert_array_equal(value, simulator.weights[name], err_msg=name)
    assert known[0] == 10 and known[-1] == 12


def test_the_board_makes_the_same_weights(wide):
    compiled = compile_model(wide, PLAN)
    xs, ys = target_digits(compiled.graph, 30)
    labels = [NEW.get(i, y) for i, y in enumerate(ys.tolist())]
    result = verify(compiled, xs, labels, count=1, steps=30, board=True, tflm=False)
    assert result.board_steps == 30 and not result.board_mismatches, result.summary()


def test_the_first_sample_is_of_its_class_at_once_and_the_others_stay(engine):
    """One new picture, told from the ten old ones in memory; the net is not trained (rate tiny)."""
    xs, ys = target_digits(engine.compiled.graph, 40)
    engine.reset()
    engine.set_learning_rate(1e-9)
    for x, y in zip(xs[:12], ys.tolist()[:12], strict=True):
        engine.train_step(x, y)
        engine.remember(y)
    before = [engine.predict(x) for x in xs]
    engine.train_step(xs[20], 10)
    logits = engine.logits(xs[20])[0].astype(int)
    assert abs(logits[10] - logits[:10].max()) <= 2
    said = [engine.predict(x) for x in xs]
    assert sum(a == b for a, b in zip(before, said, strict=True)) >= 30


def test_the_imprinted_row_in_real_numbers():
    """As long as its sisters are in the mean, along the way from the others' mean to the sample."""
    rng = np.random.default_rng(0)
    weights = np.vstack([rng.integers(-127, 128, (4, 50)), np.zeros((1, 50))]).astype(np.int8)
    bias = np.array([3, -9, 100, 7, -(10**6)], np.int32)
    x, others = rng.integers(0, 256, 50), rng.integers(0, 256, (8, 50))
    imprint(weights, bias, 4, x, others.sum(axis=0), 8, top=1234)
    away = x - others.mean(axis=0)
    length = math.sqrt((weights[:4].astype(float) ** 2).sum() / 4)
    wanted = np.clip(away / np.linalg.norm(away) * length, -127, 127)
    np.testing.assert_allclose(weights[4], wanted, atol=1.5)
    assert weights[4].astype(int) @ x + bias[4] == 1234


def test_refusals(wide, engine):
    engine.reset()
    xs, _ = target_digits(engine.compiled.graph, 1)
    simulator = LivingSimulator(engine.compiled.graph, PLAN)
    for machine in (engine, simulator):
        with pytest.raises(ExportError, match=r"label 11: allowed 0\.\.10"):
            machine.train_step(xs[0], 11)
    with pytest.raises(ExportError, match="last 2 outputs are not spare"):
        compile_model(digits_net(), PLAN)
    with pytest.raises(TfodlError, match="spare_classes are learned by the head beside remembered samples"):
        UpdatePlan(spare_classes=1)
    for count in (0, 1001, 1.5):
        with pytest.raises(ExportError, match="spare classes: must be a whole number from 1 to 1000"):
            add_spare_classes(digits_net(), count)
    with pytest.raises(ExportError, match="must end in a dense layer with a bias"):
        add_spare_classes(nets.block_net(), 1)
    assert len(read_tflite(wide).ops) == len(read_tflite(digits_net()).ops)
