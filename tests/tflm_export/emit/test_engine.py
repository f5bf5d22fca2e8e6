"""The emitted engine, built for the host: = numpy = TFLite Micro, bit for bit, for every kind of plan."""

import keras_nets as nets
import numpy as np
import pytest
from engine_cases import CASES

from tflm_export.compiler import compile_model
from tflm_export.machines.host import HostEngine
from tflm_export.machines.tflm import tflm_outputs
from tflm_export.report.verify import gradient_cosines, samples
from tflm_export.simulate.step import Simulator
from tflm_export.variable import variables


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request):
    make, plan = CASES[request.param]
    compiled = compile_model(make(), plan)
    return compiled, HostEngine(compiled)


def test_inference_is_that_of_tflite_micro(case):
    compiled, engine = case
    simulator = Simulator(compiled.graph, compiled.plan)
    xs = nets.random_inputs(compiled.graph, 256)
    for x, expected in zip(xs, tflm_outputs(compiled, xs), strict=True):
        np.testing.assert_array_equal(engine.infer(x), expected)
    np.testing.assert_array_equal(simulator.infer(xs[0]), engine.infer(xs[0]))
    np.testing.assert_array_equal(simulator.logits(xs[0]), engine.logits(xs[0]))
    assert engine.predict(xs[0]) == int(engine.infer(xs[0]).argmax())


def test_training_is_that_of_numpy(case):
    compiled, engine = case
    engine.reset()
    simulator = Simulator(compiled.graph, compiled.plan)
    start = engine.weights()
    xs, ts = samples(compiled, None, None, seed=1)
    for i, (x, t) in enumerate(zip(xs[:40], ts[:40], strict=True)):
        if i == 30:
            simulator.learning_rate = compiled.plan.optimizer.learning_rate / 3
            engine.set_learning_rate(simulator.learning_rate)
        assert engine.train_step(x, t) == pytest.approx(simulator.train_step(x, t), rel=1e-4, abs=3e-5)
        if i % 8 == 7:
            for name, weights in engine.weights().items():
                np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=f"{name} step {i}")
    moved = {name for name, weights in engine.weights().items() if (weights != start[name]).any()}
    assert moved == set(start)
    for variable in variables(compiled.graph):  # what is not named stays
        name, axis = variable.tensor, variable.axis
        frozen = [c for c in range(start[name].shape[axis]) if c not in variable.channels]
        assert np.take(engine.weights()[name] == start[name], frozen, axis=axis).all()


def test_reset_and_load(case):
    compiled, engine = case
    engine.reset()
    start = engine.weights()
    xs, ts = samples(compiled, None, None, seed=2)
    for x, t in zip(xs[:6], ts[:6], strict=True):
        engine.train_step(x, t)
    trained, output = engine.weights(), engine.infer(xs[0])
    engine.reset()
    for name, weights in engine.weights().items():
        np.testing.assert_array_equal(weights, start[name])
        np.testing.assert_array_equal(weights, compiled.graph.tensors[name].data)
    engine.load_weights(trained)
    np.testing.assert_array_equal(engine.infer(xs[0]), output)


def test_gradients_agree_with_float64(case):
    compiled, _ = case
    xs, ts = samples(compiled, None, None, seed=3)
    cosines = gradient_cosines(compiled, xs[:12], ts[:12])
    assert min(cosines.values()) > 0.999, cosines


def test_the_plan_states_the_memory(case):
    compiled, _ = case
    memory = compiled.memory
    assert memory.lower_bound <= memory.arena <= 1.03 * memory.lower_bound
    assert memory.arena == max(memory.offsets[b.name] + b.room for b in memory.buffers)
