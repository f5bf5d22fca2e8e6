"""Keras layer -> nodes, one function a layer class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.quantize.folding.activations import PREVIOUS, activation_nodes
from tfodl.quantize.folding.folded import Node


def nodes_of(layer: Any, sources: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    """The nodes of `layer`, which reads the nodes `sources` and gives [N, *shape].

    An input below 0 counts from the node itself: -1 is the node before.
    """
    nodes = EMITTERS[type(layer).__name__](layer, sources, shape)
    return [*nodes, *activation_nodes(layer)] if nodes[-1].kernel is not None else nodes


def name_of(layer: Any) -> str:
    return str(getattr(layer, "name", type(layer).__name__))


def _weights(layer: Any, count: int, n_out: int) -> list[np.ndarray]:
    """`count` kernels and a bias (zeros when the layer has none)."""
    values = [np.asarray(w, np.float32) for w in layer.get_weights()]
    if len(values) == count:
        values.append(np.zeros(n_out, np.float32))
    return values


def _geometry(layer: Any) -> dict[str, Any]:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise TfodlError(f"{type(layer).__name__} {name_of(layer)!r}: data_format must be 'channels_last'.")
    return {
        "strides": tuple(layer.strides),
        "padding": layer.padding,
        "dilation_rate": tuple(layer.dilation_rate),
    }


def _conv(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    if layer.groups != 1:
        raise TfodlError(f"Conv2D {name_of(layer)!r}: groups {layer.groups} is not supported; allowed: 1.")
    kernel, bias = _weights(layer, 1, shape[-1])
    return [Node("Conv2D", name_of(layer), inputs, _geometry(layer), kernel, bias)]


def _depthwise(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    kernel, bias = _weights(layer, 1, shape[-1])
    return [Node("DepthwiseConv2D", name_of(layer), inputs, _geometry(layer), kernel, bias)]


def _separable(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    depthwise, pointwise, bias = _weights(layer, 2, shape[-1])
    zeros = np.zeros(depthwise.shape[2] * depthwise.shape[3], np.float32)
    first = Node("DepthwiseConv2D", f"{name_of(layer)}/depthwise", inputs, _geometry(layer), depthwise, zeros)
    second = Node("Conv2D", name_of(layer), (PREVIOUS,), {"padding": "valid"}, pointwise, bias)
    return [first, second]


def _dense(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    if len(shape) != 1:
        raise TfodlError(
            f"Dense {name_of(layer)!r}: its input must be flat, got output shape {shape}; flatten it."
        )
    kernel, bias = _weights(layer, 1, shape[-1])
    return [Node("Dense", name_of(layer), inputs, {}, kernel, bias)]


def _batchnorm(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    if tuple(np.atleast_1d(layer.axis)) not in ((-1,), (len(shape),)):
        raise TfodlError(f"BatchNormalization {name_of(layer)!r}: axis must be the last, got {layer.axis}.")
    values = [np.asarray(w, np.float64) for w in layer.get_weights()]
    gamma = values.pop(0) if layer.scale else 1.0
    beta = values.pop(0) if layer.center else 0.0
    mean, variance = values
    factor = gamma / np.sqrt(variance + layer.epsilon)
    config = {"factor": factor, "offset": beta - mean * factor, "rank": len(shape)}
    return [Node("BatchNormalization", name_of(layer), inputs, config)]


def _relu(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    slope, threshold = float(layer.negative_slope), float(layer.threshold)
    limit = None if layer.max_value is None else float(layer.max_value)
    if slope or threshold or limit not in (None, 6.0):
        raise TfodlError(
            f"ReLU {name_of(layer)!r}: max_value {limit}, negative_slope {slope}, threshold {threshold}; "
            "allowed: max_value None or 6, no slope, no threshold."
        )
    return [Node("ReLU", name_of(layer), inputs, {"max_value": limit})]


def _leaky_relu(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    slope = float(layer.negative_slope if hasattr(layer, "negative_slope") else layer.alpha)
    return [Node("LeakyReLU", name_of(layer), inputs, {"negative_slope": slope})]


def _standalone(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    return activation_nodes(layer, *inputs) or _reshape(layer, inputs, shape)


def _merge(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    """Addition and the like of two maps, or of more in a chain."""
    kind, name = type(layer).__name__, name_of(layer)
    if len(inputs) < 2:
        raise TfodlError(
            f"{kind} {name!r}: {len(inputs)} input and a constant, which folds only at the "
            "model's input; allowed: two or more inputs. For a hard swish write Activation('hard_silu')."
        )
    chain = [Node(kind, f"{name}/{i}", (PREVIOUS, source)) for i, source in enumerate(inputs[1:])]
    chain[0] = dataclasses.replace(chain[0], inputs=inputs[:2])
    return [*chain[:-1], dataclasses.replace(chain[-1], name=name)]


def _concatenate(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    axis = layer.axis % (len(shape) + 1)
    if axis == 0 or len(inputs) < 2:
        raise TfodlError(
            f"Concatenate {name_of(layer)!r}: axis {layer.axis} of {len(inputs)} inputs; allowed: two inputs "
            "or more, along any axis but the batch."
        )
    return [Node("Concatenate", name_of(layer), inputs, {"axis": axis})]


def _pool(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    config = {"pool_size": tuple(layer.pool_size), "strides": tuple(layer.strides), "padding": layer.padding}
    return [Node(type(layer).__name__, name_of(layer), inputs, config)]


def _padding(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    return [Node("ZeroPadding2D", name_of(layer), inputs, {"padding": tuple(map(tuple, layer.padding))})]


def _pad(operation: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    """`keras.ops.pad` with zeros."""
    value = operation._inbound_nodes[0].arguments.kwargs.get("constant_values")
    if operation.mode != "constant" or value or len(operation.pad_width) != len(shape) + 1:
        raise TfodlError(
            f"Pad {name_of(operation)!r}: mode {operation.mode!r}, value {value}, axes "
            f"{len(operation.pad_width)}; allowed: zeros, with a width for every axis."
        )
    return [Node("Pad", name_of(operation), inputs, {"padding": tuple(map(tuple, operation.pad_width))})]


def _global_pool(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    return [Node("GlobalAveragePooling2D", name_of(layer), inputs, {"keepdims": bool(layer.keepdims)})]


def _global_max(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    size = tuple(int(n) for n in layer.input.shape[1:3])
    config = {"pool_size": size, "strides": size, "padding": "valid"}
    whole = Node("MaxPooling2D", f"{name_of(layer)}/pool", inputs, config)
    return [whole, *_reshape(layer, (PREVIOUS,), shape)]


def _reshape(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    return [Node("Reshape", name_of(layer), inputs, {"shape": tuple(map(int, shape))})]


def _plain(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    return [Node(type(layer).__name__, name_of(layer), inputs)]


Emitter = Callable[[Any, tuple[int, ...], tuple[int, ...]], list[Node]]
EMITTERS: dict[str, Emitter] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batchnorm,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "Activation": _standalone,
    "Softmax": _plain,
    "Add": _merge,
    "Subtract": _merge,
    "Multiply": _merge,
    "Concatenate": _concatenate,
    "ZeroPadding2D": _padding,
    "Pad": _pad,
    "MaxPooling2D": _pool,
    "AveragePooling2D": _pool,
    "GlobalAveragePooling2D": _global_pool,
    "GlobalMaxPooling2D": _global_max,
    "Flatten": _reshape,
    "Reshape": _reshape,
}
