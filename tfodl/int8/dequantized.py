"""The dequantised twin of an int8 graph in TensorFlow: the reference that device gradients are held to.

Every op is the real-valued function of dequantised inputs and weights; its value is then replaced by the int8
value that the device computes, straight through. TensorFlow differentiates; nothing here is a gradient rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tflm_export.errors import TfodlError
from tflm_export.gradients.head import logits_of, softmax_beta
from tflm_export.ir import Graph, Op, Tensor
from tflm_export.ops.result import tensor_quant
from tflm_export.simulate.evaluate import run

ROUNDING = 1e-4  # of an int8 step: above the error of a dequantised bias, below any sum's own step


def dequantize(graph: Graph, name: str, values: np.ndarray | None = None) -> np.ndarray:
    """Real values float64 of a tensor: of `values`, or of the constant itself."""
    values = graph.constant(name) if values is None else values
    return tensor_quant(graph, name).dequantize(values)


def gradients(
    graph: Graph, x: np.ndarray, labels: np.ndarray, constants: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Gradients of the mean softmax cross-entropy with respect to every real weight and bias.

    graph: a forward graph. x: int8 [N, ...]. labels: int [N]. constants: present int8/int32 values of weights
    and biases by tensor name, where they differ from the model's.
    Returns `{constant's name: float64 array of its shape}`. Raises `TfodlError` for an op without a twin.
    """
    constants = dict(constants or {})
    int8 = run(graph, {graph.inputs[0]: x, **constants}, all_tensors=True)
    variables = {
        name: tf.constant(dequantize(graph, name, constants.get(name)))
        for op in graph.ops
        for name in op.inputs[1:3]
        if op.kind in _WEIGHTED and name
    }
    values: dict[str, tf.Tensor] = {
        graph.inputs[0]: tf.constant(dequantize(graph, graph.inputs[0], x)),
        **{
            name: tf.constant(dequantize(graph, name, t.data))
            for name, t in graph.tensors.items()
            if _real(t)
        },
        **variables,
    }
    output = logits_of(graph)
    with tf.GradientTape() as tape:
        tape.watch(list(variables.values()))
        for op in graph.ops:
            if output in values:
                break
            real = _twin(op)(op, graph, values)
            if op.outputs[0] != output:
                real = _clip(op, graph, real)
            exact = dequantize(graph, op.outputs[0], int8[op.outputs[0]])
            values[op.outputs[0]] = exact + (real - tf.stop_gradient(real))  # ties stay ties
        flat = softmax_beta(graph, output) * tf.reshape(values[output], [len(x), -1])
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, flat))
    found = tape.gradient(loss, list(variables.values()), unconnected_gradients="zero")
    return {name: gradient.numpy() for name, gradient in zip(variables, found, strict=True)}


def _real(tensor: Tensor) -> bool:
    return tensor.data is not None and tensor.quant is not None and tensor.dtype == "int8"


def _clip(op: Op, graph: Graph, real: tf.Tensor) -> tf.Tensor:
    """The op's clamp on real values. A ReLU (`act_min` at the zero point) cuts at 0, where integers often lie
    exactly and floats a rounding error beside; a saturation half a step further out, where rounding clips."""
    if "act_min" not in op.attrs:
        return real
    quant = graph.tensors[op.outputs[0]].quant
    assert quant is not None
    scale, zero = quant.scale[0], quant.zero_point[0]
    low, high = op.attrs["act_min"] - zero, op.attrs["act_max"] - zero
    real = tf.minimum(real, scale * (high + 0.5))
    if low == 0:
        return tf.where(real > ROUNDING * scale, real, 0.0)
    return tf.maximum(real, scale * (low - 0.5))


def _padded(op: Op, x: tf.Tensor) -> tf.Tensor:
    a = op.attrs
    return tf.pad(x, [[0, 0], [a["pad_top"], a["pad_bottom"]], [a["pad_left"], a["pad_right"]], [0, 0]])


def _bias(op: Op, values: Mapping[str, tf.Tensor]) -> tf.Tensor | float:
    return values[op.bias] if op.bias else 0.0


def _strides(op: Op) -> list[int]:
    return [1, op.attrs["stride_h"], op.attrs["stride_w"], 1]


