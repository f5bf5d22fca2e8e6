"""Fake quantisation where the int8 graph rounds. The only file that touches tensorflow-model-optimization.

Weights are symmetric per output channel (per tensor in Dense), activations asymmetric per tensor
(Jacob et al., "Quantization and Training of Neural Networks", CVPR 2018, section 3).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot

from tfodl.quantize.folding.folded import FoldedModel
from tfodl.quantize.folding.rebuild import HardSwish, Pad, layer_name, rebuild

RANGE_STEP = 0.01  # share of a new batch in an activation's moving range


class _WeightQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """Symmetric int8, narrow range [-127, 127], the scale following the weights: per channel, or per tensor.

    A depthwise kernel [k_h, k_w, C, m] is rounded in the shape [1, k_h, k_w, C m] that TFLite stores: on a
    rank-3 kernel the per-channel fake quantisation crashes the converter.
    """

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        depthwise = "depthwise" in name
        dense = len(tensor_shape) == 2
        shape = () if dense else (tensor_shape[-1] * (tensor_shape[-2] if depthwise else 1),)
        return {
            end: layer.add_weight(name=f"{name}_{end}", shape=shape, initializer="zeros", trainable=False)
            for end in ("min", "max")
        }

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        channels = tuple(weights["max"].shape)
        stored = channels in ((), (inputs.shape[-1],))
        flat = inputs if stored else tf.reshape(inputs, (1, *inputs.shape[:2], *channels))
        high = tf.reduce_max(tf.abs(flat), axis=list(range(len(flat.shape) - len(channels))))
        high = tf.maximum(high, 1e-6)  # a dead channel still needs a scale
        if training:
            high = weights["max"].assign(tf.stop_gradient(high))
            weights["min"].assign(-high)
        else:
            high = weights["max"]
        fake = tf.quantization.fake_quant_with_min_max_vars
        if channels:
            fake = tf.quantization.fake_quant_with_min_max_vars_per_channel
        return tf.reshape(fake(flat, -high, high, narrow_range=True), inputs.shape)

    def get_config(self) -> dict[str, Any]:
        return {}


class _RangeQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """Asymmetric int8 over a moving range that starts at the first batch's and always holds zero."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {
            end: layer.add_weight(name=f"{name}_{end}", shape=(), initializer="zeros", trainable=False)
            for end in ("min", "max")
        }

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        low, high = weights["min"], weights["max"]
        if training:
            step = tf.where(tf.equal(low, high), 1.0, RANGE_STEP)
            least = tf.minimum(tf.reduce_min(inputs), 0.0)
            most = tf.maximum(tf.reduce_max(inputs), least + 1e-6)
            low = low.assign(low + step * (least - low))
            high = high.assign(high + step * (most - high))
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def get_config(self) -> dict[str, Any]:
        return {}


class _FixedQuantizer(tfmot.quantization.keras.quantizers.Quantizer):
    """The range that the device gives the values of a function whatever they are."""

    def __init__(self, low: float, high: float):
        self.low, self.high = low, high

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {}

    def __call__(self, inputs: Any, training: Any, weights: dict[str, Any], **kwargs: Any) -> Any:
        return tf.quantization.fake_quant_with_min_max_args(inputs, self.low, self.high)

    def get_config(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high}


_FIXED = {"Sigmoid": (0.0, 255 / 256), "Tanh": (-1.0, 127 / 128)}


class _Config(tfmot.quantization.keras.QuantizeConfig):
    """Which weight of a layer is rounded, and how its output is: "range", a key of `_FIXED`, or None."""

    def __init__(self, weight: str | None = None, output: str | None = None):
        self.weight, self.output = weight, output

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
        return [(getattr(layer, self.weight), _WeightQuantizer())] if self.weight else []

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        if self.weight:
            setattr(layer, self.weight, quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        if self.output in _FIXED:
            return [_FixedQuantizer(*_FIXED[self.output])]
        return [_RangeQuantizer()] if self.output else []

    def get_config(self) -> dict[str, Any]:
        return {"weight": self.weight, "output": self.output}


_WEIGHT = {"Conv2D": "kernel", "DepthwiseConv2D": "depthwise_kernel", "Dense": "kernel"}
_FUSES_RELU = {*_WEIGHT, "Add", "Subtract", "Multiply"}
_KEEPS_SCALE = {"MaxPooling2D", "AveragePooling2D", "ZeroPadding2D", "Pad", "Reshape", "Softmax"}


def fake_quantised(folded: FoldedModel) -> Any:
    """The tf_keras model of `folded` with tfmot's wrappers around every layer."""

    def annotate(layer: Any, index: int) -> Any:
        config = _Config(_WEIGHT.get(folded.nodes[index].kind), _rounding(folded, index))
        return tfmot.quantization.keras.quantize_annotate_layer(layer, config)

    kinds = (_Config, _WeightQuantizer, _RangeQuantizer, _FixedQuantizer, Pad, HardSwish)
    custom = {kind.__name__: kind for kind in kinds}
    with tfmot.quantization.keras.quantize_scope(custom):
        return tfmot.quantization.keras.quantize_apply(rebuild(folded, annotate))


def _rounding(folded: FoldedModel, index: int) -> str | None:
    """How the output of a node is rounded. Not before a ReLU that the device fuses; nor before a
    concatenation, whose inputs take its own range."""
    kind, readers = folded.nodes[index].kind, [folded.nodes[i].kind for i in folded.consumers(index)]
    if kind in _FIXED:
        return kind
    if kind in _KEEPS_SCALE or readers == ["Concatenate"] or (readers == ["ReLU"] and kind in _FUSES_RELU):
        return None
    return "range"


def by_node(folded: FoldedModel, wrapped: Any) -> dict[str, Any]:
    names = {f"quant_{layer_name(node.name)}": node.name for node in folded.weighted()}
    return {names[layer.name]: layer for layer in wrapped.layers if layer.name in names}
