"""One small engine and its sketch, built once."""

import numpy as np
import pytest
from nets import residual_net
from serial_board import WatchedBoard, sanitized

from tflm_export.compiler import compile_model
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan

PLAN = UpdatePlan(
    layers=(LayerUpdate("#3", "out", (0, 2), "all"),),
    head=True,
    optimizer=Optimizer(0.01, momentum=0.5, batch=2),
)
NAMES = ("ant", "bee", "cat", 'dog?? "é"\\')


@pytest.fixture(scope="session")
def compiled():
    return compile_model(residual_net(), PLAN)


@pytest.fixture(scope="session")
def program(compiled, tmp_path_factory):
    return sanitized(compiled, tmp_path_factory.mktemp("serial"), NAMES)


@pytest.fixture(scope="module")
def board(compiled, program):
    """Under sanitizers, and plugged in."""
    with WatchedBoard(compiled, program=program) as board:
        yield board


@pytest.fixture
def lines():
    return []


@pytest.fixture
def client(board, lines):
    with board.client(timeout=5, on_text=lines.append) as client:
        client.reset()
        yield client


@pytest.fixture
def pictures():
    def draw(count, seed=0):
        rng = np.random.default_rng(seed)
        return rng.integers(-128, 128, (count, 1, 8, 8, 3)).astype(np.int8), rng.integers(0, 4, count)

    return draw
