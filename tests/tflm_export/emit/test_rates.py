"""What is no learning rate is refused by engine, numpy and plan alike; the engine tells its health."""

import numpy as np
import pytest
from nets import residual_net

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.machines.host import HostEngine
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import samples
from tflm_export.simulate.step import Simulator

NO_RATES = (0.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e20, 1e-40)
PLAN = UpdatePlan((LayerUpdate("#2", "out", (1, 4), "selected"), LayerUpdate("#3", "out", (0, 2), "all")))


@pytest.fixture(scope="module")
def compiled():
    return compile_model(residual_net(), PLAN)


@pytest.fixture(scope="module")
def engine(compiled):
    return HostEngine(compiled)


@pytest.mark.parametrize("rate", NO_RATES)
def test_no_rate_is_refused_everywhere_and_changes_nothing(compiled, engine, rate):
    simulator = Simulator(compiled.graph, compiled.plan)
    engine.reset()
    for learner in (engine.set_learning_rate, lambda r: setattr(simulator, "learning_rate", r)):
        with pytest.raises(ExportError, match="learning_rate must be a number from 1e-30 to 1e"):
            learner(rate)
    with pytest.raises(TfodlError, match="learning_rate must be a number"):
        Optimizer(learning_rate=rate)
    (x,), (t,) = (rows[:1] for rows in samples(compiled, None, None, 0))
    engine.train_step(x, t)
    simulator.train_step(x, t)
    assert all((engine.weights()[n] == simulator.weights[n]).all() for n in simulator.weights)


def test_the_largest_and_the_smallest_rate_are_taken(compiled, engine):
    engine.reset()
    flashed = engine.weights()
    (x,), (t,) = (rows[:1] for rows in samples(compiled, None, None, 0))
    engine.set_learning_rate(1e-30)
    engine.train_step(x, t)
    assert all((engine.weights()[n] == flashed[n]).all() for n in flashed)
    engine.set_learning_rate(1e6)
    engine.train_step(x, t)
    assert any((engine.weights()[n] != flashed[n]).any() for n in flashed)


@pytest.mark.parametrize("gradients", ["int16", "float32"])
def test_a_step_moves_a_weight_by_at_most_eight(gradients):
    compiled = compile_model(residual_net(), PLAN, gradients=gradients)
    simulator, furthest = Simulator(compiled.graph, compiled.plan), 0
    simulator.learning_rate = 1e6
    for x, t in zip(*(rows[:6] for rows in samples(compiled, None, None, 0)), strict=True):
        before = {name: w.astype(int) for name, w in simulator.weights.items() if w.dtype == np.int8}
        simulator.train_step(x, t)
        furthest = max(furthest, *(np.abs(simulator.weights[n] - w).max() for n, w in before.items()))
    assert furthest == 8


def test_health_is_the_share_of_weights_at_the_ends(engine):
    engine.reset()
    start, shares = engine.weights(), []
    for sign in (0, 1, -1):
        wrecked = {
            n: np.where(np.arange(w.size).reshape(w.shape) % 2, 127 * sign, w) for n, w in start.items()
        }
        engine.load_weights(wrecked if sign else start)
        stored = [engine._parameter(i, v) for i, v in enumerate(engine._variables) if not v.bias]
        every = np.concatenate([w.reshape(-1) for w in stored])
        shares.append(engine.saturated_share())
        assert shares[-1] == pytest.approx((np.abs(every) == 127).mean())
    assert shares[0] < 0.02 and min(shares[1:]) > 0.4
    engine.reset()
    assert engine.saturated_share() == shares[0]
