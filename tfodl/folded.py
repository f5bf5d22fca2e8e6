"""`FoldedModel`: a Keras model as a plain list of nodes, batch normalisation folded into the weights.

Keras 3 and tf_keras models give the same nodes, so nothing behind this file asks which Keras it was.

>>> import keras
>>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="c"),
...                           keras.layers.BatchNormalization(), keras.layers.ReLU()])
>>> [(node.kind, node.name) for node in fold(model).nodes]
[('Input', 'input'), ('Conv2D', 'c'), ('ReLU', 're_lu')]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfodl.errors import TfodlError

IDENTITY = {"Dropout", "SpatialDropout2D", "ActivityRegularization", "GaussianNoise", "GaussianDropout"}
IDENTITY |= {"RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast"}
ACTIVATIONS = ("linear", "relu", "relu6", "softmax")


@dataclass(frozen=True)
class Node:
    """One layer after folding.

    kind: a Keras class name, or "Input".
    name: path of the Keras layer, as `LayerUpdate.name` has it; a separable convolution gives
        `"sep/depthwise"` and `"sep"`, an activation inside a layer `"conv/relu"`.
    inputs: indices into `FoldedModel.nodes`.
    config: the arguments that the layer of the same kind takes, weights apart.
    kernel: Conv2D [k_h, k_w, C_in, C_out], DepthwiseConv2D [k_h, k_w, C, m], Dense [n_in, n_out]; float32.
    bias: float32 [C_out], or None where the node holds no weights.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None


