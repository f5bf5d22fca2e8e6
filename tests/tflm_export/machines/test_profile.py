"""The parts of a profile are the calls of the engine, and add up to what is measured as a whole."""

import pytest

from tflm_export.machines.measure import measure
from tflm_export.machines.profile import CallCost, profile, table
from tflm_export.report.verify import samples


@pytest.fixture(scope="module")
def costs(compiled):
    xs, ts = samples(compiled, None, None, 0)
    return profile(compiled, xs[:2], ts[:2])


def test_the_parts_add_up(compiled, costs):
    xs, ts = samples(compiled, None, None, 0)
    whole = measure(compiled, xs[:2], ts[:2])
    for kind, total in (
        ("inference", whole.inference),
        ("train_step", whole.train_step),
    ):
        assert sum(c.cycles for c in costs[kind]) == pytest.approx(total.cycles, rel=0.01)
        assert sum(c.instructions for c in costs[kind]) == pytest.approx(total.instructions, rel=0.01)
        assert min(c.cycles for c in costs[kind]) > 0


def test_macs_are_those_of_the_graph(compiled, costs):
    macs = compiled.facts["macs"]
    assert sum(c.macs for c in costs["inference"]) == macs["forward"]
    assert sum(c.macs for c in costs["train_step"]) == sum(macs.values())


def test_calls_name_their_layer(costs):
    calls = {(c.kernel, c.ops) for c in costs["train_step"]}
    assert ("depthwise_s8", ("#2",)) in calls and ("depthwise_weights_update_s8", ("#2",)) in calls
    assert ("conv_columns_update_s8", ("#3",)) in calls and ("bias_update_s32", ("#3",)) in calls


def test_table():
    rows = table(
        [CallCost("conv_s8", ("#1",), 100, 150, 120), CallCost("stream_s8", ("#2", "#3"), 0, 50, 40)]
    ).splitlines()
    assert rows[2] == "| #1 | conv_s8 | 150 | 75.0% | 100 | 1.50 | 120 |"
    assert rows[3] == "| #2..#3 | stream_s8 | 50 | 25.0% | 0 |  | 40 |"
    assert rows[4] == "| all |  | 200 | 100.0% | 100 | 2.00 | 160 |"
