"""The clip mask against values worked by hand (docs/arithmetic.md, "Clip mask")."""

import numpy as np
from tflite_file import O, T, build, fused

from tflm_export.front.read_tflite import read_tflite
from tflm_export.ops import forward
from tflm_export.ops.result import passing


def dense(activation: str, zero: int):
    """`acc = x + b`, `raw = acc / 2 + zero`: an identity layer of one unit, b = 0."""
    tensors = [
        T("x", (1, 1), scale=0.5),
        T("w", (1, 1), scale=1.0, data=np.array([[1]], np.int8)),
        T("y", (1, 1), scale=1.0, zero=zero),
    ]
    data = build(tensors, [O("FULLY_CONNECTED", ["x", "w", ""], ["y"], fused(activation))], ["x"], ["y"])
    return read_tflite(data)


def mask(graph, values):
    """The mask for every x in `values`."""
    op = graph.ops[0]
    result = forward(op, graph, {"x": np.array(values, np.int8).reshape(-1, 1)})
    return passing(op, graph, result)[:, 0].tolist()


def test_relu_passes_where_the_accumulator_is_positive():
    # At zero point -10, act_min is -10 too: 1 rounds to raw -9 (halves up), 0 stops, 127 gives raw 54.
    assert mask(dense("RELU", -10), [-4, 0, 1, 127]) == [False, False, True, True]


def test_relu6_stops_above_six():
    # Scale 1, zero point 0: act_max is 6. x = 12 gives raw 6 (passes), 13 rounds to 7 (stops).
    assert mask(dense("RELU6", 0), [12, 13, -1, 2]) == [True, False, False, True]


def test_saturation_stops_without_an_activation():
    # Zero point 100: act_max 127 is reached at x = 54; -128 is never left from x >= -128.
    assert mask(dense("NONE", 100), [54, 55, 56, -128]) == [True, False, False, True]
    # Zero point -128 makes the lower end a ReLU.
    assert mask(dense("NONE", -128), [0, 1]) == [False, True]


def test_add_masks_its_raw_sum():
    tensors = [T("a", (1, 3), scale=1.0), T("b", (1, 3), scale=1.0), T("y", (1, 3), scale=1.0)]
    graph = read_tflite(build(tensors, [O("ADD", ["a", "b"], ["y"], fused("RELU"))], ["a", "b"], ["y"]))
    values = {"a": np.array([[5, 100, -5]], np.int8), "b": np.array([[-5, 100, 6]], np.int8)}
    op = graph.ops[0]
    assert passing(op, graph, forward(op, graph, values)).tolist() == [[False, False, True]]


def test_pooling_has_none():
    tensors = [T("x", (1, 4)), T("y", (1, 2, 2))]
    graph = read_tflite(build(tensors, [O("RESHAPE", ["x"], ["y"])], ["x"], ["y"]))
    result = forward(graph.ops[0], graph, {"x": np.zeros((1, 4), np.int8)})
    assert passing(graph.ops[0], graph, result) is None
