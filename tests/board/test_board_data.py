"""What a board is given to learn: float vectors with classes, and in a line what it cannot take."""

import numpy as np
import pytest
from nets import residual_net
from task_nets import dense_net

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.input_contract import InputContract
from tflm_export.plan import UpdatePlan
from tflm_export.report.run_lines import read_run_file
from tflm_export.signal_contract import SignalContract
from tfodl.board.samples import load_samples
from tfodl.cli import main

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(0, 1, (30, 6)).astype(np.float32)
SERIES = RNG.normal(0, 1, (30, 6, 2)).astype(np.float32)
PICTURES = RNG.integers(0, 256, (30, 8, 8, 3)).astype(np.uint8)
LABELS = np.arange(30) % 3


@pytest.fixture(scope="module")
def vectors():
    return compile_model(dense_net(6, 8, 3, end="SOFTMAX"), UpdatePlan(), contract=SignalContract((6,)))


@pytest.fixture(scope="module")
def numbers():
    return compile_model(dense_net(6, 8, 2), UpdatePlan(loss="mse"), contract=SignalContract((6,)))


@pytest.fixture(scope="module")
def pictures():
    return compile_model(residual_net(), UpdatePlan(), contract=InputContract.parse("-1..1", (8, 8, 3)))


def test_a_board_learns_float_vectors_with_classes(vectors, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vectors.save(tmp_path / "engine")
    np.savez("data.npz", x=FLOATS, y=LABELS)
    assert main(["board", "learn", "engine", "--data", "data.npz", "--sim"]) == 0
    run = read_run_file("run.jsonl")
    assert len(run.steps) == 24 and {step.label for step in run.steps} == {0, 1, 2}


REFUSED = {
    "pictures for vectors": (
        "vectors",
        PICTURES,
        LABELS,
        "'data.npz' holds pictures; engine 'engine' takes float signals 6",
    ),
    "signals for pictures": (
        "pictures",
        SERIES,
        LABELS,
        "'data.npz' holds float signals 6x2; engine 'engine' takes pictures 8x8x3",
    ),
    "other vectors": ("vectors", FLOATS[:, :4], LABELS, "holds float signals 4; engine 'engine' takes"),
    "more classes": ("vectors", FLOATS, LABELS + 1, "holds classes 1 to 3, engine 'engine' has 0 to 2"),
    "more numbers": (
        "numbers",
        FLOATS,
        FLOATS[:, :3],
        "holds 3 numbers a sample, engine 'engine' learns 2",
    ),
}


@pytest.mark.parametrize("name, x, y, said", REFUSED.values(), ids=REFUSED)
def test_data_that_an_engine_cannot_take(request, name, x, y, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", x=x, y=y)
    with pytest.raises(ValueError, match=said):
        load_samples(request.getfixturevalue(name), "data.npz", "shuffled", 0, None, 9, "source")


@pytest.mark.parametrize("label", [2**40, -(2**31) - 1])
def test_a_label_that_no_board_can_have(client, label):
    x = np.zeros((8, 8, 3), np.int8)
    for ask in (lambda: client.train(x, label), lambda: client.remember(label)):
        with pytest.raises(ExportError, match=f"a class is a number of 32 bits; got {label}"):
            ask()


@pytest.mark.parametrize("rate", [0, -1, float("nan"), 1e40])
def test_a_rate_that_no_board_takes(client, rate):
    with pytest.raises(ExportError, match="must be a number from 1e-30 to 1e"):
        client.set_learning_rate(rate)
