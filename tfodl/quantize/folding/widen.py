"""`widen`: a model of sequences [N, T, C] as its twin of maps [N, T, 1, C], which all that is behind it
knows.

A Conv1D over T is a Conv2D over T x 1, and so on for every layer of one dimension; the other layers stay.

>>> from keras import layers
>>> model = keras.Sequential([keras.Input((8, 3)), layers.Conv1D(4, 3, name="c"),
...                           layers.GlobalAveragePooling1D(), layers.Dense(2)])
>>> twin = widen(model).model
>>> twin.input_shape, tuple(twin.get_layer("c").kernel.shape)
((None, 8, 3), (3, 1, 3, 4))
>>> x = np.ones((1, 8, 3), np.float32)
>>> bool(np.allclose(twin(x), model(x), atol=1e-6))
True
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers as L

from tflm_export.errors import TfodlError

MERGES = (L.Add, L.Subtract, L.Multiply, L.Maximum, L.Minimum, L.Average, L.Concatenate)


@dataclass(frozen=True)
class Widened:
    """model: the twin, or the model itself where it has no layer of one dimension. pairs: every layer with
    its twin."""

    model: keras.Model
    pairs: tuple[tuple[Any, Any], ...] = ()

    def give_back(self) -> None:
        """The twin's weights into the layers that it was made of."""
        for layer, twin in self.pairs:
            _copy(twin, layer)


def widen(model: keras.Model) -> Widened:
    """The twin of `model`, with the same layer names, weights and outputs; its input is [N, T, C] still.

    Nested models are widened in place. A dense layer over sequences becomes a convolution of size 1, a causal
    convolution one of zeros before it. Raises `TfodlError` naming a layer of one dimension without a twin.
    """
    if not any(type(layer) in _TWINS for layer in _all_layers(model)):
        return Widened(model)
    pairs: list[tuple[Any, Any]] = []
    twin = _twin_model(model, pairs)
    for layer, other in pairs:
        _copy(layer, other)
    return Widened(twin, tuple(pairs))


def _all_layers(model: Any) -> list[Any]:
    flatten = getattr(model, "_flatten_layers", None)
    return list(flatten()) if isinstance(model, keras.Model) and flatten is not None else []


def _twin_model(model: keras.Model, pairs: list[tuple[Any, Any]]) -> keras.Model:
    """A functional twin; layers and their twins are added to `pairs`."""

    def twin_of(layer: Any) -> Any:
        if isinstance(layer, keras.Model):
            return _twin_model(layer, pairs)
        if not isinstance(layer, keras.Layer):
            return layer
        twin = _twin(layer)
        pairs.append((layer, twin))
        return twin

    functional = keras.Model(_only(model.inputs), _only(model.outputs), name=model.name)
    made = keras.models.clone_model(functional, clone_function=twin_of, call_function=_call)
    output, shape = made.outputs[0], model.outputs[0].shape
    if len(model.outputs) == 1 and len(output.shape) != len(shape):
        output = L.Reshape(shape[1:], name=f"{model.name}_sequence")(output)
        made = keras.Model(_only(made.inputs), output, name=model.name)
    made.trainable = model.trainable
    return made


