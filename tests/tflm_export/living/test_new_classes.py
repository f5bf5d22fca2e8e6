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
from tflm_export.living.judging import is_held_out
from tflm_export.living.new_classes import Margins, imprint
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


def test_a_picture_that_opens_a_class_never_judges(wide):
    plan = replace(PLAN, guard=Guard(samples=6, held_out=2))
    compiled = compile_model(wide, plan)
    xs, _ = target_digits(compiled.graph, 8)
    host, simulator = LivingEngine(compiled), LivingSimulator(compiled.graph, plan)
    held_out = 0
    for x in xs:
        for machine in (host, simulator):
            machine.reset()
            machine.train_step(x, 10)
            machine.remember(10)
            assert machine.classes_in_use == 11
        held_out += is_held_out(simulator.latent(), plan.guard)
        assert host.remembered() == len(simulator.memory) == 1 and not host.judging() + len(simulator.judges)
        host.remember(10)
        simulator.remember(10)
        assert host.judging() == len(simulator.judges) == is_held_out(simulator.latent(), plan.guard)
    assert held_out > 1


def test_the_board_makes_the_same_weights(wide):
    compiled = compile_model(wide, PLAN)
    xs, ys = target_digits(compiled.graph, 30)
    labels = [NEW.get(i, y) for i, y in enumerate(ys.tolist())]
    result = verify(compiled, xs, labels, count=1, steps=30, board=True, tflm=False)
    assert result.board_steps == 30 and not result.board_mismatches, result.summary()


def test_a_new_class_takes_few_of_the_others(engine):
    """Three new pictures, told from the ten old classes in memory; the net is not trained (rate tiny)."""
    xs, ys = target_digits(engine.compiled.graph, 40)
    engine.reset()
    engine.set_learning_rate(1e-9)
    for x, y in zip(xs[:12], ys.tolist()[:12], strict=True):
        engine.train_step(x, y)
        engine.remember(y)
    before = [engine.predict(x) for x in xs]
    for shown in (20, 22, 24):
        engine.train_step(xs[shown], 10)
        engine.remember(10)
    said = [engine.predict(x) for x in xs]
    assert sum(a == b for a, b in zip(before, said, strict=True)) >= 30


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 10), st.integers(0, 500), st.integers(0, 4))
def test_the_imprinted_row_in_real_numbers(seed, m, n, label):
    """As long as its sisters are in the mean, along the way from the others' mean to its own samples'."""
    rng = np.random.default_rng(seed)
    weights = np.vstack([rng.integers(-127, 128, (4, 50)), np.zeros((1, 50))]).astype(np.int8)
    own, others = rng.integers(-255, 256, (m, 50)), rng.integers(-255, 256, (n, 50))
    in_use = max(4, label + (label < 4))
    sisters = np.delete(weights[:in_use].astype(float), [label] * (label < in_use), axis=0)
    imprint(weights, label, max(1, n) * own.sum(axis=0) - m * others.sum(axis=0), m * max(1, n), in_use)
    away = own.mean(axis=0) - (others.mean(axis=0) if n else 0)
    length = math.sqrt((sisters**2).sum() / len(sisters))
    wanted = np.clip(away / np.linalg.norm(away) * length, -127, 127)
    np.testing.assert_allclose(weights[label], wanted, atol=0.5 + 0.02 * np.abs(wanted).max())


@given(st.lists(st.integers(-(2**25), 2**25), min_size=1, max_size=99))
def test_margins_in_real_numbers(values):
    margins = Margins()
    for value in values:
        margins.add(value)
    assert margins.mean() == pytest.approx(np.mean(values), abs=192)
    wanted = np.mean(values) - math.sqrt(3) * np.std(values)
    assert margins.low() == pytest.approx(wanted, abs=2**13 + 0.01 * np.ptp(values))


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
