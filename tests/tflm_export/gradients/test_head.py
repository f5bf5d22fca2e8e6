"""Where the logits and the classifier are, however a model ends; a softmax's beta belongs to the loss."""

import numpy as np
import pytest
from tflite_file import O, T, build, conv_options, fused, pool_options

from tflm_export.compiler import compile_model
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.gradients.head import head_of, logits_of
from tflm_export.plan import Optimizer, UpdatePlan
from tflm_export.report.verify import verify
from tflm_export.simulate.step import Simulator

PLAN = UpdatePlan(optimizer=Optimizer(0.05))


def dense_net(*ends, beta=1.0):
    """[1, 6] -> dense "logits" [1, 4] -> ends."""
    rng = np.random.default_rng(3)
    tensors = [
        T("x", (1, 6), scale=0.05),
        T("w", (4, 6), scale=0.02, data=rng.integers(-127, 128, (4, 6), np.int8)),
        T("b", (4,), "int32", 0.001, data=rng.integers(-300, 300, 4, np.int32)),
        T("logits", (1, 4), scale=0.1, zero=5),
    ]
    ops, last = [O("FULLY_CONNECTED", ["x", "w", "b"], ["logits"], fused("NONE"))], "logits"
    for i, kind in enumerate(ends):
        unit = {"scale": 1 / 256, "zero": -128} if kind != "LOG_SOFTMAX" else {"scale": 1 / 16, "zero": 127}
        tensors.append(T(f"y{i}", (1, 4) if kind != "RESHAPE" else (1, 1, 4), **unit))
        ops.append(O(kind, [last], [f"y{i}"], {"Beta": beta} if kind == "SOFTMAX" else {}))
        last = f"y{i}"
    return build(tensors, ops, ["x"], [last])


def pooled_net(kind):
    """[1, 3, 3, 2] -> 1x1 convolution "map" with 4 outputs -> a pool "logits" [1, 4] -> softmax."""
    rng = np.random.default_rng(4)
    quant = {"scale": 0.1, "zero": 5}
    tensors = [
        T("x", (1, 3, 3, 2), scale=0.05),
        T("w", (4, 1, 1, 2), scale=0.02, data=rng.integers(-127, 128, (4, 1, 1, 2), np.int8)),
        T("b", (4,), "int32", 0.001, data=rng.integers(-300, 300, 4, np.int32)),
        T("map", (1, 3, 3, 4), **quant),
        T("axes", (2,), "int32", None, data=np.array([1, 2], np.int32)),
        T("pool", (1, 1, 1, 4), **quant),
        T("logits", (1, 4), **quant),
        T("p", (1, 4), scale=1 / 256, zero=-128),
    ]
    pool = {
        "MEAN": [O("MEAN", ["map", "axes"], ["logits"], {"KeepDims": False})],
        "AVERAGE_POOL_2D": [
            O("AVERAGE_POOL_2D", ["map"], ["pool"], pool_options((3, 3), padding="VALID")),
            O("RESHAPE", ["pool"], ["logits"]),
        ],
    }[kind]
    ops = [O("CONV_2D", ["x", "w", "b"], ["map"], conv_options()), *pool]
    return build(tensors, [*ops, O("SOFTMAX", ["logits"], ["p"], {"Beta": 1.0})], ["x"], ["p"])


ENDS = {
    "softmax, reshape": dense_net("SOFTMAX", "RESHAPE"),
    "log softmax": dense_net("LOG_SOFTMAX"),
    "logistic": dense_net("LOGISTIC"),
    "mean": pooled_net("MEAN"),
    "average pool": pooled_net("AVERAGE_POOL_2D"),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_head_is_found_and_learns(end):
    graph = simplify(read_tflite(ENDS[end]))
    logits = logits_of(graph)
    assert logits == "logits" and head_of(graph, logits).name == "#0"
    result = verify(compile_model(ENDS[end], PLAN), count=8, steps=8)
    assert result.ok and result.tflm_mismatches == 0 and len(result.gradient_cosines) == 2, result.summary()


def test_mse_reads_the_output_behind_a_logistic():
    plan = UpdatePlan(loss="mse", optimizer=Optimizer(0.05))
    compiled = compile_model(dense_net("LOGISTIC"), plan)
    assert compiled.graph.loss.inputs == ("y0",)
    assert verify(compiled, count=8, steps=8).ok


@pytest.mark.parametrize("beta", [0.25, 1.0, 1.7])
def test_a_softmax_s_beta(beta):
    """A step by float arithmetic: b - lr beta (softmax(beta y) - onehot)."""
    plan = UpdatePlan(optimizer=Optimizer(1.0))
    compiled = compile_model(dense_net("SOFTMAX", beta=beta), plan)
    simulator = Simulator(compiled.graph, plan)
    x = np.random.default_rng(1).integers(-15, 16, (1, 6)).astype(np.int8)
    y = 0.1 * (simulator.logits(x).reshape(-1).astype(float) - 5)
    p = np.exp(beta * y) / np.exp(beta * y).sum()
    start = simulator.weights["b"].copy()
    loss = simulator.train_step(x, 2)
    assert loss == pytest.approx(-np.log(p[2]), abs=1e-4)
    moved = (simulator.weights["b"] - start) * 0.001
    np.testing.assert_allclose(moved, -beta * (p - np.eye(4)[2]), rtol=0.01, atol=0.002)
    assert verify(compiled, count=4, steps=4).ok
