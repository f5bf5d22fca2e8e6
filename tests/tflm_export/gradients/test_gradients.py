"""The gradient of every op, by the one checker, and its few exact values by hand."""

import numpy as np
import pytest
from gradient_checker import check, check_parameters
from tflite_file import O, T, build, conv_options, fused, pool_options

from tflm_export.front.read_tflite import read_tflite
from tflm_export.ops import OPS
from tflm_export.ops.convolution.gradient import conv_scale
from tflm_export.ops.convolution.layer import weight_scale


@pytest.fixture(scope="module", autouse=True)
def tf():
    import tensorflow

    return tensorflow


def model(kind, xs, y, options=None, constants=()):
    """A one-op graph; `xs` and `y` are (shape, scale, zero)."""
    names = [f"x{i}" for i in range(len(xs))]
    tensors = [T(n, shape, scale=scale, zero=zero) for n, (shape, scale, zero) in zip(names, xs, strict=True)]
    tensors += [*constants, T("y", y[0], scale=y[1], zero=y[2])]
    op = O(kind, [*names, *(c.name for c in constants)], ["y"], options or {})
    return read_tflite(build(tensors, [op], names, ["y"]))


def layer(kind, x, y, weights, options, axis):
    rng = np.random.default_rng(5)
    outputs = weights[axis]
    scale = rng.uniform(0.002, 0.01, outputs).astype(np.float32)
    w = T(
        "w",
        weights,
        scale=scale,
        zero=[0] * outputs,
        axis=axis,
        data=rng.integers(-127, 128, weights, np.int8),
    )
    b = T("b", (outputs,), "int32", scale=scale * np.float32(x[1]), zero=[0] * outputs,
          data=rng.integers(-900, 900, outputs, np.int32))  # fmt: skip
    return model(kind, [x], y, options, [w, b])


def convolve(op, x, w, b):
    import tensorflow as tf

    a = op.attrs
    pads = [[0, 0], [a["pad_top"], a["pad_bottom"]], [a["pad_left"], a["pad_right"]], [0, 0]]
    strides = [1, a["stride_h"], a["stride_w"], 1]
    if op.kind == "DEPTHWISE_CONV_2D":  # TensorFlow's own wants equal strides
        kernel = tf.transpose(w, [1, 2, 3, 0])
        x = tf.pad(x, pads)
        columns = [
            tf.nn.conv2d(x[..., c : c + 1], kernel[:, :, c : c + 1], strides, "VALID")
            for c in range(w.shape[3])
        ]
        return tf.concat(columns, 3) + b
    return tf.nn.conv2d(tf.pad(x, pads), tf.transpose(w, [1, 2, 3, 0]), strides, "VALID") + b


def dense(op, x, w, b):
    import tensorflow as tf

    return tf.linalg.matmul(tf.reshape(x, [-1, w.shape[1]]), tf.convert_to_tensor(w), transpose_b=True) + b


LAYERS = [
    ((1, 6, 5, 3), (1, 6, 5, 4), (4, 3, 3, 3), conv_options("SAME", (1, 1), "RELU6")),
    ((1, 7, 6, 3), (1, 4, 2, 5), (5, 3, 2, 3), conv_options("SAME", (2, 3), "NONE")),
    ((1, 7, 7, 2), (1, 3, 3, 300), (300, 3, 3, 2), conv_options("VALID", (2, 2), "RELU")),
    ((1, 5, 5, 6), (1, 5, 5, 7), (7, 1, 1, 6), conv_options("SAME", (1, 1), "RELU")),
]
DEPTHWISE = [
    (
        (1, 6, 5, 4),
        (1, 6, 5, 4),
        (1, 3, 3, 4),
        conv_options("SAME", (1, 1), "RELU6") | {"DepthMultiplier": 1},
    ),
    (
        (1, 7, 8, 3),
        (1, 3, 2, 3),
        (1, 3, 5, 3),
        conv_options("VALID", (2, 2), "NONE") | {"DepthMultiplier": 1},
    ),
]


def convolutions():
    for x, y, w, options in LAYERS:
        yield layer("CONV_2D", (x, 0.03, 4), (y, 0.05, -10), w, options, 0)
    for x, y, w, options in DEPTHWISE:
        yield layer("DEPTHWISE_CONV_2D", (x, 0.03, 4), (y, 0.02, -3), w, options, 3)


@pytest.mark.parametrize("index", range(len(LAYERS) + len(DEPTHWISE)))
def test_convolutions(index):
    graph = list(convolutions())[index]
    check(graph, convolve)
    channels = graph.tensors["x0"].shape[3] if index >= len(LAYERS) else graph.tensors["y"].shape[3]
    check_parameters(graph, convolve, channels=list(range(0, channels, 2)), axis="out")
    check_parameters(graph, convolve, channels=[graph.tensors["x0"].shape[3] - 1], axis="in")


