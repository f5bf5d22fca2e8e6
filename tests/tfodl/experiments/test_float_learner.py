"""The same trainings in float: what they share with those in int8, what is frozen, what a budget buys."""

from __future__ import annotations

import numpy as np
import pytest
from spots import half_trained, spots

from tflm_export.errors import TfodlError
from tfodl.experiments.float_learner import FloatLearner
from tfodl.experiments.learner import Recipe
from tfodl.experiments.transfer import head_of

RECIPE = Recipe(pictures=32, held_out=8, epochs=2, batch_size=8)
SHARE = {"params_share": 0.5}


@pytest.fixture(scope="module")
def learner():
    return FloatLearner(spots())


@pytest.fixture(scope="module")
def runs(learner):
    rules = ("head", "velocity", "sparse_update", "velocity_scheme_first", "random_scheme_first", "all")
    return {name: learner.run(RECIPE, name, SHARE, 0.05, 0, False) for name in rules}


def test_rules_keep_the_budget_and_are_tried_after_every_epoch(learner, runs):
    limit = learner.budget(SHARE).params
    for name, run in runs.items():
        assert len(run["test_accuracy"]) == 2 and "ram_bytes" not in run
        assert run["test_accuracy"][-1] == pytest.approx(run["accuracy"], abs=1e-4)
        if name not in ("head", "all"):
            assert all(limit / 4 < params <= limit for params in run["params"]), name
    assert runs["head"]["params"] == [0, 0] and runs["all"]["params"][0] > limit
    assert runs["head"]["flops_saved"][0] > runs["velocity"]["flops_saved"][0] > 0


def test_a_scheme_comes_first_and_the_rule_after_it(learner, runs):
    """The first epoch is Sparse Update's, to the picture; then the rule chooses."""
    for name in ("velocity_scheme_first", "random_scheme_first"):
        assert runs[name]["train_accuracy"][0] == runs["sparse_update"]["train_accuracy"][0]
        assert runs[name]["params"][0] == runs["sparse_update"]["params"][0]
        layers = {entry["name"]: entry["axis"] for entry in runs[name]["plan"]["layers"]}
        assert set(layers.values()) == {"out"}
    assert runs["sparse_update"]["plan"]["layers"][0]["bias"] == "all"


def test_same_seed_same_run_after_all_others(learner, runs):
    again = learner.run(RECIPE, "velocity", SHARE, 0.05, 0, False)
    assert {**again, "seconds": 0} == {**runs["velocity"], "seconds": 0}
    other = learner.run(RECIPE, "velocity", SHARE, 0.05, 1, False)
    assert other["train_accuracy"] != again["train_accuracy"]


def test_the_head_is_that_of_the_int8_training(learner):
    learner.reset(4)
    kernel = head_of(learner.int8).kernel
    real = (kernel.numpy() * kernel.quantum.scale).astype(np.float32)
    assert np.array_equal(learner.model.get_weights()[-2], real)
    assert not learner.model.get_weights()[-1].any() and kernel.numpy().std() > 2


def test_a_masked_step_is_keras_step(learner):
    """The same plan and pictures: frozen weights bit for bit as they were, the others as by Keras."""
    first, *found = half_trained(learner, RECIPE)
    groups = [group for group in learner.model.groups if not group.head]
    for one, other, start in zip(*found, first, strict=True):
        assert np.allclose(one, other, atol=1e-5) and not np.array_equal(one, start)
    for kernel, start, group in zip(found[0][:-2:2], first[:-2:2], groups, strict=True):
        along = np.moveaxis(kernel - start, group_axis(group), 0)
        assert not along[1::2].any() and along[0::2].any()


def group_axis(group):
    """Where a kernel has its output channels: a depthwise filter next to last."""
    return -2 if group.kind == "depthwise" else -1


def test_a_net_in_float_has_no_bytes(learner):
    with pytest.raises(TfodlError, match="a net in float has no engine; give params_share"):
        learner.run(RECIPE, "random", {"ram_share": 0.5}, 0.05, 0, False)
