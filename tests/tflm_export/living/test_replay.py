"""Replay: host = numpy by the bit, for every policy; latents, state and refusals."""

from dataclasses import replace

import nets
import numpy as np
import pytest
from digits_net import LAYERS, digits_net, target_digits

from tflm_export.compiler import compile_model
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError
from tflm_export.gradients.cut import find_cut
from tflm_export.living.memory import Exemplars
from tflm_export.living.simulator import LivingSimulator
from tflm_export.machines.choosing_host import host_engine
from tflm_export.machines.living_host import LivingEngine
from tflm_export.plan import LayerUpdate, Memory, Optimizer, UpdatePlan
from tflm_export.report.verify import verify

DEEP = (LayerUpdate("#5", "out", tuple(range(24)), "all"),)  # above the residual block
PLAN = UpdatePlan(DEEP, optimizer=Optimizer(0.02), seed=3)
EXEMPLARS = 6


def shipped(latent_shape, classes=10, seed=0):
    rng = np.random.default_rng(seed)
    latents = rng.integers(-128, 128, (EXEMPLARS, *latent_shape[1:]), np.int8)
    return Exemplars(latents, rng.integers(0, classes, EXEMPLARS))


def compiled_with(memory, plan=PLAN, **more):
    wanted = replace(plan, memory=memory)
    exemplars = None
    if memory.exemplar_replays:
        graph = compile_model(digits_net(), replace(plan, memory=replace(memory, exemplar_replays=0))).graph
        exemplars = shipped(graph.tensors[find_cut(graph, plan).tensor].shape)
    return compile_model(digits_net(), wanted, exemplars=exemplars, **more)


def machines(compiled):
    return LivingEngine(compiled), LivingSimulator(compiled.graph, compiled.plan, compiled.exemplars)


def assert_equal_state(engine, simulator):
    for name, weights in engine.weights().items():
        np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=name)
    assert engine.remembered() == len(simulator.memory)


CASES = {
    "reservoir": (Memory(samples=12, replays=2, policy="reservoir"), PLAN),
    "balanced": (Memory(bytes=4000, replays=1, exemplar_replays=1, policy="balanced"), PLAN),
    "everything learns": (
        Memory(samples=7, policy="balanced"),
        UpdatePlan(LAYERS, optimizer=Optimizer(0.01, 0.5, 4, "accumulator"), seed=9),
    ),
    "head": (Memory(samples=5, replays=3, exemplar_replays=2), UpdatePlan(optimizer=Optimizer(0.05))),
}


@pytest.mark.parametrize("case", CASES)
def test_two_hundred_steps_are_those_of_numpy(case):
    compiled = compiled_with(*CASES[case])
    engine, simulator = machines(compiled)
    start = engine.weights()
    xs, ys = target_digits(compiled.graph, 200)
    order = np.argsort(ys, kind="stable")  # class after class: the memory overflows in every way
    for i, (x, y) in enumerate(zip(xs[order], ys[order].tolist(), strict=True)):
        loss = engine.train_step(x, y)
        assert loss == pytest.approx(simulator.train_step(x, y), rel=1e-4, abs=3e-5)
        np.testing.assert_array_equal(engine.latent(), simulator.latent())
        if i % 3:
            engine.remember(y)
            simulator.remember(y)
        if i % 50 == 49:
            assert_equal_state(engine, simulator)
            assert engine.replay() == pytest.approx(simulator.replay(), rel=1e-4, abs=3e-5)
    assert engine.replay_exemplar() == pytest.approx(simulator.replay_exemplar(), rel=1e-4, abs=3e-5)
    assert_equal_state(engine, simulator)
    assert any((weights != start[name]).any() for name, weights in engine.weights().items())


def test_the_board_makes_the_same_weights(tmp_path):
    compiled = compiled_with(CASES["balanced"][0])
    folder = compiled.save(tmp_path / "engine")
    xs, ys = target_digits(compiled.graph, 40)
    result = verify(folder, xs, ys, count=4, steps=200, board=True)
    assert result.ok and result.board_steps == 200, result.summary()