@pytest.mark.parametrize("graph", convolutions())
def test_factors_are_the_weights_scales(graph):
    """The device has them from the requantisation alone."""
    op = graph.ops[0]
    scale, real = conv_scale(op, graph), weight_scale(op, graph)
    power = 2.0 ** (scale.exponent - scale.headroom)
    assert power / 2 <= real.max() < power
    np.testing.assert_allclose(scale.m(op, len(real)), real / power * 2**15, atol=1)


@pytest.mark.parametrize("rows", [1, 6])
def test_fully_connected(rows):
    options = fused("RELU") | {"KeepNumDims": True}
    graph = layer("FULLY_CONNECTED", ((1, rows, 20), 0.03, 4), ((1, rows, 7), 0.02, -3), (7, 20), options, 0)
    check(graph, dense)
    check_parameters(graph, dense, channels=[0, 3, 6], axis="out")
    check_parameters(graph, dense, channels=[1, 19], axis="in")


MAP = (1, 5, 4, 3)
TWO = [(MAP, 0.02, 3), (MAP, 0.05, -7)]


@pytest.mark.parametrize("kind, scale, function", [
    ("ADD", 0.04, lambda op, a, b: a + b),
    ("SUB", 0.04, lambda op, a, b: a - b),
    ("MUL", 0.04, lambda op, a, b: a * b),
])  # fmt: skip
@pytest.mark.parametrize("activation", ["NONE", "RELU"])
def test_two_inputs(kind, scale, function, activation):
    check(model(kind, TWO, (MAP, scale, -20), fused(activation)), function)


def test_a_tensor_read_twice():
    import dataclasses

    graph = model("ADD", TWO[:1] * 2, (MAP, 0.04, 0), fused("NONE"))
    op = dataclasses.replace(graph.ops[0], inputs=("x0", "x0"))
    check(graph.replace(ops=(op,), inputs=("x0",)), lambda op, a, b: a + b)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 3), (1, 1, 1, 1), (1, 5, 4, 1), (1, 1, 4, 1)])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("kind, function", [
    ("ADD", lambda op, a, b: a + b), ("SUB", lambda op, a, b: a - b), ("MUL", lambda op, a, b: a * b),
])  # fmt: skip
def test_broadcast(kind, function, first, shape):
    xs = [(shape, 0.05, -7), (MAP, 0.02, 3)] if first else [(MAP, 0.02, 3), (shape, 0.05, -7)]
    check(model(kind, xs, (MAP, 0.04, -20), fused("RELU")), function)


@pytest.mark.parametrize("kind", ["ADD", "SUB", "MUL"])
def test_both_broadcast(kind):
    functions = {"ADD": lambda op, a, b: a + b, "SUB": lambda op, a, b: a - b, "MUL": lambda op, a, b: a * b}
    xs = [((1, 1, 1, 3), 0.02, 3), ((1, 5, 4, 1), 0.05, -7)]
    check(model(kind, xs, (MAP, 0.04, -20), fused("NONE")), functions[kind])


def test_repeat_channels():
    import tensorflow as tf

    from tflm_export.ir import Graph, Op

    x, y = ((1, 4, 3, 5), 0.02, 3), ((1, 4, 3, 10), 0.02, 3)
    tensors = model("CONCATENATION", [x, x], y, fused("NONE") | {"Axis": 3}).tensors
    op = Op("REPEAT_CHANNELS", "#0r", ("x0",), ("y",), {"times": 2})
    graph = Graph({name: tensors[name] for name in ("x0", "y")}, (op,), ("x0",), ("y",))
    check(graph, lambda op, x: tf.repeat(x, 2, axis=3))


@pytest.mark.parametrize("kind, x, y, options, function", [
    ("TANH", (MAP, 0.02, 9), (MAP, 1 / 128, 0), {}, "tanh"),
    ("HARD_SWISH", (MAP, 0.05, -30), (MAP, 0.06, -90), {}, "hard_swish"),
    ("LEAKY_RELU", (MAP, 0.03, 9), (MAP, 0.04, -9), {"Alpha": 0.125}, "leaky_relu"),
])  # fmt: skip
def test_lookup(kind, x, y, options, function):
    import tensorflow as tf

    functions = {
        "tanh": tf.tanh,
        "hard_swish": lambda x: x * tf.clip_by_value(x + 3, 0, 6) / 6,
        "leaky_relu": lambda x: tf.maximum(x, 0.125 * x),
    }
    check(model(kind, [x], y, options), lambda op, x: functions[function](x), tolerance=1e-3)


@pytest.mark.parametrize("kind, y, function", [
    ("RELU", (MAP, 0.01, -128), lambda op, x: x),
    ("RELU_N1_TO_1", (MAP, 0.02, 3), lambda op, x: x),
    ("RELU6", (MAP, 0.05, -40), lambda op, x: x),
    ("QUANTIZE", (MAP, 0.03, 5), lambda op, x: x),
    ("RESHAPE", ((1, 60), 0.05, -40), lambda op, x: x),
])  # fmt: skip
def test_one_input(kind, y, function):
    x = (MAP, 0.05, -40) if kind in ("RELU6", "RESHAPE") else (MAP, 0.02, 3)
    check(model(kind, [x], y), function)


