"""Gradients beyond the rows of op_cases.py: two readers, what passes write, exact values by hand."""

import dataclasses

import numpy as np
import pytest
from gradient_checker import check
from op_cases import CASES, X

from tflm_export.ir import Graph, Op, Tensor
from tflm_export.ops import pool_2d
from tflm_export.ops.call import Call
from tflm_export.ops.convolution.gradient import conv_scale
from tflm_export.ops.convolution.layer import weight_scale


@pytest.mark.parametrize("case", CASES["CONV_2D"] + CASES["DEPTHWISE_CONV_2D"])
def test_factors_are_the_weights_scales(case):
    """The device has them from the requantisation alone."""
    graph = case.graph()
    op = graph.ops[0]
    scale, real = conv_scale(op, graph), weight_scale(op, graph)
    power = 2.0 ** (scale.exponent - scale.headroom)
    assert power / 2 <= real.max() < power
    np.testing.assert_allclose(scale.m(op, len(real)), real / power * 2**15, atol=1)


def test_a_tensor_read_twice():
    graph = dataclasses.replace(CASES["ADD"][0], xs=(X, X)).graph()
    op = dataclasses.replace(graph.ops[0], inputs=("x0", "x0"))
    check(graph.replace(ops=(op,), inputs=("x0",)), lambda op, a, b: a + b)


def test_repeat_channels():
    import tensorflow as tf

    quant = CASES["RELU6"][0].graph().tensors["x0"].quant
    tensors = {"x": Tensor("x", (1, 4, 3, 5), "int8", quant), "y": Tensor("y", (1, 4, 3, 10), "int8", quant)}
    op = Op("REPEAT_CHANNELS", "#0r", ("x",), ("y",), {"times": 2})
    check(Graph(tensors, (op,), ("x",), ("y",)), lambda op, x: tf.repeat(x, 2, axis=3))


def test_maximum_goes_to_the_first():
    case = dataclasses.replace(
        CASES["MAX_POOL_2D"][0], xs=(((1, 2, 2, 1), 1.0, 0),), y=((1, 1, 1, 1), 1.0, 0)
    )
    graph = case.graph()
    graph = graph.replace(tensors={**graph.tensors, "dx": Tensor("dx", (1, 2, 2, 1), "int16")})
    call = Call(Op("", "", (), ("dx",)), graph.ops[0], graph)
    x = np.array([3, 7, 7, 1], np.int8).reshape(1, 2, 2, 1)
    assert pool_2d.real_max_gradient(call, np.ones((1, 1, 1, 1)), x).reshape(-1).tolist() == [0, 1, 0, 0]