@dataclass(frozen=True)
class FoldedModel:
    """The nodes in order of computation; the last one is the output.

    rescaling: (scale, offset) of a `Rescaling` layer right after the input, which is no node: it lives
        on in the quantisation of the input. (1, 0) without one.
    absorbed: names of the batch normalisations that went into the weights before them.
    """

    nodes: tuple[Node, ...]
    rescaling: tuple[float, float] = (1.0, 0.0)
    absorbed: tuple[str, ...] = ()

    def consumers(self, index: int) -> list[int]:
        """Indices of the nodes that read node `index`."""
        return [i for i, node in enumerate(self.nodes) if index in node.inputs]

    def weighted(self) -> list[Node]:
        """The nodes that hold weights, in order."""
        return [node for node in self.nodes if node.kernel is not None]

    @property
    def head(self) -> Node:
        """The classifier: the last node with weights. Raises `TfodlError` when there is none."""
        weighted = self.weighted()
        if not weighted:
            raise TfodlError("the model has no layer with weights: nothing to train.")
        return weighted[-1]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch axis."""
        return self.nodes[0].config["shape"]

    @property
    def gives_probabilities(self) -> bool:
        """True when the model ends in a softmax."""
        return self.nodes[-1].kind == "Softmax"


def fold(model: Any) -> FoldedModel:
    """The nodes of `model`, with batch normalisation folded: `w' = w f`, `b' = (b - mean) f + beta`, where
    `f = gamma / sqrt(variance + epsilon)`.

    model: a built functional or Sequential model (Keras 3 or tf_keras, or a `SelectiveModel`), one input,
        one output, nested models allowed. A batch normalisation that follows no convolution or dense layer
        becomes a 1x1 depthwise convolution of the same name.
    Raises `TfodlError` naming the layer for anything that int8 deployment does not cover.
    """
    model = getattr(model, "selective_base", model)
    for end in ("inputs", "outputs"):
        tensors = getattr(model, end, None)
        if not isinstance(tensors, (list, tuple)) or len(tensors) != 1:
            found = len(tensors) if isinstance(tensors, (list, tuple)) else "none (is it built?)"
            raise TfodlError(f"model {_name(model)!r}: needs one input and one output, has {end}: {found}.")
    tracer = _Tracer()
    source = model.inputs[0]
    if any(size is None for size in source.shape[1:]):
        raise TfodlError(f"model {_name(model)!r}: input shape {tuple(source.shape[1:])} must be fixed.")
    shape = tuple(int(size) for size in source.shape[1:])
    tracer.add(Node("Input", "input", (), {"shape": shape}))
    tracer.trace_model(model, [0])
    nodes = tuple(_fold_batchnorm(tracer.nodes))
    left = {node.name for node in nodes}
    absorbed = tuple(node.name for node in tracer.nodes if node.name not in left)
    return FoldedModel(nodes, tracer.rescaling, absorbed)


class _Tracer:
    """Walks symbolic tensors back to the input; nested models are walked in place."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.rescaling = (1.0, 0.0)

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def trace_model(self, model: Any, inputs: list[int], prefix: str = "") -> int:
        known = {id(tensor): index for tensor, index in zip(model.inputs, inputs, strict=True)}
        return self._trace(model.outputs[0], known, prefix)

    def _trace(self, tensor: Any, known: dict[int, int], prefix: str) -> int:
        if id(tensor) in known:
            return known[id(tensor)]
        layer, node_index, output = tensor._keras_history[:3]
        call = layer._inbound_nodes[node_index]
        parents = call.input_tensors if hasattr(call, "input_tensors") else call.keras_inputs
        if not isinstance(parents, (list, tuple)):
            parents = [parents]
        sources = [self._trace(parent, known, prefix) for parent in parents]
        if output:
            raise TfodlError(f"layer {_name(layer)!r}: more than one output is not supported.")
        known[id(tensor)] = self._emit(layer, sources, tuple(tensor.shape[1:]), prefix)
        return known[id(tensor)]

    def _emit(self, layer: Any, sources: list[int], shape: tuple[int, ...], prefix: str) -> int:
        kind = type(layer).__name__
        if hasattr(layer, "outputs") and hasattr(layer, "layers"):
            return self.trace_model(layer, sources, f"{prefix}{_name(layer)}/")
        if kind in IDENTITY or kind == "InputLayer":
            return sources[0]
        if kind == "Rescaling":
            return self._rescale(layer, sources[0])
        if kind not in _EMITTERS:
            allowed = ", ".join(sorted({*_EMITTERS, *IDENTITY, "Rescaling"}))
            raise TfodlError(
                f"{kind} {_name(layer)!r}: this layer has no int8 form here; allowed: {allowed}. Replace it."
            )
        return self._add_all(_nodes(layer, tuple(sources), shape), prefix)

    def _add_all(self, nodes: list[Node], prefix: str) -> int:
        """Add a layer's nodes, each after the first reading the one before; the index of the last."""
        taken = {node.name for node in self.nodes}
        for place, node in enumerate(nodes):
            name = prefix + node.name
            if name in taken:
                raise TfodlError(
                    f"layer {name!r} occurs twice: a layer called twice or two layers of one name are not "
                    "supported; give each use a layer of its own."
                )
            inputs = (len(self.nodes) - 1,) if place else node.inputs
            self.add(dataclasses.replace(node, name=name, inputs=inputs))
        return len(self.nodes) - 1

    def _rescale(self, layer: Any, source: int) -> int:
        scale, offset = np.asarray(layer.scale), np.asarray(layer.offset)
        if scale.size != 1 or offset.size != 1 or self.nodes[source].kind != "Input":
            raise TfodlError(
                f"Rescaling {_name(layer)!r}: only one scale and one offset, right after the input, fold "
                "into the input's quantisation; scale the data before the model instead."
            )
        s, o = self.rescaling
        self.rescaling = (s * float(scale), o * float(scale) + float(offset))
        return source


