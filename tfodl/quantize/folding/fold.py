"""`fold`: a Keras model -> `FoldedModel`.

Keras 3 and tf_keras models give the same nodes, so nothing behind this file asks which Keras it was.

>>> import keras
>>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="c"),
...                           keras.layers.BatchNormalization(), keras.layers.ReLU(name="r")])
>>> [(node.kind, node.name) for node in fold(model).nodes]
[('Input', 'input'), ('Conv2D', 'c'), ('ReLU', 'r')]
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.quantize.folding.batchnorm import fold_batchnorm
from tfodl.quantize.folding.folded import FoldedModel, Node
from tfodl.quantize.folding.layers import EMITTERS, name_of, nodes_of

IDENTITY = {"Dropout", "SpatialDropout2D", "ActivityRegularization", "GaussianNoise", "GaussianDropout"}
IDENTITY |= {"RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast"}


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
            raise TfodlError(f"model {name_of(model)!r}: needs one input and one output, has {end}: {found}.")
    tracer = _Tracer()
    source = model.inputs[0]
    if any(size is None for size in source.shape[1:]):
        raise TfodlError(f"model {name_of(model)!r}: input shape {tuple(source.shape[1:])} must be fixed.")
    shape = tuple(int(size) for size in source.shape[1:])
    tracer.add(Node("Input", "input", (), {"shape": shape}))
    tracer.trace_model(model, [0])
    nodes = tuple(fold_batchnorm(tracer.nodes))
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
            raise TfodlError(f"layer {name_of(layer)!r}: more than one output is not supported.")
        known[id(tensor)] = self._emit(layer, sources, tuple(tensor.shape[1:]), prefix)
        return known[id(tensor)]

    def _emit(self, layer: Any, sources: list[int], shape: tuple[int, ...], prefix: str) -> int:
        kind = type(layer).__name__
        if hasattr(layer, "outputs") and hasattr(layer, "layers"):
            return self.trace_model(layer, sources, f"{prefix}{name_of(layer)}/")
        if kind in IDENTITY or kind == "InputLayer":
            return sources[0]
        if kind == "Rescaling":
            return self._rescale(layer, sources[0])
        if kind not in EMITTERS:
            allowed = ", ".join(sorted({*EMITTERS, *IDENTITY, "Rescaling"}))
            raise TfodlError(
                f"{kind} {name_of(layer)!r}: this layer has no int8 form here; allowed: {allowed}. "
                "Replace it."
            )
        return self._add_all(nodes_of(layer, tuple(sources), shape), prefix)

    def _add_all(self, nodes: list[Node], prefix: str) -> int:
        """Add a layer's nodes; the index of the last."""
        taken = {node.name for node in self.nodes}
        for node in nodes:
            name = prefix + node.name
            if name in taken:
                raise TfodlError(
                    f"layer {name!r} occurs twice: a layer called twice or two layers of one name are not "
                    "supported; give each use a layer of its own."
                )
            inputs = tuple(i if i >= 0 else len(self.nodes) + i for i in node.inputs)
            self.add(dataclasses.replace(node, name=name, inputs=inputs))
        return len(self.nodes) - 1

    def _rescale(self, layer: Any, source: int) -> int:
        scale, offset = np.asarray(layer.scale), np.asarray(layer.offset)
        if scale.size != 1 or offset.size != 1 or self.nodes[source].kind != "Input":
            raise TfodlError(
                f"Rescaling {name_of(layer)!r}: only one scale and one offset, right after the input, fold "
                "into the input's quantisation; scale the data before the model instead."
            )
        s, o = self.rescaling
        self.rescaling = (s * float(scale), o * float(scale) + float(offset))
        return source
