"""One training under each rule, on a tiny int8 net: what is paired, what is spent, what is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from spots import half_trained, spots

from tflm_export.errors import TfodlError
from tfodl.experiments.learner import DEVICE, Int8Learner, Recipe
from tfodl.experiments.rules import RULES, Setting, all_but_head, ram_budget, rule
from tfodl.experiments.transfer import Task, draw_head, head_of

RULES_RUN = ("head", "velocity", "top_layers_random", "importance_random", "sparse_update", "all")
RECIPE = Recipe(pictures=32, held_out=8, epochs=2, batch_size=8)
HALF = {"ram_share": 0.5}


@pytest.fixture(scope="module")
def learner():
    return Int8Learner(spots())


@pytest.fixture(scope="module")
def runs(learner):
    return {name: learner.run(RECIPE, name, HALF, 0.02, 1, False) for name in RULES_RUN}


def test_every_rule_keeps_the_budget_and_spends_some(learner, runs):
    budget = learner.budget(HALF).ram_bytes
    least, most = (set(runs[name]["ram_bytes"]) for name in ("head", "all"))
    assert len(least) == len(most) == 1 and budget == (min(least) + min(most)) // 2
    for name, run in runs.items():
        if name not in ("head", "all"):
            assert all(min(least) < ram <= budget for ram in run["ram_bytes"]), name
            assert all(0 < params < runs["all"]["params"][0] for params in run["params"]), name
    assert runs["head"]["params"] == [0, 0]
    assert runs["head"]["backward_macs"] < runs["velocity"]["backward_macs"]


def test_accuracy_is_of_the_bits(runs):
    for run in runs.values():
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(run["correct"]), np.uint8))[: run["test"]]
        assert run["test"] == 100 and bits.mean() == pytest.approx(run["accuracy"], abs=1e-5)


def test_same_seed_same_run_after_all_others(learner, runs):
    again = learner.run(RECIPE, "velocity", HALF, 0.02, 1, False)
    assert {**again, "seconds": 0} == {**runs["velocity"], "seconds": 0}
    other = learner.run(RECIPE, "velocity", HALF, 0.02, 2, False)
    assert other["train_accuracy"] != again["train_accuracy"]


def test_rules_start_from_the_same_head_and_pictures(learner):
    seen = [learner._data(RECIPE, 3, False) for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(seen[0][:2], seen[1][:2], strict=True))
    assert len(seen[0][1]) == 32 and len(seen[0][2][1]) == 8
    heads = []
    for seed in (3, 4, 3):
        draw_head(learner.model, seed)
        heads.append(np.asarray(head_of(learner.model).kernel))
    assert np.array_equal(heads[0], heads[2]) and not np.array_equal(heads[0], heads[1])


def test_rates_are_chosen_without_test_pictures(learner):
    x, _, (held, _), x_test, _ = learner._data(RECIPE, 0, True)
    train = {row.tobytes() for row in learner.start.x["int8", "train"]}
    assert all(row.tobytes() in train for row in x_test) and len(x_test) == 60
    learned = {row.tobytes() for row in (*x, *held)}
    assert not any(row.tobytes() in learned for row in x_test)


def test_a_masked_step_is_keras_step(learner):
    """The same plan, pictures and random numbers: frozen weights as they were, trained ones as by Keras but
    where a step lay at a rounding's edge, within the rounding of float32 sums."""
    first, *after = half_trained(learner, RECIPE)
    found = [np.concatenate([w.ravel() for w in weights]) for weights in after]
    start = np.concatenate([w.ravel() for w in first])
    assert (found[0] != start).mean() > 0.04
    assert (found[0] != found[1]).mean() < 0.004 and np.abs(found[0] - found[1]).max() <= 2
    frozen = np.concatenate(
        [np.broadcast_to(np.arange(w.shape[-1]) % 2 == 1, w.shape).ravel() for w in first[:-2]]
    )
    assert np.array_equal(found[0][: frozen.size][frozen], start[: frozen.size][frozen])


def test_fixed_rules_stay_and_go_from_the_output_down(learner):
    x, y, held_out, *_ = learner._data(RECIPE, 0, False)
    setting = Setting(learner.budget({"ram_share": 0.8}), held_out, 0, DEVICE, learner.engine)
    plans = {}
    for name in ("static_random", "last_layers", "sparse_update"):
        chosen = rule(name, setting)
        learner.model.fit(x[:8], y[:8], epochs=2, batch_size=8, verbose=0, callbacks=[chosen])
        assert chosen.plans[0].layers == chosen.plans[1].layers != (), name
        plans[name] = chosen.plans[0]
    every = all_but_head(learner.model.groups).layers
    whole = [(entry.name, entry.channels) for entry in every]
    last = [(entry.name, entry.channels) for entry in plans["last_layers"].layers]
    assert last[-1] == whole[-1] and whole[0] not in last
    assert [(e.name, e.bias) for e in plans["sparse_update"].layers] == [(e.name, "all") for e in every]


def test_every_name_makes_its_rule(learner):
    setting = Setting(learner.budget(HALF), learner._data(RECIPE, 0, False)[2], 5, DEVICE, learner.engine)
    for name in RULES:
        made = rule(name, setting)
        assert (made.seed, made.device, made.given_engine) == (5, DEVICE, learner.engine)
        assert made.method in name or name in ("head", "all")


def test_what_is_no_method_or_budget_is_refused(learner):
    with pytest.raises(TfodlError, match=r"methods: no \['best'\]; allowed: head, all, random"):
        learner.run(RECIPE, "best", HALF, 0.02, 1, False)
    with pytest.raises(TfodlError, match="a share of RAM must be in"):
        ram_budget(1.5, learner.engine, learner.model.groups, DEVICE)
    with pytest.raises(TfodlError, match="one of ram_share, params_share or a limit, got"):
        learner.budget({"ram_share": 0.5, "params": 100})
    with pytest.raises(TfodlError, match="sparse_update: needs a budget of ram_bytes or of params, got"):
        learner.run(RECIPE, "sparse_update", {"macs": 100}, 0.02, 1, False)
    with pytest.raises(
        TfodlError, match=r"sparse_update: Budget\(params=1.* does not hold 16 layers' biases"
    ):
        learner.run(RECIPE, "sparse_update", {"params": 1}, 0.02, 1, False)
    with pytest.raises(TfodlError, match="no cut before the last 9 blocks of 'mbv2-w0.35'"):
        Task("mbv2-w0.35", "digits", blocks=9)
