"""The person / no person experiment at the smallest scale: that it runs, resumes, and writes what it says."""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tfodl import SelectiveModel, TfodlError, models, neuron_groups
from tfodl.models.mcunet import mcunet

SCRIPT = Path(__file__).parents[3] / "scripts" / "reproduce_vww.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("reproduce_vww", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["reproduce_vww"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["reproduce_vww"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with a few random pictures and weights in the published format."""
    rng = np.random.default_rng(0)
    (tmp_path / "weights").mkdir()
    model = mcunet("mbv2-w0.35", (32, 32, 3), 2, batchnorm=False)
    arrays = {}
    for layer in model.layers:
        for part, value in zip("wb", layer.get_weights(), strict=False):
            arrays[f"{layer.name}.{part}"] = value
    np.savez(tmp_path / "weights" / "mcunetv3_mbv2-w0.35_128.npz", **arrays)
    pictures = rng.integers(0, 256, (100, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(100) % 2
    split = {"x_train": pictures[:80], "y_train": labels[:80], "x_test": pictures[80:], "y_test": labels[80:]}
    np.savez(tmp_path / "dots.npz", **split)
    monkeypatch.setenv("TFODL_DATA", str(tmp_path))
    return tmp_path


def config(script):
    return script.Config(
        data="dots", size=32, train_limit=16, test_limit=20, probe_epochs=1, epochs=2, batch_size=8
    )


def test_every_method_trains_what_it_should(script, data):
    options = dataclasses.replace(config(script), epochs=1)
    outcome = script.train(dataclasses.asdict(options), "head", seed=0)
    assert outcome["share"] == 0 and len(outcome["accuracy"]) == 1 and outcome["test"] == 20
    model = SelectiveModel(models.build("mbv2-w0.35", input_shape=(32, 32, 3), classes=2, weights="imagenet"))
    shares = {}
    for method in script.METHODS:
        rule = script._selection(method, options, np.zeros((2, 32, 32, 3), np.float32), 0, model)
        rule.set_model(model)
        rule.on_train_begin()
        rule.on_epoch_begin(0)
        shares[method] = model.cost.share
    assert shares["head"] == 0 and shares["all"] == 1
    assert 0.08 < shares["random"] <= 0.088 and 0.08 < shares["velocity"] <= 0.088
    assert shares["sparse_update"] == pytest.approx(0.1045, abs=1e-4)


def test_results_are_written_from_finished_jobs_alone(script, data, tmp_path, monkeypatch):
    """All jobs stand in the results file: nothing is trained, everything is drawn."""
    options, out = config(script), tmp_path / "out"
    out.mkdir()
    jobs = [
        {"config": dataclasses.asdict(options), "method": method, "seed": seed}
        for seed in range(2)
        for method in ("head", "velocity")
    ]
    costs = {"test": 20, "params": 10, "share": 0.1, "ram_bytes": 1024, "macs": {}, "scheme": None}
    accuracy = iter([[0.5, 0.6], [0.5, 0.8], [0.5, 0.7], [0.5, 0.9]])
    rows = [
        {
            "key": script.sweep.key_of(script.train, j),
            "arguments": j,
            "result": {"accuracy": next(accuracy)} | costs,
        }
        for j in jobs
    ]
    (out / "jobs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = script.main(options, out, methods=("head", "velocity"), seeds=2, workers=1)
    assert json.loads((out / "results.json").read_text()) == results
    assert results["methods"]["head"]["accuracy_mean"] == pytest.approx(0.65)
    assert results["methods"]["velocity"]["accuracy_std"] == pytest.approx(np.std([0.8, 0.9], ddof=1))
    assert "not Visual Wake Words" in results["scale"] and "16 train" in results["scale"]
    assert (out / "results.png").read_bytes()[:4] == b"\x89PNG"
    assert "| velocity | 85.0 ± 7.1 % | 10.0% | 1.0 |" in (out / "results.md").read_text()
    assert results["test_error"] == pytest.approx(
        np.mean([np.sqrt(a * (1 - a) / 20) for a in (0.6, 0.8, 0.7, 0.9)])
    )


def test_nearest_scheme_is_by_share(script, data):
    groups = neuron_groups(mcunet("mbv2-w0.35", (32, 32, 3), 2, batchnorm=False))
    name = script.nearest_scheme(script.Config(model="mbv2-w0.35", budget=0.2), groups)
    assert name == "mbv2-w0.35-73kb"  # 17.5 %, against 10.5 and 24.6 %
    tiny = neuron_groups(models.build("tiny_mobilenet", input_shape=(28, 28, 1), classes=2))
    with pytest.raises(TfodlError, match="no Sparse Update scheme"):
        script.nearest_scheme(script.Config(model="tiny_mobilenet"), tiny)


def test_bad_requests_are_refused(script, tmp_path):
    with pytest.raises(TfodlError, match=r"\['magic'\] are unknown; allowed: head, random"):
        script.main(script.Config(), tmp_path, methods=("magic",))
    with pytest.raises(TfodlError, match="seeds"):
        script.main(script.Config(), tmp_path, seeds=0)