def test_ten_steps_saved_and_ten_more_are_twenty():
    compiled = compiled_with(*CASES["everything learns"])
    one, two = LivingEngine(compiled), LivingEngine(compiled)
    xs, ys = target_digits(compiled.graph, 20)

    def learn(engine, samples):
        for i in samples:
            engine.train_step(xs[i], int(ys[i]))
            engine.remember(int(ys[i]))

    learn(one, range(20))
    learn(two, range(10))
    saved = two.state()
    two.reset()
    assert two.state() != saved and two.remembered() == 0
    two.restore(saved)
    learn(two, range(10, 20))
    assert two.state() == one.state()
    with pytest.raises(ExportError, match="restore: got 3 bytes"):
        two.restore(b"123")


def test_an_inference_has_the_latent_too_and_a_replay_leaves_the_guess():
    compiled = compiled_with(Memory(samples=4))
    engine, simulator = machines(compiled)
    xs, ys = target_digits(compiled.graph, 3)
    with pytest.raises(ExportError, match="no picture was seen"):
        engine.remember(0)
    with pytest.raises(ExportError, match="no picture was seen"):
        simulator.remember(0)
    assert engine.replay() == simulator.replay() == -1
    np.testing.assert_array_equal(engine.infer(xs[0]), simulator.infer(xs[0]))
    np.testing.assert_array_equal(engine.latent(), simulator.latent())
    for machine in (engine, simulator):
        for label in (-1, 10):
            with pytest.raises(ExportError, match="label"):
                machine.remember(label)
        machine.remember(int(ys[0]))
        machine.reset()
    assert engine.remembered() == len(simulator.memory) == 0


def test_exemplars_travel_with_the_engine(tmp_path):
    compiled = compiled_with(CASES["balanced"][0])
    folder = compiled.save(tmp_path / "engine")
    assert load(folder).sources == compiled.sources
    assert f"kExemplars = {EXEMPLARS};" in compiled.sources["src/engine.h"]
    assert isinstance(host_engine(folder), LivingEngine)
    (folder / "exemplars.npz").write_bytes(b"rubbish")
    with pytest.raises(ExportError, match="does not hold exemplars"):
        load(folder)


def test_refusals():
    with pytest.raises(ExportError, match=r"memory of 9 bytes cannot hold one sample, which takes 394"):
        compiled_with(Memory(bytes=9))
    with pytest.raises(ExportError, match="none are given"):
        compile_model(digits_net(), replace(PLAN, memory=Memory(samples=2, exemplar_replays=1)))
    latents = np.zeros((2, 3, 3, 1), np.int8)
    remembering = replace(PLAN, memory=Memory(samples=2, exemplar_replays=1))
    with pytest.raises(ExportError, match=r"have shape \[3, 3, 1\]; the engine's have \[7, 7, 8\]"):
        compile_model(digits_net(), remembering, exemplars=Exemplars(latents, np.array([0, 1])))
    good = np.zeros((2, 7, 7, 8), np.int8)
    with pytest.raises(ExportError, match=r"label 10: allowed 0\.\.9"):
        compile_model(digits_net(), remembering, exemplars=Exemplars(good, np.array([0, 10])))
    with pytest.raises(ExportError, match="replays none"):
        compile_model(digits_net(), PLAN, exemplars=Exemplars(good, np.array([0, 1])))
    with pytest.raises(ExportError, match="2 latents and 1 labels"):
        Exemplars(good, np.array([0]))
    with pytest.raises(ExportError, match="has no memory"):
        LivingEngine(compile_model(nets.residual_net(), UpdatePlan()))
    with pytest.raises(ExportError, match="has no memory"):
        LivingSimulator(compile_model(nets.residual_net(), UpdatePlan()).graph, UpdatePlan())
