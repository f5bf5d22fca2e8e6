"""`quantize` makes the plan of a device that chooses."""

import keras
import numpy as np
import pytest
from keras import layers as L

from tflm_export.compiler import compile_model
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.pool import Pool
from tfodl.cli import main


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A small net and pictures for it, in the working folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 8, 8, 1), np.uint8), np.arange(40) % 2
    np.savez("data.npz", x_train=x, y_train=y, x_test=x[:8], y_test=y[:8])
    layers = [L.Conv2D(4, 3, name="low"), L.Conv2D(6, 3, name="high"), L.GlobalAveragePooling2D(), L.Dense(2)]
    keras.Sequential([keras.Input((8, 8, 1)), *layers]).save("mine.keras")
    return ["quantize", "--model", "mine.keras", "--data", "data.npz", "--input=-1..1", "--epochs", "1"]


def test_candidates_by_their_keras_names(job, tmp_path):
    chooses = [
        "--candidates",
        "low,high",
        "--pool",
        "200",
        "--rule",
        "velocity",
        "--epoch",
        "9",
        "--memory",
        "20",
    ]
    assert main([*job, *chooses, "--memory", "20", "--out", "int8"]) == 0
    plan = UpdatePlan.load("int8/plan.json")
    assert plan.pool == Pool(200, "velocity", epoch=9) and plan.memory == Memory(samples=20)
    facts = compile_model((tmp_path / "int8" / "model.tflite").read_bytes(), plan).facts["pool"]
    assert (facts["layers"], facts["channels"]) == (2, 10)


def test_a_pool_for_a_board(job, capsys):
    assert main([*job, "--fit", "nano33ble", "--rule", "random", "--out", "int8"]) == 0
    plan = UpdatePlan.load("int8/plan.json")
    assert len(plan.candidates) == 2 and plan.pool.rule == "random" and plan.pool.bytes >= 58 and plan.memory
    assert f"--pool {plan.pool.bytes} --memory 40" in capsys.readouterr().out


def test_refusals_before_training(job, capsys):
    for options, message in (
        (["--candidates", "deep", "--pool", "1KB", "--memory", "20"], "layers ['deep'] are not in the model"),
        (["--fit", "nano33ble", "--pool", "1KB"], "leave --candidates and --pool out"),
        (["--rule", "random"], "give --pool 20KB"),
    ):
        assert main([*job, *options, "--out", "int8"]) == 2
        printed = capsys.readouterr()
        assert message in printed.err and "Epoch" not in printed.out
