"""Costs by hand, on a chain of three layers and on a published count."""

from __future__ import annotations

import keras
import pytest
from selective_nets import small_net

import tfodl
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.neurons.cost import Macs, full_plan, plan_cost


@pytest.fixture(scope="module")
def chain():
    x = keras.Input((4, 4, 2))
    h = keras.layers.Conv2D(4, 1, name="a")(x)
    h = keras.layers.Conv2D(6, 1, name="b")(h)
    h = keras.layers.GlobalAveragePooling2D()(h)
    return tfodl.neuron_groups(keras.Model(x, keras.layers.Dense(3, name="head")(h)))


def test_macs_apart_by_hand(chain):
    forward = {"a": 16 * 8, "b": 16 * 24, "head": 18}
    total = sum(forward.values())
    assert plan_cost(UpdatePlan(head=True), chain).macs == Macs(total, 0, 18)
    assert plan_cost(UpdatePlan(head=False), chain).macs == Macs(total, 0, 0)
    middle = UpdatePlan((LayerUpdate("b", channels=(0, 5)),))
    assert plan_cost(middle, chain).macs == Macs(total, 18, 18 + 16 * 24 * 2 // 6)
    lowest = UpdatePlan((LayerUpdate("a", bias="all"),))
    assert plan_cost(lowest, chain).macs == Macs(total, 16 * 24 + 18, 18)


def test_flops_and_the_papers_count(chain):
    plan = UpdatePlan((LayerUpdate("b", channels=(0, 5)),))
    total = 16 * 8 + 16 * 24 + 18
    trained = 128 + 18
    flops = tfodl.flops(chain, plan)
    assert (flops.forward, flops.dx, flops.dw) == (total, 18, trained)
    assert flops.paper_backward == 2 * trained  # a frozen neuron is credited its dX as well
    cost = plan_cost(plan, chain)
    full_backward = total + (total - 128)
    assert cost.flops_saved == pytest.approx(1 - (18 + trained) / full_backward)
    assert cost.flops_saved_paper == pytest.approx(1 - trained / total)


def test_memory_of_a_layer_by_hand(chain):
    def ram(entry):
        return plan_cost(UpdatePlan((entry,)), chain).scheme_bytes

    clip = 16 * 6 // 8
    assert ram(LayerUpdate("b", bias="all")) == clip + 6 * 4
    assert ram(LayerUpdate("b", channels=(1,), bias="selected")) == clip + 4 + 16 * 4 + 4
    assert ram(LayerUpdate("b", "in", (1, 2), "all")) == clip + 6 * 4 + 16 * 2 + 2 * 6
    assert ram(LayerUpdate("b", channels=(1,))) == 16 * 4 + 4


def test_head_and_whole_batch_norms_are_outside_the_budget():
    groups = tfodl.neuron_groups(small_net())
    cost = plan_cost(full_plan(groups), groups)
    assert cost.head_params == 44 and cost.batchnorm_params == 48
    assert cost.params == cost.total_params == 216 + 80 + 72 + 72 + 108 + 130
    assert cost.flops_saved == 0 and cost.flops_saved_paper == 0
    within = UpdatePlan((LayerUpdate("stem_norm", channels=(0, 1), bias="selected"),))
    assert plan_cost(within, groups).params == 4


def test_mobilenet_v2_has_the_published_number_of_convolution_weights():
    model = keras.applications.MobileNetV2((32, 32, 3), alpha=1.0, weights=None, classes=10)
    groups = tfodl.neuron_groups(model)
    assert plan_cost(UpdatePlan(), groups).total_params == 2_189_760