def _only(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors


def _twin(layer: Any) -> Any:
    make = _TWINS.get(type(layer))
    if isinstance(layer, L.Dense) and _rank(layer) == 3:
        make = _pointwise
    if make is None and type(layer).__name__.endswith("1D"):
        allowed = ", ".join(kind.__name__ for kind in _TWINS)
        raise TfodlError(
            f"{type(layer).__name__} {layer.name!r}: this layer of one dimension has no form on the device; "
            f"allowed: {allowed}. Replace it."
        )
    config = layer.get_config()
    if "axis" in config and _rank(layer) == 3 and config["axis"] in (2, [2]):
        config["axis"] = -1  # the channels', 3 of a map
    return make(layer, config) if make else type(layer).from_config(config)


def _rank(layer: Any) -> int:
    """Axes of what the layer reads, the batch included."""
    return len(layer._inbound_nodes[0].input_tensors[0].shape)


def _call(layer: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a twin on its inputs, sequences widened where it takes maps."""
    kwargs.pop("mask", None)  # of a pool over time, which its twin does not know
    if isinstance(layer, keras.Model):
        args = tuple(_of_rank(x, len(layer.inputs[0].shape), layer.name) for x in args)
    elif type(layer) in _TAKES_MAPS:
        args = tuple(_of_rank(x, 4, layer.name) for x in args)
    elif isinstance(layer, MERGES) and args and isinstance(args[0], (list, tuple)):
        most = max(len(x.shape) for x in args[0])
        args = ([_of_rank(x, most, f"{layer.name}_{i}") for i, x in enumerate(args[0])], *args[1:])
    before = getattr(layer, "_zeros_before", 0)
    x = L.ZeroPadding2D(((before, 0), (0, 0)), name=f"{layer.name}_zeros")(args[0]) if before else None
    return layer(x, *args[1:], **kwargs) if before else layer(*args, **kwargs)


def _of_rank(x: Any, rank: int, name: str) -> Any:
    """A sequence [N, T, C] as a map [N, T, 1, C] before the layer `name`, or the other way."""
    if len(x.shape) == rank or len(x.shape) not in (3, 4):
        return x
    length, channels = x.shape[1], x.shape[-1]
    shape = (length, 1, channels) if rank == 4 else (length, channels)
    return L.Reshape(shape, name=f"{name}_{'map' if rank == 4 else 'sequence'}")(x)


def _copy(source: Any, target: Any) -> None:
    """Weights of one layer into its twin, whichever has the axis of size 1."""
    shapes = [tuple(variable.shape) for variable in target.weights]
    target.set_weights([np.reshape(w, s) for w, s in zip(source.get_weights(), shapes, strict=True)])
    if isinstance(target, L.Normalization):
        target.finalize_state()  # mean and variance as they were adapted


def _one(value: Any) -> int:
    return int(value[0] if isinstance(value, (list, tuple)) else value)


_SIZES = ("kernel_size", "strides", "dilation_rate", "pool_size", "size")


def _as(kind: type) -> Callable[[Any, dict[str, Any]], Any]:
    """A layer of two dimensions with the options of one of one dimension; sizes across are 1."""

    def make(layer: Any, config: dict[str, Any]) -> Any:
        sizes = {name: (_one(config[name]), 1) for name in _SIZES if name in config}
        if isinstance(layer, L.DepthwiseConv1D | L.SeparableConv1D):  # TensorFlow wants equal strides
            sizes["strides"] = (_one(config["strides"]),) * 2
        zeros = 0
        if config.get("padding") == "causal":
            zeros = (_one(config["kernel_size"]) - 1) * _one(config["dilation_rate"])
            config["padding"] = "valid"
        twin = kind.from_config({**config, **sizes})  # type: ignore[attr-defined]
        twin._zeros_before = zeros
        return twin

    return make


def _zero_padding(layer: Any, config: dict[str, Any]) -> Any:
    return L.ZeroPadding2D((tuple(layer.padding), (0, 0)), name=layer.name)


def _pointwise(layer: Any, config: dict[str, Any]) -> Any:
    return L.Conv2D(
        layer.units,
        1,
        activation=layer.activation,
        use_bias=layer.use_bias,
        name=layer.name,
        trainable=layer.trainable,
    )


_TWINS: dict[type, Callable[[Any, dict[str, Any]], Any]] = {
    L.Conv1D: _as(L.Conv2D),
    L.DepthwiseConv1D: _as(L.DepthwiseConv2D),
    L.SeparableConv1D: _as(L.SeparableConv2D),
    L.MaxPooling1D: _as(L.MaxPooling2D),
    L.AveragePooling1D: _as(L.AveragePooling2D),
    L.GlobalAveragePooling1D: _as(L.GlobalAveragePooling2D),
    L.GlobalMaxPooling1D: _as(L.GlobalMaxPooling2D),
    L.ZeroPadding1D: _zero_padding,
    L.SpatialDropout1D: _as(L.SpatialDropout2D),
}
_TAKES_MAPS = {
    L.Conv2D,
    L.DepthwiseConv2D,
    L.SeparableConv2D,
    L.MaxPooling2D,
    L.AveragePooling2D,
    L.GlobalAveragePooling2D,
    L.GlobalMaxPooling2D,
    L.ZeroPadding2D,
    L.SpatialDropout2D,
}
