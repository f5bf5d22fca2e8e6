"""`UpdatePlan`: JSON round trip and validation."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflm_export import plan as plan_module
from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tflm_export.layer_update import BIASES
from tflm_export.plan import Budget, Guard, LayerUpdate, Memory, Optimizer, UpdatePlan
from tfodl.cli import main, plan_table

counts = st.none() | st.integers(0, 2**40)
layers = st.builds(
    lambda name, axis, channels, bias: LayerUpdate(name, axis, tuple(sorted(channels)), bias),
    st.text(min_size=1, max_size=12),
    st.just("out"),
    st.sets(st.integers(0, 500), max_size=8),
    st.sampled_from(BIASES),
)
replays = st.integers(0, 9)
memories = st.builds(
    Memory, st.integers(1, 500), st.none(), replays, replays, st.sampled_from(plan_module.POLICIES)
)
plans = st.builds(
    UpdatePlan,
    st.lists(layers, max_size=4, unique_by=lambda layer: layer.name).map(tuple),
    st.booleans(),
    st.builds(Budget, counts, counts, counts, counts),
    st.builds(Optimizer, st.floats(1e-6, 10), st.floats(0, 0.99), st.integers(1, 64)),
    st.sampled_from(["crossentropy", "mse"]),
    st.integers(0, 2**32 - 1),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)
living = st.builds(
    UpdatePlan, candidates=st.lists(st.text(min_size=1, max_size=9)).map(tuple), memory=st.none() | memories
) | st.builds(
    UpdatePlan,
    memory=memories,
    guard=st.builds(Guard, st.integers(1, 99), st.integers(2, 9), st.integers(0, 99)),
)


@given(plans | living)
def test_json_round_trip(plan):
    assert UpdatePlan.from_json(plan.to_json()) == plan


def test_what_a_plan_does_not_use_is_not_in_its_json():
    assert not {"memory", "candidates", "guard"} & set(json.loads(UpdatePlan().to_json()))


@given(plans | living)
def test_every_plan_prints(plan):
    assert len(plan_table(plan).splitlines()) >= 3 + len(plan.layers)


def test_what_the_device_remembers_is_in_the_table():
    text = plan_table(UpdatePlan(candidates=("conv_1", "conv_2"), memory=Memory(samples=20)))
    assert "candidates: conv_1, conv_2" in text
    assert "memory: samples 20, replays 3, exemplar_replays 0, policy reservoir, where ram" in text


@pytest.mark.parametrize(
    "change, words",
    [
        ({"layers": [{"name": "a", "channels": [3, 1]}]}, "sorted"),
        ({"layers": [{"name": "a", "channels": [-1]}]}, "whole numbers"),
        ({"layers": [{"name": "a", "axis": "up"}]}, "axis"),
        ({"layers": [{"name": "a", "axis": "in", "bias": "selected"}]}, "selected"),
        ({"layers": [{"channels": []}]}, "'name' is missing"),
        ({"layers": [{"name": "a"}, {"name": "a"}]}, "more than once"),
        ({"layers": {}}, "must be a list"),
        ({"layers": [], "version": 9}, "version"),
        ({"layers": [], "surprise": 1}, "unknown field"),
        ({"layers": [], "seed": 2**32}, "seed"),
        ({"layers": [], "head": 1}, "head"),
        ({"layers": [], "loss": "hinge"}, "loss"),
        ({"layers": [], "budget": {"params": -1}}, "params"),
        ({"layers": [], "budget": {"params": True}}, "params"),
        ({"layers": [], "optimizer": {"learning_rate": 0}}, "learning_rate"),
        ({"layers": [], "optimizer": {"momentum": 1}}, "momentum"),
        ({"layers": [], "optimizer": {"rounding": "up"}}, "rounding"),
        ({"layers": [], "optimizer": {"batch": 0}}, "batch"),
        ({"layers": [], "optimizer": {"batch": 10**12}}, "batch must be a whole number from 1 to 32768"),
        ({"layers": [], "optimizer": {"learning_rate": True}}, "learning_rate"),
        ({"layers": [], "optimizer": {"momentum": False}}, "momentum"),
        ({"layers": [], "candidates": [3]}, "candidates"),
        ({"layers": [], "candidates": "conv"}, "candidates"),
        ({"layers": [], "memory": {}}, "samples or as bytes"),
        ({"layers": [], "memory": {"samples": 9, "bytes": 9}}, "samples or as bytes"),
        ({"layers": [], "memory": {"samples": 9, "policy": "newest"}}, "policy"),
        ({"layers": [], "memory": {"samples": 9, "replays": -1}}, "replays"),
        ({"layers": [], "memory": {"bytes": 900, "where": "cloud"}}, "where"),
        ({"layers": [], "memory": {"bytes": 900}, "loss": "mse"}, "crossentropy"),
        ({"layers": [], "guard": {}}, "no memory"),
        ({"layers": [], "memory": {"bytes": 900}, "guard": {"samples": 0}}, "Guard: samples"),
        ({}, "'layers' is missing"),
        ([], "expected an object"),
    ],
)
def test_bad_plans_are_named(change, words):
    with pytest.raises(TfodlError, match=words):
        UpdatePlan.from_json(json.dumps(change))


@pytest.mark.parametrize("text", ["", "{", "null", "[" * 100_000, '{"layers": [1]}'])
def test_text_that_is_no_plan(text):
    with pytest.raises(TfodlError):
        UpdatePlan.from_json(text)


def test_a_missing_file_is_one_line_and_status_2(tmp_path, capsys):
    assert main(["plan", "show", str(tmp_path / "none.json")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("tfodl: ") and error.count("\n") == 1 and "none.json" in error


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    target = tmp_path / "plan.json"
    write_text(target, "old")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(TfodlError, match="No space left"):
        write_text(target, "new")
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_unwritable_folder(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(TfodlError, match="cannot write"):
        UpdatePlan().save(blocker / "plan.json")


def test_a_memory_without_classes_says_what_to_do():
    with pytest.raises(TfodlError, match="the loss is 'mse'.*--loss crossentropy"):
        UpdatePlan(loss="mse", memory=Memory(5))
