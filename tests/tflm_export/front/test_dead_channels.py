"""A pruned graph computes what TFLite Micro does with the file; its engine learns what the whole one does."""

import json

import numpy as np
import pytest
from dead_nets import Net, residual_net
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nets import residual_net as live_net
from tflite_file import O, T, build, conv_options, fused, oracle

from tflm_export.cli import main
from tflm_export.compiler import compile_model
from tflm_export.front.dead_facts import dead_lines
from tflm_export.front.intervals import intervals
from tflm_export.front.prune import prune
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.front.write_tflite import patch_constants
from tflm_export.machines.host import HostEngine
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import samples, verify
from tflm_export.simulate.evaluate import run

RUNS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
STEPS = (
    "conv", "conv", "narrow", "valid", "strided", "depthwise", "depthwise", "max", "average",
    "residual", "residual", "difference", "gate", "concatenation", "square", "logistic", "tanh", "relu",
    "prelu", "minimum", "resize",
)  # fmt: skip


def extremes(rng, shape):
    """Inputs: noise, both ends, every value at one end or the other."""
    yield from rng.integers(-128, 128, (2, *shape)).astype(np.int8)
    yield from (np.full(shape, end, np.int8) for end in (-128, 127))
    yield from rng.choice(np.array([-128, 127], np.int8), (3, *shape))


def grow(net: Net, step: str) -> None:
    """One more op; two for a branch that joins again."""
    x, channels = net.at, net.at.shape[3]
    match step:
        case "conv":
            net.conv(5)
        case "narrow":
            net.conv(7, k=1, activation="NONE")
        case "valid" if min(x.shape[1:3]) > 3:
            net.conv(4, padding="VALID", activation="RELU6")
        case "strided" if min(x.shape[1:3]) > 3:
            net.conv(6, stride=2)
        case "depthwise":
            net.depthwise(activation=str(net.rng.choice(["NONE", "RELU6"])))
        case "max" | "average" if min(x.shape[1:3]) > 2:
            net.pool("MAX_POOL_2D" if step == "max" else "AVERAGE_POOL_2D")
        case "residual" | "difference" | "gate":
            net.conv(channels, k=1, activation="NONE")
            net.join({"residual": "ADD", "difference": "SUB", "gate": "MUL"}[step], x)
        case "concatenation":
            net.depthwise(k=1, activation="NONE")
            net.at.scale, net.at.zero = x.scale, x.zero
            net.join("CONCATENATION", x)
        case "square":
            net.join("MUL", x)
        case "logistic" | "tanh":
            quant = {"logistic": (1 / 256, -128), "tanh": (1 / 128, 0)}[step]
            net.one(step.upper(), scale=quant[0], zero=quant[1])
        case "prelu":
            net.prelu()
        case "minimum":
            net.depthwise(k=1, activation="NONE")
            net.at.scale, net.at.zero = x.scale, x.zero
            net.join("MINIMUM", x)
        case "resize":
            net.resize(4, 7)
        case "relu":
            net.one("RELU")


@RUNS
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from(STEPS), min_size=1, max_size=6),
    st.booleans(),
)
def test_pruned_is_whole_is_tflite_micro(seed, steps, flat):
    net = Net(seed)
    for step in steps:
        grow(net, step)
    if not flat:
        net.mean()
    net.dense(3)
    data = net.file()
    whole = simplify(read_tflite(data))
    pruned, ranges = prune(whole), intervals(whole)
    for x in extremes(net.rng, whole.tensors["x"].shape):
        values = run(whole, {"x": x}, all_tensors=True)
        for name, interval in ranges.items():
            assert (interval.low <= values[name]).all() and (values[name] <= interval.high).all(), name
        y = net.at.name
        expected = oracle(data, x)[0]
        np.testing.assert_array_equal(values[y], expected)
        np.testing.assert_array_equal(run(pruned, {"x": x})[y], expected)


def test_random_nets_lose_channels():
    """The property above is about something: most of its nets do get smaller."""
    smaller = 0
    for seed in range(10):
        graph = simplify(read_tflite(residual_net(seed)))
        smaller += prune(graph) is not graph
    assert smaller >= 8


