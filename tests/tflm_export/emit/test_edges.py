"""Shapes at the edges of the kernels' parameters: an engine that builds and is right, or words."""

import numpy as np
import pytest
from tflite_file import O, T, build, conv_options, fused, oracle, pool_options

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.machines.host import HostEngine
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.simulate.step import Simulator

INT16 = 2**15 - 1
RNG = np.random.default_rng(0)


def weights(name, shape, scale=0.01):
    return T(name, shape, scale=scale, data=RNG.integers(-127, 128, shape, np.int8))


def net(layers, shape):
    """A chain: every layer is (kind, output shape, weight shape or None, options)."""
    tensors, ops, last = [T("t", shape, scale=0.04, zero=-3)], [], "t"
    for i, (kind, out, weight, options) in enumerate(layers):
        inputs, quant = [last], tensors[0 if i == 0 else -1]
        y = T(f"y{i}", out, scale=quant.scale, zero=quant.zero)
        if kind == "REDUCE_MAX":
            tensors.append(T(f"axes{i}", (2,), "int32", None, data=np.array([1, 2], np.int32)))
            inputs.append(f"axes{i}")
        if weight is not None:
            bias = T(f"b{i}", weight[:1], "int32", 4e-4, data=RNG.integers(-99, 99, weight[0], np.int32))
            tensors += [weights(f"w{i}", weight), bias]
            inputs += [f"w{i}", f"b{i}"]
            y = T(y.name, out, scale=0.05, zero=4)
        tensors.append(y)
        ops.append(O(kind, inputs, [y.name], options))
        last = y.name
    return build(tensors, ops, ["t"], [last])


def dense(inputs, outputs=3):
    return ("FULLY_CONNECTED", (1, outputs), (outputs, inputs), fused("NONE"))


def conv(out, weight, stride=(1, 1), padding="SAME"):
    return ("CONV_2D", out, weight, conv_options(padding, stride))


LARGEST = {
    "a long row": (
        [
            conv((1, 1, INT16, 1), (1, 1, 255, 1)),
            conv((1, 1, 129, 2), (2, 1, 255, 1), (1, 255)),
            ("REDUCE_MAX", (1, 2), None, {"KeepDims": False}),
            dense(2),
        ],
        (1, 1, INT16, 1),
    ),
    "a tall map in one window": (
        [
            conv((1, INT16, 1, 1), (1, 3, 1, 1)),
            (
                "AVERAGE_POOL_2D",
                (1, 1, 1, 1),
                None,
                pool_options((INT16, 1), padding="VALID", stride=(INT16, 1)),
            ),
            dense(1),
        ],
        (1, INT16, 1, 1),
    ),
    "as deep as it goes": (
        [
            conv((1, 1, 1, INT16), (INT16, 1, 1, 3)),
            dense(INT16),
        ],
        (1, 1, 1, 3),
    ),
    "products of shapes beyond int32": (
        [
            conv((1, 190, 190, 2), (2, 3, 3, 3), (1, 1), "VALID"),
            conv((1, 95, 95, 2), (2, 5, 5, 2), (2, 2)),
            ("MAX_POOL_2D", (1, 1, 1, 2), None, pool_options((95, 95), padding="VALID", stride=(1, 1))),
            dense(2),
        ],
        (1, 192, 192, 3),
    ),
}


@pytest.mark.parametrize("case", LARGEST)
def test_the_largest_shapes_build_and_are_right(case):
    layers, shape = LARGEST[case]
    data = net(layers, shape)
    plan = UpdatePlan((LayerUpdate("#0", "out", (0,), "all"),), optimizer=Optimizer(0.01))
    compiled = compile_model(data, plan)
    engine, simulator = HostEngine(compiled), Simulator(compiled.graph, plan)
    x = RNG.integers(-128, 128, shape, np.int8)
    (expected,) = oracle(data, x)
    np.testing.assert_array_equal(engine.infer(x), expected)
    engine.train_step(x, 1)
    simulator.train_step(x, 1)
    for name, trained in engine.weights().items():
        np.testing.assert_array_equal(trained, simulator.weights[name])


TOO_LARGE = {
    "rows": (
        [conv((1, 1, 10, 1), (1, 1, 1, 1), (1, 3277))],
        (1, 1, 32768, 1),
        "width is 32,768; allowed: at most",
    ),
    "depth": ([dense(INT16 + 1)], (1, INT16 + 1), "depth is 32,768"),
    "stride": (
        [conv((1, 1, 4, 1), (1, 1, 1, 1), (1, 256))],
        (1, 1, 1024, 1),
        "stride is 256; allowed: at most 255",
    ),
    "kernel": ([conv((1, 1, 300, 1), (1, 1, 256, 1))], (1, 1, 300, 1), "kernel size 256"),
    "windows": (
        [("MAX_POOL_2D", (1, 200, 200, 1), None, pool_options((100, 100)))],
        (1, 200, 200, 1),
        "overlapping windows is 10,000; allowed: at most 8,192",
    ),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_larger_ones_are_refused_in_words(case):
    layers, shape, words = TOO_LARGE[case]
    with pytest.raises(ExportError, match=words):
        compile_model(net(layers, shape), UpdatePlan(head=False))
