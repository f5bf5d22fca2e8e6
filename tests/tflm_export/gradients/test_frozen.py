"""What no gradient reaches stays bit for bit: frozen weights of -128, and trained ones behind a dead ReLU."""

import numpy as np
import pytest
from tflite_file import O, T, build, fused, oracle

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.machines.host import HostEngine
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.simulate.step import Simulator

DEAD = (1, 4)  # hidden units whose ReLU never opens
OPTIMIZERS = {
    "stochastic": Optimizer(5.0),
    "accumulator": Optimizer(5.0, rounding="accumulator"),
    "momentum": Optimizer(5.0, momentum=0.9),
    "batch": Optimizer(5.0, batch=2, rounding="accumulator"),
}


def dense_net(lowest=-127, bias=-100_000):
    """6 -> 7 with ReLU -> 3; row 5 of the hidden weights holds `lowest`; units `DEAD` have `bias`."""
    rng = np.random.default_rng(0)
    hidden, head = rng.integers(-127, 128, (7, 6)), rng.integers(-127, 128, (3, 7))
    hidden[5, 2], head[0, :] = lowest, 127
    biases = np.zeros(7, np.int32)
    biases[list(DEAD)] = bias
    tensors = [
        T("x", (1, 6), scale=0.02),
        T("hidden/w", (7, 6), scale=0.01, data=hidden.astype(np.int8)),
        T("hidden/b", (7,), "int32", 2e-4, data=biases),
        T("hidden", (1, 7), scale=0.05, zero=-128),
        T("head/w", (3, 7), scale=0.005, data=head.astype(np.int8)),
        T("logits", (1, 3), scale=0.1),
    ]
    ops = [
        O("FULLY_CONNECTED", ["x", "hidden/w", "hidden/b"], ["hidden"], fused("RELU")),
        O("FULLY_CONNECTED", ["hidden", "head/w", ""], ["logits"], fused("NONE")),
    ]
    return build(tensors, ops, ["x"], ["logits"])


def trained(compiled, steps=12):
    """Weights after some steps, of the host engine; numpy has the same."""
    engine, simulator = HostEngine(compiled), Simulator(compiled.graph, compiled.plan)
    xs = np.random.default_rng(1).integers(-128, 128, (steps, 1, 6)).astype(np.int8)
    for i, x in enumerate(xs):
        engine.train_step(x, i % 3)
        simulator.train_step(x, i % 3)
    for name, weights in engine.weights().items():
        np.testing.assert_array_equal(weights, simulator.weights[name])
    return engine.weights()


@pytest.mark.parametrize("gradients", ["int16", "float32"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_units_without_a_gradient_stay(optimizer, gradients):
    data = dense_net()
    plan = UpdatePlan((LayerUpdate("#0", "out", tuple(range(7)), "all"),), optimizer=optimizer, seed=3)
    compiled = compile_model(data, plan, gradients=gradients)
    after, start = trained(compiled), compiled.graph.tensors
    for name in ("hidden/w", "hidden/b"):
        changed = np.flatnonzero((after[name] != start[name].data).reshape(7, -1).any(axis=1))
        assert set(changed).isdisjoint(DEAD) and len(changed) >= 4


def test_frozen_weights_of_minus_128_stay():
    data = dense_net(lowest=-128)
    rows = tuple(unit for unit in range(7) if unit != 5)
    compiled = compile_model(data, UpdatePlan((LayerUpdate("#0", "out", rows),), optimizer=Optimizer(5.0)))
    x = np.random.default_rng(2).integers(-128, 128, (1, 6)).astype(np.int8)
    np.testing.assert_array_equal(HostEngine(compiled).infer(x), oracle(data, x)[0])
    after, start = trained(compiled)["hidden/w"], compiled.graph.tensors["hidden/w"].data
    assert (after != start).any() and after[5].tolist() == start[5].tolist() and after[5, 2] == -128


def test_weights_and_biases_outside_a_step_s_range_do_not_train():
    with pytest.raises(ExportError, match="'hidden/w' hold -128; allowed where they train: -127 to 127"):
        compile_model(dense_net(lowest=-128), UpdatePlan((LayerUpdate("#0", "out", (2, 5)),)))
    with pytest.raises(ExportError, match="'hidden/b' exceeds 2.30 steps; leave its bias frozen"):
        compile_model(dense_net(bias=-(2**30) - 1), UpdatePlan((LayerUpdate("#0", "out", (1,), "selected"),)))
    compile_model(dense_net(bias=-(2**30) - 1), UpdatePlan((LayerUpdate("#0", "out", (1,)),)))
