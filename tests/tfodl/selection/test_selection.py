"""`select` and `choose`: budgets kept, ranks respected, checked by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selective_nets import small_net

import tfodl
from tflm_export.errors import TfodlError
from tflm_export.living.ranking import select
from tflm_export.plan import Budget, UpdatePlan
from tfodl.neurons.cost import plan_cost
from tfodl.selection.choose import Options, as_budget, choose, require_affordable


@pytest.fixture(scope="module")
def groups():
    return tfodl.neuron_groups(small_net())


def by_hand(scores, costs, budget, rule):
    left, chosen = budget, [False] * len(scores)
    for index in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        if costs[index] <= left:
            left -= costs[index]
            chosen[index] = True
        elif rule == "prefix":
            break
    return chosen


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 9)), max_size=12),
    st.integers(0, 40),
    st.sampled_from(["prefix", "fill"]),
)
def test_select_matches_the_definition(rows, budget, rule):
    scores, costs = [score for score, _ in rows], [cost for _, cost in rows]
    assert select(scores, costs, budget, rule).tolist() == by_hand(scores, costs, budget, rule)


def test_prefix_stops_where_fill_goes_on():
    scores, costs = [5, 4, 3, 3], [2, 9, 1, 1]
    assert select(scores, costs, 3).tolist() == [True, False, False, False]
    assert select(scores, costs, 3, "fill").tolist() == [True, False, True, False]
    assert select(scores, costs, None).all() and select(scores, costs, 13).all()


@pytest.mark.parametrize(
    "arguments, text",
    [
        (([1], [1, 2], 3), r"\[n\] both"),
        (([float("nan")], [1], 3), "NaN"),
        (([1], [-1], 3), "costs must be >= 0"),
        (([1], [1], -3), "budget must be >= 0"),
        (([1], [1], 3, "best"), "rule must be one of"),
    ],
)
def test_select_refuses(arguments, text):
    with pytest.raises(TfodlError, match=text):
        select(*arguments)


@pytest.mark.parametrize("rule", ["prefix", "fill"])
@pytest.mark.parametrize("norm", ["all", "none", "selected"])
@pytest.mark.parametrize(
    "budget",
    [Budget(params=150), Budget(scheme_bytes=900), Budget(params=200, scheme_bytes=1500, macs=20_000)],
)
def test_every_limit_holds_and_nothing_more_would_fit(groups, budget, norm, rule):
    rng = np.random.default_rng(7)
    options = Options(rule=rule, batchnorm=norm)
    scores = {g.layer: rng.random(g.channels) for g in groups if g.selectable}
    cost = plan_cost(UpdatePlan(choose(groups, scores, budget, options)), groups)
    assert cost.neurons > 0
    for limit, value in ((budget.params, cost.params), (budget.scheme_bytes, cost.scheme_bytes)):
        assert limit is None or value <= limit
    assert budget.macs is None or cost.macs.backward <= budget.macs
    if rule == "fill" and budget == Budget(params=150):
        least = min(g.weights_per_channel + g.bias for g in groups if g.selectable)
        assert cost.params > 150 - least - 2


def test_meter_and_select_agree_where_both_apply(groups):
    rng = np.random.default_rng(3)
    scores = {g.layer: rng.random(g.channels) for g in groups if g.selectable}
    loose = Budget(params=170, scheme_bytes=10**9)
    assert choose(groups, scores, loose) == choose(groups, scores, Budget(params=170))


def test_budget_of_everything_takes_everything(groups):
    total = sum(g.weights + g.bias * g.channels for g in groups if g.selectable)
    scores = {g.layer: np.zeros(g.channels) for g in groups if g.selectable}
    cost = plan_cost(UpdatePlan(choose(groups, scores, Budget(params=total))), groups)
    assert cost.neurons == cost.total_neurons and cost.share == 1.0 and cost.params == total
    assert as_budget(1.0, groups) == Budget(params=total)


@pytest.mark.parametrize(
    "budget, text", [(0.0, "share"), (1.5, "share"), ("8", "budget must be"), (True, "must be")]
)
def test_bad_budgets(groups, budget, text):
    with pytest.raises(TfodlError, match=text):
        as_budget(budget, groups)


def test_budget_too_small_for_one_neuron(groups):
    with pytest.raises(TfodlError, match="too small for one neuron; the cheapest has 9 parameters"):
        require_affordable(Budget(params=8), groups, Options())


def test_scores_must_fit_the_groups(groups):
    with pytest.raises(TfodlError, match="'stem' must have shape"):
        choose(groups, {"stem": np.zeros(3)}, Budget())
    with pytest.raises(TfodlError, match="cannot be selected"):
        choose(groups, {"head": np.zeros(4)}, Budget())