def test_logistic():
    import tensorflow as tf

    graph = model("LOGISTIC", [(MAP, 0.03, 9)], (MAP, 1 / 256, -128))
    check(graph, lambda op, x: tf.sigmoid(x), tolerance=1 / 64)  # from the rounded output


def average(op, x):
    import tensorflow as tf

    a = op.attrs
    padding = "SAME" if a["pad_top"] + a["pad_bottom"] + a["pad_left"] + a["pad_right"] else "VALID"
    return tf.nn.avg_pool2d(x, (a["k_h"], a["k_w"]), (a["stride_h"], a["stride_w"]), padding)


@pytest.mark.parametrize("size, y, options", [
    ((2, 2), (1, 2, 2, 3), {"padding": "VALID", "stride": (2, 2)}),
    ((3, 3), (1, 5, 4, 3), {"padding": "SAME", "stride": (1, 1)}),
    ((3, 2), (1, 3, 4, 3), {"padding": "SAME", "stride": (2, 1)}),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_pools(kind, size, y, options):
    import tensorflow as tf

    graph = model(kind, [(MAP, 0.02, 3)], (y, 0.02, 3), pool_options(size, **options))
    if kind == "AVERAGE_POOL_2D":
        return check(graph, average)
    a = graph.ops[0].attrs
    pads = [[0, 0], [a["pad_top"], a["pad_bottom"]], [a["pad_left"], a["pad_right"]], [0, 0]]
    strides = (a["stride_h"], a["stride_w"])

    def maximum(op, x):
        return tf.nn.max_pool2d(tf.pad(x, pads, constant_values=-1e9), size, strides, "VALID")

    check(graph, maximum, smooth=False)


@pytest.mark.parametrize("over", [(1, 2), (1,), (2,), (3,), (1, 3), (1, 2, 3)])
@pytest.mark.parametrize("keep", [False, True])
def test_mean(keep, over):
    import tensorflow as tf

    axes = T("axes", (len(over),), "int32", None, data=np.array(over, np.int32))
    y = [1 if i in over else n for i, n in enumerate(MAP) if keep or i not in over]
    graph = model("MEAN", [(MAP, 0.02, 3)], (y, 0.01, -3), {"KeepDims": keep}, [axes])
    check(graph, lambda op, x: tf.reduce_mean(x, over, keepdims=keep))


def test_pad():
    import tensorflow as tf

    amounts = np.array([[0, 0], [1, 2], [0, 1], [1, 0]], np.int32)
    pads = T("pads", (4, 2), "int32", None, data=amounts)
    graph = model("PAD", [(MAP, 0.02, 3)], ((1, 8, 5, 4), 0.02, 3), {}, [pads])
    check(graph, lambda op, x: tf.pad(x, amounts))


def test_concatenation():
    import tensorflow as tf

    wide = ((1, 5, 4, 2), 0.02, 3)
    options = fused("NONE") | {"Axis": 3}
    graph = model("CONCATENATION", [(MAP, 0.02, 3), wide], ((1, 5, 4, 5), 0.02, 3), options)
    check(graph, lambda op, a, b: tf.concat([a, b], 3))


def test_every_rule_is_checked():
    """A new row of the table needs a case above."""
    here = {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "ADD",
        "SUB",
        "MUL",
        "RELU",
        "RELU6",
        "QUANTIZE",
    }
    here |= {"RELU_N1_TO_1", "TANH", "HARD_SWISH", "LEAKY_RELU"}
    here |= {"LOGISTIC", "RESHAPE", "MEAN", "AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "CONCATENATION"}
    assert {kind for kind, row in OPS.items() if row.rule} - {"SQUEEZE", "EXPAND_DIMS", "PADV2"} == here


def test_maximum_goes_to_the_first():
    from tflm_export.ir import Op, Tensor
    from tflm_export.ops import pool_2d
    from tflm_export.ops.call import Call

    graph = model("MAX_POOL_2D", [((1, 2, 2, 1), 1.0, 0)], ((1, 1, 1, 1), 1.0, 0),
                  pool_options((2, 2), padding="VALID", stride=(2, 2)))  # fmt: skip
    graph = graph.replace(tensors={**graph.tensors, "dx": Tensor("dx", (1, 2, 2, 1), "int16")})
    call = Call(Op("", "", (), ("dx",)), graph.ops[0], graph)
    x = np.array([3, 7, 7, 1], np.int8).reshape(1, 2, 2, 1)
    assert pool_2d.real_max_gradient(call, np.ones((1, 1, 1, 1)), x).reshape(-1).tolist() == [0, 1, 0, 0]