def test_a_net_without_dead_channels_is_left_alone():
    graph = simplify(read_tflite(live_net()))
    assert prune(graph) is graph


def two_convs(bias, padding, zero, activation="NONE"):
    """A 1 x 1 convolution whose channel 1 is stuck by `bias`, then a 3 x 3 one."""
    rng = np.random.default_rng(0)
    size = 5 if padding == "SAME" else 3
    tensors = [
        T("x", (1, 5, 5, 2), scale=0.05),
        T("w1", (3, 1, 1, 2), scale=0.01, data=rng.integers(-127, 128, (3, 1, 1, 2), np.int8)),
        T("b1", (3,), "int32", 5e-4, data=np.array([5, bias, -9], np.int32)),
        T("h", (1, 5, 5, 3), scale=0.2, zero=zero),
        T("w2", (4, 3, 3, 3), scale=0.01, data=rng.integers(-127, 128, (4, 3, 3, 3), np.int8)),
        T("y", (1, size, size, 4), scale=0.3),
    ]
    ops = [
        O("CONV_2D", ["x", "w1", "b1"], ["h"], conv_options(activation=activation)),
        O("CONV_2D", ["h", "w2", ""], ["y"], conv_options(padding)),
    ]
    return build(tensors, ops, ["x"], ["y"])


@pytest.mark.parametrize("bias, padding, zero, activation, left", [
    (10**6, "SAME", 3, "NONE", 3),  # 127, and 3 in the padding: another sum at the border
    (10**6, "VALID", 3, "NONE", 2),
    (10**6, "SAME", 127, "NONE", 2),  # the zero point: nothing anywhere
    (-(10**6), "SAME", -20, "RELU", 2),
    (-(10**6), "SAME", -20, "NONE", 3),
])  # fmt: skip
def test_a_constant_folds_where_padding_lets_it(bias, padding, zero, activation, left):
    data = two_convs(bias, padding, zero, activation)
    pruned = prune(simplify(read_tflite(data)))
    assert pruned.tensors["h"].shape[3] == left and pruned.tensors["w2"].shape[3] == left
    for x in extremes(np.random.default_rng(1), (1, 5, 5, 2)):
        np.testing.assert_array_equal(run(pruned, {"x": x})["y"], oracle(data, x)[0])


@pytest.mark.parametrize("stuck, left", [((-(10**6), -(10**6)), 2), ((-(10**6), 0), 3)])
def test_a_sum_goes_when_both_its_terms_are_stuck(stuck, left):
    net = Net(5, (4, 4, 2), stuck=0)
    terms = []
    for bias in stuck:
        net.at = net.tensors[0]
        terms.append(net.conv(3, k=1, activation="RELU"))
        net.tensors[-2].data[1] = bias
        net.tensors[-3].data[1] = 9
    net.join("ADD", terms[0])
    total = net.at.name
    net.mean()
    net.dense(2)
    pruned = prune(simplify(read_tflite(net.file())))
    assert [pruned.tensors[t].shape[3] for t in (terms[0].name, terms[1].name, total)] == [left] * 3


PLANS = {
    "head": UpdatePlan(optimizer=Optimizer(0.05)),
    "rows": UpdatePlan((LayerUpdate("#9", "out", (0, 2, 3), "selected"),), optimizer=Optimizer(0.05)),
    "columns": UpdatePlan((LayerUpdate("#7", "in", (1, 4, 5, 8), "all"),), optimizer=Optimizer(0.05)),
    "depthwise": UpdatePlan((LayerUpdate("#6", "out", tuple(range(12)), "all"),), head=False),
}