def _conv(op: Op, graph: Graph, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
    weights = tf.transpose(values[op.inputs[1]], [1, 2, 3, 0])
    x = _padded(op, values[op.inputs[0]])
    return tf.nn.conv2d(x, weights, _strides(op), "VALID") + _bias(op, values)


def _depthwise(op: Op, graph: Graph, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Written with slices: TensorFlow has no float64 depthwise gradient for unequal strides."""
    x, weights, a = _padded(op, values[op.inputs[0]]), values[op.inputs[1]], op.attrs
    _, p, q, _ = graph.tensors[op.outputs[0]].shape
    rows = [slice(k, k + (p - 1) * a["stride_h"] + 1, a["stride_h"]) for k in range(a["k_h"])]
    columns = [slice(k, k + (q - 1) * a["stride_w"] + 1, a["stride_w"]) for k in range(a["k_w"])]
    taps = [x[:, r, c] * weights[0, ky, kx] for ky, r in enumerate(rows) for kx, c in enumerate(columns)]
    return tf.add_n(taps) + _bias(op, values)


def _dense(op: Op, graph: Graph, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
    weights = values[op.inputs[1]]
    x = values[op.inputs[0]]
    rows = tf.reshape(x, [tf.shape(x)[0], -1, weights.shape[1]])
    y = tf.matmul(rows, weights, transpose_b=True) + _bias(op, values)
    return tf.reshape(y, [-1, *graph.tensors[op.outputs[0]].shape[1:]])


def _pool(op: Op, values: Mapping[str, tf.Tensor], kind: str) -> tf.Tensor:
    a = op.attrs
    padding = "SAME" if any(a[k] for k in ("pad_top", "pad_bottom", "pad_left", "pad_right")) else "VALID"
    return tf.nn.pool(
        values[op.inputs[0]], [a["k_h"], a["k_w"]], kind, [a["stride_h"], a["stride_w"]], padding
    )


def _pad(op: Op, graph: Graph, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
    value = dequantize(graph, op.inputs[0], np.full((1,), op.attrs["value"]))
    return tf.pad(values[op.inputs[0]], op.attrs["padding"], constant_values=float(value[0]))


def _concatenation(op: Op, graph: Graph, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
    parts = [values[name] for name in op.inputs]
    batch = max(len(part) for part in parts)
    return tf.concat([tf.repeat(p, batch // len(p), axis=0) for p in parts], op.attrs["axis"])


def _reshape(op: Op, graph: Graph, values: Mapping[str, tf.Tensor]) -> tf.Tensor:
    return tf.reshape(values[op.inputs[0]], [-1, *graph.tensors[op.outputs[0]].shape[1:]])


def _elementwise(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    return lambda op, graph, values: function(*(values[name] for name in op.inputs))


_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

_TWINS: dict[str, Callable[[Op, Graph, Mapping[str, tf.Tensor]], tf.Tensor]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "ADD": _elementwise(tf.add),
    "SUB": _elementwise(tf.subtract),
    "MUL": _elementwise(tf.multiply),
    "RELU": _elementwise(tf.identity),
    "RELU6": _elementwise(tf.identity),
    "QUANTIZE": _elementwise(tf.identity),
    "LOGISTIC": _elementwise(tf.sigmoid),
    "TANH": _elementwise(tf.tanh),
    "HARD_SWISH": _elementwise(lambda x: x * tf.nn.relu6(x + 3) / 6),
    "MEAN": lambda op, graph, values: tf.reduce_mean(
        values[op.inputs[0]], op.attrs["axes"], op.attrs["keep_dims"]
    ),
    "AVERAGE_POOL_2D": lambda op, graph, values: _pool(op, values, "AVG"),
    "MAX_POOL_2D": lambda op, graph, values: _pool(op, values, "MAX"),
    "PAD": _pad,
    "PADV2": _pad,
    "CONCATENATION": _concatenation,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
}


def _twin(op: Op) -> Callable[[Op, Graph, Mapping[str, tf.Tensor]], tf.Tensor]:
    if op.kind not in _TWINS:
        raise TfodlError(f"{op.kind} {op.name!r}: no TensorFlow twin; allowed: {sorted(_TWINS)}.")
    return _TWINS[op.kind]
