"""One row an op (or more): a small model of it, and what it is in real numbers.

`test_op_cases.py` holds numpy, the gradient rule, the kernels and the emitted engine of every row to others.

>>> sorted(CASES)[:2], CASES["ADD"][0].graph().ops[0].kind
(['ABS', 'ADD'], 'ADD')
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from op_case import MAP, Activation, OpCase, X, tensorflow
from op_cases_moved import MOVED
from recurrent_nets import Layer, lstm, svdf
from tflite_file import T, conv_options, fused, pool_options


def _weights(shape: Sequence[int], axis: int, input_scale: float = 0.03) -> tuple[T, T]:
    """Weights with a scale an output channel, and a bias."""
    rng = np.random.default_rng(5)
    outputs = shape[axis]
    scale = rng.uniform(0.002, 0.01, outputs).astype(np.float32)
    data = rng.integers(-127, 128, shape, np.int8)
    bias_scale = scale * np.float32(input_scale)
    bias = rng.integers(-900, 900, outputs, np.int32)
    zeros = [0] * outputs
    return (
        T("w", shape, scale=scale, zero=zeros, axis=axis, data=data),
        T("b", (outputs,), "int32", scale=bias_scale, zero=zeros, data=bias),
    )


def convolve(op: Any, x: Any, w: Any, b: Any) -> Any:
    """CONV_2D and DEPTHWISE_CONV_2D."""
    tf, a = tensorflow(), op.attrs
    pads = [[0, 0], [a["pad_top"], a["pad_bottom"]], [a["pad_left"], a["pad_right"]], [0, 0]]
    strides, x = [1, a["stride_h"], a["stride_w"], 1], tf.pad(x, pads)
    kernel = tf.transpose(w, [1, 2, 3, 0])
    if op.kind == "CONV_2D":
        return tf.nn.conv2d(x, kernel, strides, "VALID") + b
    channels = range(w.shape[3])  # TensorFlow's own depthwise convolution wants equal strides
    columns = [tf.nn.conv2d(x[..., c : c + 1], kernel[:, :, c : c + 1], strides, "VALID") for c in channels]
    return tf.concat(columns, 3) + b


def dense(op: Any, x: Any, w: Any, b: Any) -> Any:
    """FULLY_CONNECTED."""
    tf = tensorflow()
    return tf.linalg.matmul(tf.reshape(x, [-1, w.shape[1]]), tf.convert_to_tensor(w), transpose_b=True) + b


def _conv(x, y, w, options) -> OpCase:
    return OpCase("CONV_2D", ((x, 0.03, 4),), (y, 0.05, -10), options, _weights(w, 0), convolve)


def _depthwise(x, y, w, options) -> OpCase:
    options = options | {"DepthMultiplier": 1}
    return OpCase("DEPTHWISE_CONV_2D", ((x, 0.03, 4),), (y, 0.02, -3), options, _weights(w, 3), convolve)


def _dense(rows: int) -> OpCase:
    xs, y = (((1, rows, 20), 0.03, 4),), ((1, rows, 7), 0.02, -3)
    options = fused("RELU") | {"KeepNumDims": True}
    return OpCase("FULLY_CONNECTED", xs, y, options, _weights((7, 20), 0), dense)


def _remembering(layer: Layer) -> OpCase:
    """An op with a state; no gradient passes it."""
    (x, y), options = ((t.shape, t.scale, t.zero) for t in (layer.x, layer.y)), layer.options
    return OpCase(layer.kind, (x,), y, options, layer.constants, slots=layer.slots)


ELEMENTWISE = {
    "ADD": lambda op, a, b: a + b,
    "SUB": lambda op, a, b: a - b,
    "MUL": lambda op, a, b: a * b,
}
OTHERS = [(1, 1, 1, 3), (1, 3), (1, 1, 1, 1), (1, 5, 4, 1), (1, 1, 4, 1)]  # shapes that broadcast to MAP


def _elementwise(kind: str) -> tuple[OpCase, ...]:
    function, y = ELEMENTWISE[kind], (MAP, 0.04, -20)
    pairs = [((X, (MAP, 0.05, -7)), activation) for activation in ("NONE", "RELU")]
    pairs += [((X, (shape, 0.05, -7)), "RELU") for shape in OTHERS]
    pairs += [(((shape, 0.05, -7), X), "RELU") for shape in OTHERS]
    pairs += [((((1, 1, 1, 3), 0.02, 3), ((1, 5, 4, 1), 0.05, -7)), "NONE")]
    return tuple(OpCase(kind, xs, y, fused(activation), function=function) for xs, activation in pairs)


def _extremum(kind: str) -> tuple[OpCase, ...]:
    def function(op: Any, a: Any, b: Any) -> Any:
        return tensorflow().minimum(a, b) if kind == "MINIMUM" else tensorflow().maximum(a, b)

    pairs = [(X, X), *((X, (shape, 0.02, 3)) for shape in OTHERS), (((1, 1, 4, 1), 0.02, 3), X)]
    return tuple(OpCase(kind, xs, X, function=function, smooth=False) for xs in pairs)


def _pool(kind: str, size, y, padding, stride) -> OpCase:
    options = pool_options(size, padding=padding, stride=stride)
    average, smooth = kind == "AVERAGE_POOL_2D", kind == "AVERAGE_POOL_2D"

    def function(op: Any, x: Any) -> Any:
        pool = tensorflow().nn.avg_pool2d if average else tensorflow().nn.max_pool2d
        return pool(x, size, stride, padding)

    return OpCase(kind, (X,), (y, 0.02, 3), options, function=function, smooth=smooth)


def _pools(kind: str) -> tuple[OpCase, ...]:
    return (
        _pool(kind, (2, 2), (1, 2, 2, 3), "VALID", (2, 2)),
        _pool(kind, (3, 3), MAP, "SAME", (1, 1)),
        _pool(kind, (3, 2), (1, 3, 4, 3), "SAME", (2, 1)),
    )


def _mean(over: tuple[int, ...], keep: bool) -> OpCase:
    axes = T("axes", (len(over),), "int32", None, data=np.array(over, np.int32))
    y = [1 if i in over else n for i, n in enumerate(MAP) if keep or i not in over]

    def function(op: Any, x: Any) -> Any:
        return tensorflow().reduce_mean(x, over, keepdims=keep)

    return OpCase("MEAN", (X,), (y, 0.01, -3), {"KeepDims": keep}, (axes,), function)


PADS = np.array([[0, 0], [1, 2], [0, 1], [1, 0]], np.int32)


def _pad(kind: str, *more: T) -> OpCase:
    pads = T("pads", (4, 2), "int32", None, data=PADS)
    value = 3 if kind == "PAD" else 7
    constant = (value - 3) * 0.02

    def function(op: Any, x: Any, *value: Any) -> Any:
        padded = tensorflow().pad(x, PADS, constant_values=constant)
        return padded + sum(0 * tensorflow().reduce_sum(v) for v in value)

    return OpCase(kind, (X,), ((1, 8, 5, 4), 0.02, 3), {}, (pads, *more), function)


def _same(kind: str, y: Activation, x: Activation = X, **more: Any) -> OpCase:
    """An op of one input that is the identity but for its clamp."""
    return OpCase(kind, (x,), y, function=lambda op, x, *_: x, **more)


def _prelu(shape: Sequence[int], y_zero: int = -7) -> OpCase:
    data = np.random.default_rng(2).integers(-128, 128, shape, np.int8)
    return OpCase(
        "PRELU", (X,), (MAP, 0.025, y_zero), {}, (T("alpha", shape, scale=0.011, zero=4, data=data),),
        lambda op, x, alpha: tensorflow().where(x >= 0, x, alpha * x), smooth=False, tolerance=1e-3,
    )  # fmt: skip


def _hard_swish(op: Any, x: Any) -> Any:
    return x * tensorflow().clip_by_value(x + 3, 0, 6) / 6


RESHAPED: Activation = (MAP, 0.05, -40)
CASES: dict[str, tuple[OpCase, ...]] = {
    "ABS": tuple(
        OpCase(
            "ABS", (X,), (MAP, *y), function=lambda op, x: tensorflow().abs(x), smooth=False, tolerance=1e-3
        )
        for y in ((0.05, -20), (0.02, -60))
    ),
    "ADD": _elementwise("ADD"),
    "AVERAGE_POOL_2D": _pools("AVERAGE_POOL_2D"),
    "CONCATENATION": (
        OpCase(
            "CONCATENATION", (X, ((1, 5, 4, 2), 0.02, 3)), ((1, 5, 4, 5), 0.02, 3),
            fused("NONE") | {"Axis": 3}, function=lambda op, a, b: tensorflow().concat([a, b], 3),
        ),
    ),
    "CONV_2D": (
        _conv((1, 6, 5, 3), (1, 6, 5, 4), (4, 3, 3, 3), conv_options("SAME", (1, 1), "RELU6")),
        _conv((1, 7, 6, 3), (1, 4, 2, 5), (5, 3, 2, 3), conv_options("SAME", (2, 3), "NONE")),
        _conv((1, 7, 7, 2), (1, 3, 3, 300), (300, 3, 3, 2), conv_options("VALID", (2, 2), "RELU")),
        _conv((1, 5, 5, 6), (1, 5, 5, 7), (7, 1, 1, 6), conv_options("SAME", (1, 1), "RELU")),
    ),
    "DEPTHWISE_CONV_2D": (
        _depthwise((1, 6, 5, 4), (1, 6, 5, 4), (1, 3, 3, 4), conv_options("SAME", (1, 1), "RELU6")),
        _depthwise((1, 7, 8, 3), (1, 3, 2, 3), (1, 3, 5, 3), conv_options("VALID", (2, 2), "NONE")),
    ),
    "ELU": (
        OpCase("ELU", (X,), (MAP, 0.015, -60), function=lambda op, x: tensorflow().nn.elu(x), tolerance=1e-3),
    ),
    "EXPAND_DIMS": (
        _same(
            "EXPAND_DIMS", ((1, 1, 5, 4, 3), 0.05, -40), RESHAPED,
            constants=(T("axis", (1,), "int32", None, data=np.array([1], np.int32)),),
        ),
    ),
    "FULLY_CONNECTED": (_dense(1), _dense(6)),
    "HARD_SWISH": (
        OpCase("HARD_SWISH", ((MAP, 0.05, -30),), (MAP, 0.06, -90), function=_hard_swish, tolerance=1e-3),
    ),
    "LEAKY_RELU": (
        OpCase(
            "LEAKY_RELU", ((MAP, 0.03, 9),), (MAP, 0.04, -9), {"Alpha": 0.125},
            function=lambda op, x: tensorflow().maximum(x, 0.125 * x), tolerance=1e-3,
        ),
    ),
    "LOGISTIC": (  # the gradient comes from the rounded output
        OpCase(
            "LOGISTIC", ((MAP, 0.03, 9),), (MAP, 1 / 256, -128),
            function=lambda op, x: tensorflow().sigmoid(x), tolerance=1 / 64,
        ),
        OpCase(
            "LOGISTIC", ((MAP, 0.03, 9),), (MAP, 0.01, -128),
            function=lambda op, x: 2.56 * tensorflow().sigmoid(x), tolerance=1e-3,
        ),
    ),
    "LOG_SOFTMAX": tuple(
        OpCase("LOG_SOFTMAX", (((1, n), scale, 3),), ((1, n), 1 / 16, 127))
        for n, scale in ((10, 0.1), (3, 2.0), (300, 0.004))
    ),
    "MAXIMUM": _extremum("MAXIMUM"),
    "MINIMUM": _extremum("MINIMUM"),
    "MAX_POOL_2D": _pools("MAX_POOL_2D"),
    "MEAN": tuple(
        _mean(over, keep)
        for over in [(1, 2), (1,), (2,), (3,), (1, 3), (1, 2, 3)]
        for keep in (False, True)
    ),
    "MUL": _elementwise("MUL"),
    "PACK": tuple(
        OpCase(
            "PACK", (X, X), (y, 0.02, 3), {"Axis": axis, "ValuesCount": 2},
            function=lambda op, a, b: tensorflow().stack([a, b], op.attrs["axis"]),
        )
        for axis, y in ((1, (1, 2, 5, 4, 3)), (-1, (1, 5, 4, 3, 2)))
    ),
    "PAD": (_pad("PAD"),),
    "PADV2": (_pad("PADV2", T("value", (1,), scale=0.02, zero=3, data=np.array([7], np.int8))),),
    "PRELU": (_prelu((1, 1, 3)), _prelu((5, 4, 3)), _prelu((1, 5, 1, 3)), _prelu((1, 1, 1, 1), y_zero=-128)),
    "QUANTIZE": (_same("QUANTIZE", (MAP, 0.03, 5)),),
    "REDUCE_MAX": (
        OpCase(
            "REDUCE_MAX", (X,), ((1, 3), 0.02, 3), {"KeepDims": False},
            (T("axes", (2,), "int32", None, data=np.array([1, 2], np.int32)),),
        ),
    ),
    "RELU": (_same("RELU", (MAP, 0.01, -128)),),
    "RELU6": (_same("RELU6", RESHAPED, RESHAPED),),
    "RELU_N1_TO_1": (_same("RELU_N1_TO_1", (MAP, 0.02, 3), by_litert=True),),
    "RESHAPE": (_same("RESHAPE", ((1, 60), 0.05, -40), RESHAPED),),
    "SOFTMAX": (OpCase("SOFTMAX", (((1, 10), 0.1, 3),), ((1, 10), 1 / 256, -128), {"Beta": 1.0}),),
    "SQUEEZE": (_same("SQUEEZE", ((1, 6), 0.05, -40), ((1, 1, 1, 6), 0.05, -40), by_litert=True),),
    "SUB": _elementwise("SUB"),
    "SVDF": (_remembering(svdf(0)), _remembering(svdf(1, state="int16"))),
    "TANH": (
        OpCase(
            "TANH", ((MAP, 0.02, 9),), (MAP, 1 / 128, 0),
            function=lambda op, x: tensorflow().tanh(x), tolerance=1e-3,
        ),
        OpCase(
            "TANH", ((MAP, 0.02, 9),), (MAP, 0.01, 5),
            function=lambda op, x: 1.28 * tensorflow().tanh(x), tolerance=1e-3,
        ),
    ),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (_remembering(lstm(0)),),
    **MOVED,
}  # fmt: skip