@pytest.mark.parametrize("gradients", ["int16", "float32"])
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_pruned_engine_learns_the_same(plan, gradients):
    data = residual_net(11)
    pruned, whole = (compile_model(data, plan, gradients=gradients, keep_dead=keep) for keep in (False, True))
    assert pruned.facts["macs"]["forward"] < whole.facts["macs"]["forward"]
    engines = HostEngine(pruned), HostEngine(whole)
    for x, t in zip(*samples(whole, None, None, 3), strict=True):
        losses = [engine.train_step(x, t) for engine in engines]
        assert losses[0] == losses[1]
    weights = [engine.weights() for engine in engines]
    assert set(weights[0]) == set(weights[1])
    start = {name: read_tflite(data).constant(name) for name in weights[0]}
    assert any((start[name] != array).any() for name, array in weights[0].items())
    for name, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][name])
    assert read_tflite(patch_constants(data, weights[0])).tensors.keys() == read_tflite(data).tensors.keys()


def test_verify_holds_a_pruned_engine_to_tflite_micro():
    compiled = compile_model(residual_net(11), PLANS["rows"])
    result = verify(compiled, count=24, steps=8)
    assert compiled.facts["dead"]["removed"]["weights"] > 0
    assert result.ok and result.tflm_mismatches == 0


def dense_net():
    """6 -> 5 with ReLU -> 3; hidden units 1 and 4 are silent by their bias, just."""
    rng = np.random.default_rng(0)
    hidden, head = rng.integers(-99, 100, (5, 6)), rng.integers(-99, 100, (3, 5))
    reach = np.abs(hidden).sum(axis=1) * 128
    biases = np.where(np.isin(np.arange(5), (1, 4)), -reach, 0)
    tensors = [
        T("x", (1, 6), scale=0.02),
        T("w1", (5, 6), scale=0.01, data=hidden.astype(np.int8)),
        T("b1", (5,), "int32", 2e-4, data=biases.astype(np.int32)),
        T("h", (1, 5), scale=0.05, zero=-128),
        T("w2", (3, 5), scale=0.005, data=head.astype(np.int8)),
        T("y", (1, 3), scale=0.1),
    ]
    ops = [
        O("FULLY_CONNECTED", ["x", "w1", "b1"], ["h"], fused("RELU")),
        O("FULLY_CONNECTED", ["h", "w2", ""], ["y"], fused("NONE")),
    ]
    return build(tensors, ops, ["x"], ["y"])


def test_a_dead_channel_in_a_plan_is_reported_and_stays():
    plan = UpdatePlan((LayerUpdate("#0", "out", (1, 2), "selected"),), head=False)
    compiled = compile_model(dense_net(), plan)
    dead = compiled.facts["dead"]
    assert (dead["channels"], dead["of"], dead["removed"]["channels"]) == (2, 8, 0)
    assert dead["in_plan"] == {"#0": [1]} and compiled.graph.tensors["w1"].shape == (5, 6)
    assert "the plan trains dead channels of #0 (1): they stay" in "\n".join(dead_lines(dead))
    frozen = compile_model(dense_net(), UpdatePlan(head=False))
    assert frozen.graph.tensors["w1"].shape == (3, 6) and frozen.graph.tensors["w2"].shape == (3, 3)


def test_the_command_keeps_dead_channels_and_says_what_it_costs(tmp_path, capsys):
    (tmp_path / "m.tflite").write_bytes(dense_net())
    UpdatePlan(head=False).save(tmp_path / "plan.json")
    command = ["compile", str(tmp_path / "m.tflite"), "--plan", str(tmp_path / "plan.json")]
    texts, facts = [], []
    for options in ([], ["--keep-dead"]):
        folder = tmp_path / f"engine{len(options)}"
        assert main([*command, "--out", str(folder), *options]) == 0
        texts.append(capsys.readouterr().out)
        facts.append(json.loads((folder / "engine.json").read_text()))
        assert main(["verify", str(folder), "--count", "8"]) == 0
    assert (
        "2 of 8 have one value for every input; leaving out 2 saved 18 MAC an inference (40.0%)" in texts[0]
    )
    assert "leaving out 2 would save 18 MAC" in texts[1] and "--keep-dead keeps them" in texts[1]
    assert [f["macs"]["forward"] for f in facts] == [27, 45]
    assert [f["dead"]["kept"] for f in facts] == [False, True]
