"""The serial protocol and the sketch's running score for tasks other than choosing a class."""

import numpy as np
import pytest
from serial_board import WatchedBoard
from streaming_nets import keyword_net
from task_nets import dense_net

from tflm_export.board.learned import read_weights
from tflm_export.compiler import compile_model
from tflm_export.plan import Optimizer, UpdatePlan
from tflm_export.simulate.step import Simulator

TASKS = {  # net, loss, bytes of a target, the plotter's name of the score
    "bce": (dense_net(6, 8, 3, end="LOGISTIC"), "bce", 3, "acc"),
    "autoencoder": (dense_net(12, 8, 12), "reconstruction", 0, "mean"),
}


@pytest.mark.parametrize("task", TASKS)
def test_a_board_learns_its_task(task):
    net, loss, target_bytes, name = TASKS[task]
    compiled, lines, scores = compile_model(net, UpdatePlan(loss=loss)), [], []
    simulator, rng = Simulator(compiled.graph, compiled.plan), np.random.default_rng(0)
    with WatchedBoard(compiled) as board, board.client(timeout=5, on_text=lines.append) as client:
        assert client.info().target_bytes == target_bytes
        for _ in range(4):
            x = rng.integers(-128, 128, compiled.input.shape).astype(np.int8)
            target = rng.integers(0, 2, target_bytes).astype(np.int8) if target_bytes else None
            logits = simulator.logits(x).reshape(-1)
            result = client.train(x, target)
            assert result.loss == pytest.approx(simulator.train_step(x, target), rel=1e-3)
            assert result.predicted == -1
            scores.append(np.mean((logits > 3) == target) if target_bytes else result.loss)
        for tensor, array in read_weights(client, compiled).items():
            np.testing.assert_array_equal(array, simulator.weights[tensor])
        label, outputs = client.predict(x)
        np.testing.assert_array_equal(outputs, simulator.infer(x).reshape(-1))
        assert label == (-1 if target is None else outputs.argmax())
    last = dict(part.split(":") for part in lines[-1].split("\t"))
    assert list(last) == ["loss", name] and float(last[name]) == pytest.approx(np.mean(scores), abs=2e-3)


def test_a_net_that_remembers_learns_a_step_a_frame():
    """A step goes on from the state that the frame before it left, and so does an answer."""
    compiled = compile_model(keyword_net(), UpdatePlan(optimizer=Optimizer(0.05)))
    simulator, rng = Simulator(compiled.graph, compiled.plan), np.random.default_rng(0)
    with WatchedBoard(compiled) as board, board.client(timeout=5) as client:
        for label in (0, 2, 1, 0):
            x = rng.integers(-128, 128, compiled.input.shape).astype(np.int8)
            assert client.train(x, label).loss == pytest.approx(simulator.train_step(x, label), rel=1e-3)
            _, outputs = client.predict(x)
            np.testing.assert_array_equal(outputs, simulator.infer(x).reshape(-1))
        for tensor, array in read_weights(client, compiled).items():
            np.testing.assert_array_equal(array, simulator.weights[tensor])
