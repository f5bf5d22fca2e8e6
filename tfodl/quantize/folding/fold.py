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
from dataclasses import dataclass
from typing import Any

from tflm_export.errors import TfodlError
from tfodl.quantize.folding.affine import Affine, affine_before, parents, producer
from tfodl.quantize.folding.batchnorm import affine_node, fold_batchnorm
from tfodl.quantize.folding.folded import FoldedModel, Node
from tfodl.quantize.folding.layers import EMITTERS, name_of, nodes_of
from tfodl.quantize.folding.widen import widen

AUGMENTATIONS = {
    "AugMix", "CutMix", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration",
    "RandomColorJitter", "RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip",
    "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective",
    "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear",
    "RandomTranslation", "RandomZoom",
}  # fmt: skip
IDENTITY = AUGMENTATIONS | {  # at inference
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise",
    "SpatialDropout2D",
}  # fmt: skip
SCALINGS = ("Normalization", "Rescaling")


def fold(model: Any) -> FoldedModel:
    """The nodes of `model`, with batch normalisation folded: `w' = w f`, `b' = (b - mean) f + beta`, where
    `f = gamma / sqrt(variance + epsilon)`.

    model: a built functional or Sequential model (Keras 3 or tf_keras, or a `SelectiveModel`), one input,
        one output, nested models allowed. A batch normalisation that follows no convolution or dense layer
        becomes a 1x1 depthwise convolution of the same name. Layers of one dimension become those of two
        (`widen`).
    Raises `TfodlError` naming the layer for anything that int8 deployment does not cover.
    """
    model = widen(getattr(model, "selective_base", model)).model
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
    tracer.trace_model(model, [Place(0)])
    nodes = tuple(fold_batchnorm(tracer.nodes))
    left = {node.name for node in nodes}
    absorbed = tuple(node.name for node in tracer.nodes if node.name not in left)
    return FoldedModel(nodes, tracer.rescaling or Affine(), absorbed)


@dataclass(frozen=True)
class Place:
    """Where a symbolic tensor is: a node, and what scales the model's input before it is read."""

    node: int
    rescaling: Affine = Affine()


class _Tracer:
    """Walks symbolic tensors back to the input; nested models are walked in place."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.rescaling: Affine | None = None

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def trace_model(self, model: Any, inputs: list[Place], prefix: str = "") -> Place:
        known = {id(tensor): place for tensor, place in zip(model.inputs, inputs, strict=True)}
        return self._trace(model.outputs[0], known, prefix)

    def _trace(self, tensor: Any, known: dict[int, Place], prefix: str) -> Place:
        if id(tensor) not in known:
            known[id(tensor)] = self._rescaled(tensor, known, prefix) or self._made(tensor, known, prefix)
        return known[id(tensor)]

    def _rescaled(self, tensor: Any, known: dict[int, Place], prefix: str) -> Place | None:
        """The place of a tensor that is another one scaled by constants; None for any other. Of the input it
        is what the input's quantisation takes up, elsewhere a batch normalisation of constants."""
        step = affine_before(tensor)
        if step is None:
            return None
        source, rule = step
        place = self._trace(source, known, prefix)
        if self.nodes[place.node].kind == "Input":
            return Place(place.node, place.rescaling.then(rule))
        if rule.flip:
            return None
        name, rank = name_of(producer(tensor)[0]), len(tensor.shape) - 1
        node = affine_node(name, rule, place.node, rank, int(tensor.shape[-1]))
        return Place(self._add_all([node], prefix))

    def _made(self, tensor: Any, known: dict[int, Place], prefix: str) -> Place:
        layer, call = producer(tensor)
        sources = [self._trace(parent, known, prefix) for parent in parents(call)]
        if tensor._keras_history[2]:
            raise TfodlError(f"layer {name_of(layer)!r}: more than one output is not supported.")
        return self._emit(layer, sources, tuple(tensor.shape[1:]), prefix)

    def _emit(self, layer: Any, sources: list[Place], shape: tuple[int, ...], prefix: str) -> Place:
        kind = type(layer).__name__
        if hasattr(layer, "outputs") and hasattr(layer, "layers"):
            return self.trace_model(layer, sources, f"{prefix}{name_of(layer)}/")
        if kind in IDENTITY or kind == "InputLayer":
            return sources[0]
        if kind in SCALINGS:
            raise TfodlError(
                f"{kind} {name_of(layer)!r}: only a scaling of each channel has an int8 form; scale by one "
                "value, or one a channel."
            )
        if kind not in EMITTERS:
            allowed = ", ".join(sorted({*EMITTERS, *IDENTITY, *SCALINGS} - AUGMENTATIONS)) + ", augmentations"
            raise TfodlError(
                f"{kind} {name_of(layer)!r}: this layer has no int8 form here; allowed: {allowed}. "
                "Replace it."
            )
        indices = tuple(self._read(place, layer) for place in sources)
        return Place(self._add_all(nodes_of(layer, indices, shape), prefix))

    def _read(self, place: Place, layer: Any) -> int:
        """The node of `place`; where that is the input, every reader must want it scaled alike."""
        if self.nodes[place.node].kind == "Input":
            if self.rescaling not in (None, place.rescaling):
                raise TfodlError(
                    f"layer {name_of(layer)!r} reads the input scaled otherwise than a layer before it: the "
                    "device has one input; scale it once, right after the input."
                )
            self.rescaling = place.rescaling
        return place.node

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
