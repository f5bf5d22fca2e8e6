"""A guard: host = numpy by the bit; what was learned is judged by what is never learned; the way back."""

from dataclasses import replace

import keras_nets as models
import numpy as np
import pytest
from digits_net import LAYERS, digits_net, target_digits

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.living.judging import is_held_out
from tflm_export.living.simulator import LivingSimulator
from tflm_export.machines.emulator import build
from tflm_export.machines.host_store import StoreEngine
from tflm_export.machines.living_host import LivingEngine
from tflm_export.plan import Guard, Memory, Optimizer, UpdatePlan
from tflm_export.report.verify import verify

PLAN = UpdatePlan(
    LAYERS,
    optimizer=Optimizer(0.01, 0.5, 1, "accumulator"),
    seed=9,
    memory=Memory(samples=12, replays=2),
    guard=Guard(samples=8, held_out=3, every=10),
)
STEPS, HOT = 120, range(60, 80)  # among them some that wreck the net: wrong labels at a high rate


@pytest.fixture(scope="module")
def compiled():
    return compile_model(digits_net(), PLAN)


@pytest.fixture(scope="module")
def engine(compiled):
    return LivingEngine(compiled)


def learn(machine, samples, places, after=None, taught=None):
    xs, ys = samples
    for i in places:
        loss = machine.train_step(xs[i], int(ys[i]) if taught is None else taught)
        machine.remember(int(ys[i]))
        if after is not None:
            after(i, loss)


def assert_same(one, other):
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def weights(machine):
    found = machine.weights() if callable(machine.weights) else machine.weights
    return {name: value.copy() for name, value in found.items()}


@pytest.mark.parametrize("gradients", ["int16", "float32"])
def test_what_is_kept_and_what_is_given_back_is_that_of_numpy(gradients):
    plan = replace(PLAN, optimizer=Optimizer(0.01, 0.5, 2)) if gradients == "float32" else PLAN
    compiled = compile_model(digits_net(), plan, gradients=gradients)
    host, simulator = LivingEngine(compiled), LivingSimulator(compiled.graph, plan)
    samples = target_digits(compiled.graph, STEPS)
    good, moves = simulator.trained(), set()
    for i in range(STEPS):
        rate = 50.0 if i in HOT else 0.01
        host.set_learning_rate(rate)
        simulator.learning_rate = rate
        losses, taught = [], 0 if i in HOT else None
        for machine in (host, simulator):
            learn(machine, samples, [i], lambda _, loss, losses=losses: losses.append(loss), taught)
        assert losses[0] == pytest.approx(losses[1], rel=1e-4, abs=3e-5)
        assert_same(host.weights(), simulator.weights)
        if i % 10 == 9:
            back = all((simulator.weights[n] == good[n]).all() for n in good)
            good = {name: value.copy() for name, value in simulator._good.items()}
            moves.add("back" if back else "on")
    assert moves == {"back", "on"}
    assert host.judging() == len(simulator.judges) == 8
    for machine in (host, simulator):
        assert machine.judge() in (True, False)
    assert_same(host.weights(), simulator.weights)


def test_a_wrecked_net_comes_back(compiled, engine):
    engine.reset()
    samples = target_digits(compiled.graph, 60)
    learn(engine, samples, range(40))
    engine.judge()
    good = weights(engine)
    engine.set_learning_rate(10.0)
    learn(engine, samples, range(40, 45))
    assert any((engine.weights()[name] != value).any() for name, value in good.items())
    assert not engine.judge()
    assert_same(good, engine.weights())
    assert not engine.judge()  # no better than itself
    assert_same(good, engine.weights())


def test_pictures_that_judge_are_never_learned(compiled, engine):
    engine.reset()
    xs, ys = target_digits(compiled.graph, 60)
    judging = 0
    for x, y in zip(xs, ys.tolist(), strict=True):
        before = weights(engine)
        engine.train_step(x, y)
        held_out = is_held_out(engine.latent(), PLAN.guard)
        judging += held_out
        if held_out and engine.judging():
            assert engine.remembered() == 0
            assert_same(before, engine.weights())
        if held_out:
            engine.remember(y)
    assert 10 < judging < 30 and engine.judging() == 8


