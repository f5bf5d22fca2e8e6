"""The stream study plays latents through the ops above the cut: the weights are those of the whole engine."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from int8_nets import digits, qat_net, qat_tflite

from tflm_export.compiler import compile_model
from tflm_export.living.choose import latents
from tflm_export.machines.living_host import LivingEngine
from tfodl import LayerUpdate, Memory, Optimizer, UpdatePlan
from tfodl.quantize.layer_map import address

SCRIPTS = Path(__file__).parents[3] / "scripts"
LEARNING = UpdatePlan((LayerUpdate("sep", "out", (0, 3)),), optimizer=Optimizer(0.02), seed=5)


@pytest.fixture(scope="module")
def scripts():
    """The two scripts, as they find each other."""
    sys.path.insert(0, str(SCRIPTS))
    yield importlib.import_module("stream_tasks"), importlib.import_module("stream_study")
    sys.path.remove(str(SCRIPTS))


@pytest.fixture
def cache(tmp_path, scripts):
    """A cache with one small task, as `prepare` writes it, and the pictures behind its latents."""
    tasks, _ = scripts
    plan = address(LEARNING, qat_net(), qat_tflite())
    compiled = compile_model(qat_tflite(), plan)
    x, y = digits(30)
    found = latents(compiled.graph, plan, compiled.to_int8(x))
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "model.tflite").write_bytes(qat_tflite())
    plan.save(folder / "plan.json")
    arrays = {f"{axis}_{part}": v for part in tasks.PARTS for axis, v in (("x", found), ("y", y))}
    np.savez(folder / "latents.npz", **arrays)
    return tmp_path, compiled.to_int8(x), y


def test_the_ops_above_the_cut_make_the_whole_engines_weights(cache, scripts):
    folder, x, y = cache
    task = scripts[0].prepare("small", folder)
    plan = replace(task.plan, memory=Memory(samples=5, replays=2))
    whole, upper = LivingEngine(compile_model(task.tflite, plan)), LivingEngine(task.compile(plan))
    assert len(task.upper.ops) < len(whole.compiled.graph.ops)
    for picture, latent, label in zip(x, task.x["stream"], y.tolist(), strict=True):
        for engine, values in ((whole, picture), (upper, latent)):
            engine.train_step(values[None], label)
            engine.remember(label)
    for name, value in whole.weights().items():
        np.testing.assert_array_equal(upper.weights()[name], value)


def test_the_study_resumes_and_writes_what_it_played(cache, scripts, monkeypatch):
    folder, _, _ = cache
    _, study = scripts
    study.FLAGS(["study", f"--cache={folder}", "--seeds=2"])
    monkeypatch.setitem(study.RATES, "small", (0.01, 0.02))
    path = folder / "runs.jsonl"
    setting = study.Setting("balanced", 1, 1)
    for _ in range(2):  # the second time nothing is left to do
        study.study(study.Runs(path), "small", setting, "classes")
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert [(row["kind"], row["seed"]) for row in rows] == [
            ("rate", 100), ("rate", 100), ("test", 0), ("test", 1)
        ]  # fmt: skip
    assert all(0 <= row["accuracy"]["target"] <= 1 and row["samples"] == 30 for row in rows)