def _nodes(layer: Any, sources: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    nodes = _EMITTERS[type(layer).__name__](layer, sources, shape)
    activation = _activation(layer) if nodes[-1].kernel is not None else None
    return [*nodes, activation] if activation else nodes


def _name(layer: Any) -> str:
    return str(getattr(layer, "name", type(layer).__name__))


def _activation(layer: Any) -> Node | None:
    """The activation inside `layer` as a node of its own, or None for a linear one."""
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", "linear") if function is not None else "linear"
    if name not in ACTIVATIONS:
        raise TfodlError(
            f"{type(layer).__name__} {_name(layer)!r}: activation {name!r} has no int8 form here; allowed: "
            f"{', '.join(ACTIVATIONS)}."
        )
    own = f"{_name(layer)}/{name}" if type(layer).__name__ != "Activation" else _name(layer)
    if name == "softmax":
        return Node("Softmax", own, ())
    limit = {"linear": -1.0, "relu": None, "relu6": 6.0}[name]
    return None if limit == -1.0 else Node("ReLU", own, (), {"max_value": limit})


def _weights(layer: Any, count: int, n_out: int) -> list[np.ndarray]:
    """`count` kernels and a bias (zeros when the layer has none)."""
    values = [np.asarray(w, np.float32) for w in layer.get_weights()]
    if len(values) == count:
        values.append(np.zeros(n_out, np.float32))
    return values


def _geometry(layer: Any) -> dict[str, Any]:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise TfodlError(f"{type(layer).__name__} {_name(layer)!r}: data_format must be 'channels_last'.")
    return {
        "strides": tuple(layer.strides),
        "padding": layer.padding,
        "dilation_rate": tuple(layer.dilation_rate),
    }


def _conv(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    if layer.groups != 1:
        raise TfodlError(f"Conv2D {_name(layer)!r}: groups {layer.groups} is not supported; allowed: 1.")
    kernel, bias = _weights(layer, 1, shape[-1])
    return [Node("Conv2D", _name(layer), inputs, _geometry(layer), kernel, bias)]


def _depthwise(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    kernel, bias = _weights(layer, 1, shape[-1])
    return [Node("DepthwiseConv2D", _name(layer), inputs, _geometry(layer), kernel, bias)]


def _separable(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    depthwise, pointwise, bias = _weights(layer, 2, shape[-1])
    zeros = np.zeros(depthwise.shape[2] * depthwise.shape[3], np.float32)
    first = Node("DepthwiseConv2D", f"{_name(layer)}/depthwise", inputs, _geometry(layer), depthwise, zeros)
    second = Node("Conv2D", _name(layer), (), {"padding": "valid"}, pointwise, bias)
    return [first, second]


def _dense(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    if len(shape) != 1:
        raise TfodlError(
            f"Dense {_name(layer)!r}: its input must be flat, got output shape {shape}; flatten it."
        )
    kernel, bias = _weights(layer, 1, shape[-1])
    return [Node("Dense", _name(layer), inputs, {}, kernel, bias)]


def _batchnorm(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    if tuple(np.atleast_1d(layer.axis)) not in ((-1,), (len(shape),)):
        raise TfodlError(f"BatchNormalization {_name(layer)!r}: axis must be the last, got {layer.axis}.")
    values = [np.asarray(w, np.float64) for w in layer.get_weights()]
    gamma = values.pop(0) if layer.scale else 1.0
    beta = values.pop(0) if layer.center else 0.0
    mean, variance = values
    factor = gamma / np.sqrt(variance + layer.epsilon)
    config = {"factor": factor, "offset": beta - mean * factor, "rank": len(shape)}
    return [Node("BatchNormalization", _name(layer), inputs, config)]


def _relu(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    slope, threshold = float(layer.negative_slope), float(layer.threshold)
    limit = None if layer.max_value is None else float(layer.max_value)
    if slope or threshold or limit not in (None, 6.0):
        raise TfodlError(
            f"ReLU {_name(layer)!r}: max_value {limit}, negative_slope {slope}, threshold {threshold}; "
            "allowed: max_value None or 6, no slope, no threshold."
        )
    return [Node("ReLU", _name(layer), inputs, {"max_value": limit})]


def _standalone(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    activation = _activation(layer)
    return [
        dataclasses.replace(activation or Node("Reshape", _name(layer), (), {"shape": shape}), inputs=inputs)
    ]


def _pool(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    config = {"pool_size": tuple(layer.pool_size), "strides": tuple(layer.strides), "padding": layer.padding}
    return [Node(type(layer).__name__, _name(layer), inputs, config)]


def _padding(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    return [Node("ZeroPadding2D", _name(layer), inputs, {"padding": tuple(map(tuple, layer.padding))})]


def _pad(operation: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    """`keras.ops.pad` with zeros."""
    value = operation._inbound_nodes[0].arguments.kwargs.get("constant_values")
    if operation.mode != "constant" or value or len(operation.pad_width) != len(shape) + 1:
        raise TfodlError(
            f"Pad {_name(operation)!r}: mode {operation.mode!r}, value {value}, axes "
            f"{len(operation.pad_width)}; allowed: zeros, with a width for every axis."
        )
    return [Node("Pad", _name(operation), inputs, {"padding": tuple(map(tuple, operation.pad_width))})]


def _global_pool(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    return [Node("GlobalAveragePooling2D", _name(layer), inputs, {"keepdims": bool(layer.keepdims)})]


def _reshape(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    return [Node("Reshape", _name(layer), inputs, {"shape": tuple(map(int, shape))})]


def _plain(layer: Any, inputs: tuple[int, ...], shape: tuple[int, ...]) -> list[Node]:
    return [Node(type(layer).__name__, _name(layer), inputs)]


Emitter = Callable[[Any, tuple[int, ...], tuple[int, ...]], list[Node]]
_EMITTERS: dict[str, Emitter] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batchnorm,
    "ReLU": _relu,
    "Activation": _standalone,
    "Softmax": _plain,
    "Add": _plain,
    "ZeroPadding2D": _padding,
    "Pad": _pad,
    "MaxPooling2D": _pool,
    "AveragePooling2D": _pool,
    "GlobalAveragePooling2D": _global_pool,
    "Flatten": _reshape,
    "Reshape": _reshape,
}


def _fold_batchnorm(nodes: list[Node]) -> list[Node]:
    """Merge every batch normalisation into the weights before it, or make it a depthwise convolution."""
    readers = [sum(index in node.inputs for node in nodes) for index in range(len(nodes))]
    folded: list[Node] = []
    place: list[int] = []  # old index -> new index
    for node in nodes:
        inputs = tuple(place[index] for index in node.inputs)
        if node.kind != "BatchNormalization":
            place.append(len(folded))
            folded.append(dataclasses.replace(node, inputs=inputs))
            continue
        source = folded[inputs[0]]
        if source.kernel is not None and readers[node.inputs[0]] == 1:
            folded[inputs[0]] = _absorb(source, node)
            place.append(inputs[0])
        else:
            place.append(len(folded))
            folded.append(_as_depthwise(node, inputs))
    return folded


def _absorb(source: Node, norm: Node) -> Node:
    assert source.kernel is not None and source.bias is not None
    factor = np.broadcast_to(norm.config["factor"], source.bias.shape)
    shape = source.kernel.shape[-2:] if source.kind == "DepthwiseConv2D" else (len(factor),)
    kernel = (source.kernel * factor.reshape(shape)).astype(np.float32)
    bias = (source.bias * factor + norm.config["offset"]).astype(np.float32)
    return dataclasses.replace(source, kernel=kernel, bias=bias)


def _as_depthwise(node: Node, inputs: tuple[int, ...]) -> Node:
    if node.config["rank"] != 3:
        raise TfodlError(
            f"BatchNormalization {node.name!r}: on a flat input it folds only into a Dense layer before it."
        )
    factor = np.asarray(node.config["factor"], np.float32)
    offset = np.asarray(node.config["offset"], np.float32)
    geometry = {"strides": (1, 1), "padding": "valid", "dilation_rate": (1, 1)}
    return Node("DepthwiseConv2D", node.name, inputs, geometry, factor.reshape(1, 1, -1, 1), offset)