def test_a_picture_judges_once_however_often_it_comes(compiled, engine):
    samples = target_digits(compiled.graph, 12)
    simulator = LivingSimulator(compiled.graph, compiled.plan)
    engine.reset()
    for machine in (engine, simulator):
        learn(machine, samples, [*range(12)] * 3)
    held = len(simulator.judges)
    assert 1 < held < 8 and engine.judging() == held
    assert len(np.unique(simulator.judges.latents[:held].reshape(held, -1), axis=0)) == held


def test_ten_steps_saved_and_ten_more_are_twenty(compiled, engine):
    samples = target_digits(compiled.graph, 40)
    engine.reset()
    learn(engine, samples, range(25))
    saved = engine.state()
    learn(engine, samples, range(25, 40))
    twenty = engine.state()
    engine.reset()
    engine.restore(saved)
    learn(engine, samples, range(25, 40))
    assert engine.state() == twenty


def test_from_the_store_on_a_wrecked_net_comes_back_to_what_was_saved():
    compiled = compile_model(digits_net(), replace(PLAN, store_bytes=16 * 4096))
    engine = StoreEngine(compiled)
    xs, ys = target_digits(compiled.graph, 40)
    for i in range(10):
        engine.train_step(xs[i], int(ys[i]))
    saved = weights(engine)
    engine.save()
    engine.reset()
    assert any((engine.weights()[name] != value).any() for name, value in saved.items())
    engine.restore()
    assert_same(saved, engine.weights())
    engine.set_learning_rate(10.0)
    for x, y in zip(xs, ys.tolist(), strict=True):
        engine.train_step(x, y)
        engine._library.shim_remember(y)
    assert not engine._library.shim_judge() & 1
    assert_same(saved, engine.weights())


def test_the_board_makes_the_same_weights(compiled, tmp_path):
    xs, ys = target_digits(compiled.graph, 45)
    result = verify(compiled, xs, ys, count=1, steps=45, board=True, tflm=False)
    assert result.board_steps == 45 and not result.board_mismatches, result.summary()


def test_a_guard_adds_its_own_bytes_to_ram_and_nothing_to_other_engines(tmp_path):
    plan, sizes = UpdatePlan(memory=Memory(samples=5)), []
    for one in (plan, replace(plan, guard=Guard(samples=10))):
        compiled = compile_model(models.mobile_net(), one)
        source = compiled.save(tmp_path / str(len(sizes))) / "src"
        text = (source / "engine.h").read_text() + (source / "engine.cpp").read_text()
        assert ("judge" in text) == (one.guard is not None)
        main = '#include "engine.h"\nint main() { return int(engine::train_step(1)) + engine::remember(1); }'
        sizes.append(build(sorted(source.rglob("*.cpp")), [source], main, tmp_path / "m4.elf"))
    grown = sizes[1].static_ram_bytes - sizes[0].static_ram_bytes
    assert compiled.facts["latent"]["guard_ram_bytes"] == pytest.approx(grown, abs=12)


def test_nothing_to_judge_by_changes_nothing(compiled, engine):
    engine.reset()
    simulator = LivingSimulator(compiled.graph, PLAN)
    assert engine.judge() and simulator.judge()
    assert engine.judging() == 0


def test_refusals():
    with pytest.raises(TfodlError, match="guard judges by remembered pictures, and the plan has no memory"):
        UpdatePlan(guard=Guard())
    with pytest.raises(TfodlError, match="Guard: held_out must be a whole number from 2 to 32768, got 1"):
        Guard(held_out=1)
    without = compile_model(digits_net(), replace(PLAN, guard=None))
    for machine in (LivingEngine(without), LivingSimulator(without.graph, without.plan)):
        with pytest.raises(ExportError, match="the update plan has no guard"):
            machine.judge()
