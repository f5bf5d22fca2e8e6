"""A `FoldedModel` as a model again, layer by layer: in tf_keras, for tfmot and the converter, or in Keras 3.

>>> import keras
>>> from tfodl.quantize.folding.fold import fold
>>> source = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="d")])
>>> rebuild(fold(source)).get_layer("d").units
2
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from tfodl.quantize.folding.affine import Affine
from tfodl.quantize.folding.folded import FoldedModel, Node

Layer = Any
Wrap = Callable[[Layer, int], Layer]
MERGES = ("Add", "Subtract", "Multiply", "Concatenate")


def rebuild(
    folded: FoldedModel,
    wrap: Wrap = lambda layer, index: layer,
    library: Any = tf_keras,
    rescaled: bool = False,
) -> Any:
    """The functional model of `folded`, with its weights set.

    wrap: called with every layer and its node's index before the layer is used, e.g. to annotate it.
    library: `tf_keras`, or `keras` for a Keras 3 model.
    rescaled: begin with the rescaling, as a layer; it is left out else (`FoldedModel.rescaling`).
    Layers are named `layer_name(node.name)`.
    """
    tensors: list[Any] = []
    layers: list[Any] = []
    for index, node in enumerate(folded.nodes):
        if node.kind == "Input":
            image = library.Input(node.config["shape"], name="input")
            tensors.append(_rescaled(image, folded.rescaling, library) if rescaled else image)
            layers.append(None)
            continue
        layer = _BUILDERS[node.kind](node, library)
        sources = [tensors[i] for i in node.inputs]
        tensors.append(wrap(layer, index)(sources if node.kind in MERGES else sources[0]))
        layers.append(layer)
    model = library.Model(image, tensors[-1])
    for layer, node in zip(layers, folded.nodes, strict=True):
        if node.kernel is not None:
            layer.set_weights([node.kernel, node.bias])
    return model


def _rescaled(image: Any, rule: Affine, library: Any) -> Any:
    if rule.identity:
        return image
    values = (list(rule.scale), list(rule.offset))
    return library.layers.Rescaling(*values, name="rescaling")(image[..., ::-1] if rule.flip else image)


def layer_name(name: str) -> str:
    """A node's name as tf_keras allows it: no slash."""
    return name.replace("/", "__")


def _conv(node: Node, library: Any) -> Layer:
    assert node.kernel is not None
    *size, _, filters = node.kernel.shape
    return library.layers.Conv2D(filters, size, name=layer_name(node.name), **node.config)


def _depthwise(node: Node, library: Any) -> Layer:
    assert node.kernel is not None
    *size, _, multiplier = node.kernel.shape
    name = layer_name(node.name)
    return library.layers.DepthwiseConv2D(size, depth_multiplier=multiplier, name=name, **node.config)


def _dense(node: Node, library: Any) -> Layer:
    assert node.kernel is not None
    return library.layers.Dense(node.kernel.shape[1], name=layer_name(node.name))


def _reshape(node: Node, library: Any) -> Layer:
    return library.layers.Reshape(node.config["shape"], name=layer_name(node.name))


def _activation(called: str) -> Callable[[Node, Any], Layer]:
    return lambda node, library: library.layers.Activation(called, name=layer_name(node.name))


def _leaky_relu(node: Node, library: Any) -> Layer:
    slope = {"alpha" if library is tf_keras else "negative_slope": node.config["negative_slope"]}
    return library.layers.LeakyReLU(name=layer_name(node.name), **slope)


class HardSwish(tf_keras.layers.Layer):
    """`x relu6(x + 3) / 6`, which tf_keras lacks."""

    def call(self, inputs: Any) -> Any:
        return inputs * tf.nn.relu6(inputs + 3.0) * (1 / 6)


def _hard_swish(node: Node, library: Any) -> Layer:
    if library is tf_keras:
        return HardSwish(name=layer_name(node.name))
    return library.layers.Activation("hard_silu", name=layer_name(node.name))


class Pad(tf_keras.layers.Layer):
    """Zeros around a tensor along any axis. padding: (before, after) of every axis, the batch first."""

    def __init__(self, padding: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs: Any) -> Any:
        return tf.pad(inputs, self.padding)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}


def _pad(node: Node, library: Any) -> Layer:
    if library is tf_keras:
        return Pad(node.config["padding"], name=layer_name(node.name))
    return lambda x: library.ops.pad(x, node.config["padding"])


def _plain(kind: str) -> Callable[[Node, Any], Layer]:
    return lambda node, library: getattr(library.layers, kind)(name=layer_name(node.name), **node.config)


_BUILDERS: dict[str, Callable[[Node, Any], Layer]] = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "Dense": _dense,
    "Reshape": _reshape,
    "Pad": _pad,
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "HardSwish": _hard_swish,
    "LeakyReLU": _leaky_relu,
    **{
        kind: _plain(kind)
        for kind in (
            "ReLU",
            "Softmax",
            *MERGES,
            "ZeroPadding2D",
            "MaxPooling2D",
            "AveragePooling2D",
            "GlobalAveragePooling2D",
        )
    },
}
