"""Simplified graphs compute what TFLite Micro computes on the file as it was."""

import time

import numpy as np
import pytest
from tflite_file import O, T, build, conv_options, fused, oracle

from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.front.write_tflite import patch_constants
from tflm_export.simulate.evaluate import run

RNG = np.random.default_rng(0)


def weights(name, shape, axis=0):
    data = RNG.integers(-127, 128, shape, np.int8)
    scale = RNG.uniform(0.002, 0.01, shape[axis]).astype(np.float32)
    return T(name, shape, scale=scale, axis=axis, data=data)


def padded_net(pads, value=None, second_reader=False):
    """PAD, then a stride-2 convolution of it that pads by itself (SAME)."""
    pads = np.array([(0, 0), *pads, (0, 0)], np.int32)
    h, w = 5 + pads[1].sum(), 6 + pads[2].sum()
    shape = (1, -(-h // 2), -(-w // 2), 4)
    tensors = [
        T("x", (1, 5, 6, 3), scale=0.05, zero=-7),
        T("pads", (4, 2), "int32", None, data=pads),
        T("fill", (1,), scale=0.05, zero=-7, data=np.array([value or 0], np.int8)),
        T("p", (1, h, w, 3), scale=0.05, zero=-7),
        weights("w", (4, 3, 3, 3)),
        T("y", shape, scale=0.1, zero=4),
        T("r", (1, h, w, 3), scale=0.05, zero=-7),
    ]
    pad = O("PAD", ["x", "pads"], ["p"]) if value is None else O("PADV2", ["x", "pads", "fill"], ["p"])
    ops = [pad, O("CONV_2D", ["p", "w"], ["y"], conv_options(stride=(2, 2)))]
    outputs = ["y"]
    if second_reader:
        ops.append(O("RELU", ["p"], ["r"]))
        outputs.append("r")
    return build(tensors, ops, ["x"], outputs)


def check(data, kinds):
    """The simplified graph has these ops and the file's values."""
    graph = simplify(read_tflite(data))
    assert [op.kind for op in graph.ops] == kinds
    x = RNG.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
    expected = oracle(data, x, outputs=len(graph.outputs))
    for name, array in zip(graph.outputs, expected, strict=True):
        np.testing.assert_array_equal(run(graph, {graph.inputs[0]: x})[name], array)
    return graph


@pytest.mark.parametrize("pads", [((1, 1), (1, 1)), ((0, 1), (2, 0)), ((3, 2), (0, 5))])
def test_pad_folds_into_the_convolution(pads):
    check(padded_net(pads), ["CONV_2D"])


def test_padv2_with_the_zero_point_folds():
    check(padded_net(((1, 1), (1, 1)), value=-7), ["CONV_2D"])


def test_padv2_with_another_value_stays():
    check(padded_net(((1, 1), (1, 1)), value=5), ["PADV2", "CONV_2D"])


def test_pad_with_another_reader_stays_for_it():
    graph = check(padded_net(((1, 1), (1, 1)), second_reader=True), ["PAD", "CONV_2D", "RELU"])
    assert graph.ops[1].inputs[0] == "x"


def test_two_pads_fold():
    tensors = [
        T("x", (1, 4, 4, 2), zero=3),
        T("a", (4, 2), "int32", None, data=np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32)),
        T("p1", (1, 5, 5, 2), zero=3),
        T("p2", (1, 6, 6, 2), zero=3),
        weights("w", (1, 3, 3, 2), axis=3),
        T("y", (1, 4, 4, 2), scale=0.7),
    ]
    ops = [
        O("PAD", ["x", "a"], ["p1"]),
        O("PAD", ["p1", "a"], ["p2"]),
        O("DEPTHWISE_CONV_2D", ["p2", "w"], ["y"], conv_options("VALID", DepthMultiplier=1)),
    ]
    check(build(tensors, ops, ["x"], ["y"]), ["DEPTHWISE_CONV_2D"])


def test_copies_and_flattens_go():
    tensors = [
        T("x", (1, 2, 2, 3)),
        T("same", (1, 2, 2, 3)),
        T("flat", (1, 12)),
        weights("w", (5, 12)),
        T("y", (1, 5), scale=0.6),
        T("z", (1, 1, 5), scale=0.6),
    ]
    ops = [
        O("QUANTIZE", ["x"], ["same"]),
        O("RESHAPE", ["same"], ["flat"]),
        O("FULLY_CONNECTED", ["flat", "w", ""], ["y"], fused("NONE")),
        O("RESHAPE", ["y"], ["z"]),
    ]
    graph = check(build(tensors, ops, ["x"], ["z"]), ["FULLY_CONNECTED", "RESHAPE"])
    assert set(graph.tensors) == {"x", "w", "y", "z"}


def test_depthwise_of_one_channel_becomes_a_convolution():
    tensors = [
        T("x", (1, 6, 6, 1), scale=0.05),
        weights("w", (1, 3, 3, 8), axis=3),
        T("y", (1, 3, 3, 8), scale=0.03),
    ]
    options = conv_options(stride=(2, 2), DepthMultiplier=8)
    data = build(tensors, [O("DEPTHWISE_CONV_2D", ["x", "w"], ["y"], options)], ["x"], ["y"])
    graph = check(data, ["CONV_2D"])
    changed = np.roll(graph.tensors["w"].data, 3)
    again = simplify(read_tflite(patch_constants(data, {"w": changed})))
    np.testing.assert_array_equal(again.tensors["w"].data, changed)


def test_a_constant_a_channel_stays_small():
    tensors = [
        T("x", (1, 4, 3, 2), scale=0.05, zero=9),
        T("gamma", (2,), scale=0.02, data=np.array([100, -70], np.int8)),
        T("m", (1, 4, 3, 2), scale=0.08),
        T("beta", (1, 1, 1, 2), scale=0.01, data=np.array([[[[5, -100]]]], np.int8)),
        T("y", (1, 4, 3, 2), scale=0.1, zero=-3),
    ]
    ops = [O("MUL", ["x", "gamma"], ["m"], fused("NONE")), O("ADD", ["m", "beta"], ["y"], fused("RELU"))]
    graph = check(build(tensors, ops, ["x"], ["y"]), ["MUL", "ADD"])
    assert [graph.tensors[op.inputs[1]].size for op in graph.ops] == [2, 2]


def test_a_constant_that_no_kernel_spreads_is_repeated():
    row = T("row", (1, 4, 1, 2), scale=0.02, data=RNG.integers(-128, 128, (1, 4, 1, 2)).astype(np.int8))
    tensors = [T("x", (1, 4, 3, 2), scale=0.05, zero=9), row, T("y", (1, 4, 3, 2), scale=0.08)]
    graph = check(build(tensors, [O("MUL", ["row", "x"], ["y"], fused("NONE"))], ["x"], ["y"]), ["MUL"])
    assert all(graph.tensors[name].shape == (1, 4, 3, 2) for name in graph.ops[0].inputs)


def test_depthwise_of_several_outputs_a_channel():
    tensors = [
        T("x", (1, 6, 5, 3), scale=0.05, zero=9),
        weights("w", (1, 3, 3, 6), axis=3),
        T("y", (1, 6, 5, 6), scale=0.3),
    ]
    op = O("DEPTHWISE_CONV_2D", ["x", "w"], ["y"], conv_options(DepthMultiplier=2))
    graph = check(build(tensors, [op], ["x"], ["y"]), ["REPEAT_CHANNELS", "DEPTHWISE_CONV_2D"])
    assert graph.ops[1].attrs["depth_multiplier"] == 1


@pytest.mark.parametrize(
    "kind, shape, outputs", [("CONV_2D", (4, 3, 2, 3), 4), ("DEPTHWISE_CONV_2D", (1, 3, 2, 3), 3)]
)
def test_zeros_between_the_taps_of_a_dilated_kernel(kind, shape, outputs):
    tensors = [
        T("x", (1, 9, 8, 3), scale=0.05, zero=9),
        weights("w", shape, axis=3 if outputs == 3 else 0),
        T("y", (1, 9, 8, outputs), scale=0.3),
    ]
    options = conv_options(DilationHFactor=2, DilationWFactor=3)
    options |= {"DepthMultiplier": 1} if outputs == 3 else {}
    graph = check(build(tensors, [O(kind, ["x", "w"], ["y"], options)], ["x"], ["y"]), [kind])
    wide = graph.tensors[graph.ops[0].inputs[1]]
    assert wide.shape[1:3] == (5, 4) and not wide.data[:, 1].any() and not wide.data[:, :, 1:3].any()


@pytest.mark.parametrize("keep", [False, True])
def test_a_global_maximum_is_a_pool(keep):
    axes = T("axes", (2,), "int32", None, data=np.array([1, 2], np.int32))
    tensors = [T("x", (1, 5, 4, 3)), axes, T("y", (1, 1, 1, 3) if keep else (1, 3))]
    op = O("REDUCE_MAX", ["x", "axes"], ["y"], {"KeepDims": keep})
    check(build(tensors, [op], ["x"], ["y"]), ["MAX_POOL_2D", "RESHAPE"])


def test_the_longest_chain_is_quick():
    count = 1024
    tensors = [T(f"t{i}", (1, 2, 3) if i % 2 else (1, 6)) for i in range(count + 1)]
    ops = [O("RESHAPE", [i], [i + 1]) for i in range(count)]
    start = time.monotonic()
    graph = simplify(read_tflite(build(tensors, ops, [0], [count])))
    assert len(graph.ops) == 1 and time.monotonic() - start < 20
    with pytest.raises(ExportError, match="1025 ops; allowed: at most 1024"):
        read_tflite(build(tensors, [*ops, O("RESHAPE", [0], [1])], [0], [count]))
