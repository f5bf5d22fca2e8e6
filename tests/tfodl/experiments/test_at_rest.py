"""NEq and SCoTTi trainings at the smallest scale: what rests, what is learned, what is paired."""

import dataclasses

import numpy as np
import pytest

from tflm_export.errors import TfodlError
from tfodl.experiments.at_rest import Config, train

TINY = Config("dots", "resnet8", 0.25, train_limit=24, held_out=8, epochs=3, batch_size=8, learning_rate=0.01)


@pytest.fixture
def data(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (60, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(60) % 2
    split = {"x_train": pictures[:40], "y_train": labels[:40], "x_test": pictures[40:], "y_test": labels[40:]}
    np.savez(tmp_path / "dots.npz", **split)
    monkeypatch.setenv("TFODL_DATA", str(tmp_path))


def test_all_train_first_and_those_at_rest_stop(data):
    found = train({**dataclasses.asdict(TINY), "eps": 0.05}, "neq", seed=0)
    assert found["updated_share"][0] == 1.0 and 0 < found["updated_share"][-1] < 1
    assert found["flops_saved_paper"][-1] > found["flops_saved"][-1] > 0
    right = np.unpackbits(np.frombuffer(bytes.fromhex(found["correct"]), np.uint8))[: found["test"]]
    assert right.mean() == pytest.approx(found["accuracy"][-1], abs=1e-5) and len(found["accuracy"]) == 3


def test_a_threshold_is_learned_where_that_is_asked(data):
    learned = train(dataclasses.asdict(TINY), "scotti", seed=0)["eps"]
    assert len(set(learned)) > 1


def test_what_is_no_method_is_refused():
    with pytest.raises(TfodlError, match="methods: no 'rest'; allowed: all, neq, scotti"):
        train({}, "rest", seed=0)
