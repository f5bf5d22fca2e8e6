"""The head of a classifier: where a model's outputs come from, and a head for other classes in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tflm_export.errors import TfodlError

PASSES = {
    "Dropout", "Flatten", "Reshape", "Identity", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D",
}  # fmt: skip


@dataclass(frozen=True)
class Head:
    """layer: the Dense (or convolution) that gives the outputs; None where something else does.

    activation: between it and the output: "linear", "softmax", "sigmoid" or another name of Keras.
    by: the layer of its own that applies the activation; None where `layer` does it itself.
    """

    layer: Any
    activation: str = "linear"
    by: Any = None


@dataclass(frozen=True)
class Fitted:
    """model: gives one logit or probability a class. changed: what was changed for that, in words, or None.
    fresh: whether its head begins anew, so that the model is not trained for the classes."""

    model: keras.Model
    changed: str | None = None
    fresh: bool = False


def head_of(model: keras.Model) -> Head:
    """The head of `model`, looked for in nested models, too.

    >>> from keras import layers
    >>> inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="top"), layers.Softmax()])
    >>> image = keras.Input((4,))
    >>> head = head_of(keras.Model(image, inner(image)))
    >>> head.layer.name, head.activation
    ('top', 'softmax')
    """
    activation, by = "linear", None
    for layer in _backwards(model):
        found = _activation(layer)
        if found is not None and activation == "linear":
            activation, by = found, layer
        if isinstance(layer, (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)):
            return Head(layer, activation, None if by is layer else by)
        if found is None and type(layer).__name__ not in PASSES:
            break
    return Head(None, activation, by)


def gives_probabilities(model: keras.Model) -> bool:
    """Whether the model ends in a softmax rather than in logits."""
    return head_of(model).activation == "softmax"


def with_classes(model: keras.Model, classes: int, name: str) -> Fitted:
    """`model` with `classes` outputs, logits or a softmax over them.

    One output for two classes, a logit z or its sigmoid, becomes the logits -z/2 and z/2: nothing learned is
    lost. Sigmoids, one a class, become logits. Any other number of outputs gets a fresh head.

    name: of the model, for errors. Raises `TfodlError` where the outputs do not come from a dense layer.
    """
    require_one_output(model, name)
    head, outputs = head_of(model), int(model.output_shape[-1])
    if outputs == classes and head.activation != "sigmoid":
        return Fitted(model)
    layer, activation = head.layer, head.activation
    if not isinstance(layer, keras.layers.Dense):
        what = "nothing that is known" if layer is None else f"{type(layer).__name__} {layer.name!r}"
        raise TfodlError(
            f"model {name!r}: gives {outputs} outputs ({activation}), the data have {classes} classes, and "
            f"its outputs come from {what}: only a Dense layer can be replaced. Give the model a Dense head "
            f"of {classes} logits."
        )
    if outputs == 1 and classes == 2 and activation in ("linear", "sigmoid"):
        weights = [_halves(weight) for weight in layer.get_weights()]
        said = f"its one output ({_called(activation)}) is kept as two logits, -z/2 and z/2"
        return Fitted(_replaced(model, head, _dense(layer, 2, "linear"), weights), said)
    if outputs == classes:
        said = f"its {outputs} sigmoids are left out: one class a picture, trained on the logits"
        return Fitted(_replaced(model, head, _dense(layer, classes, "linear"), layer.get_weights()), said)
    kept = "softmax" if activation == "softmax" else "linear"
    said = (
        f"its head {layer.name!r} of {outputs} outputs ({activation}) is replaced by a fresh one of "
        f"{classes}: {'probabilities (softmax)' if kept == 'softmax' else 'logits'}"
    )
    new = _dense(layer, classes, kept, name="classifier")
    return Fitted(_replaced(model, head, new, None), said, fresh=True)


def require_one_output(model: keras.Model, name: str) -> None:
    """Raise `TfodlError` unless the model is built, with one input and one output `[N, outputs]`."""
    for side in ("inputs", "outputs"):
        tensors = getattr(model, side, None)
        if not tensors:
            raise TfodlError(
                f"model {name!r}: its {side} are not known; begin it with keras.Input(shape), or wrap it: "
                "keras.Model(inputs, model(inputs))."
            )
        if len(tensors) != 1:
            shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
            raise TfodlError(
                f"model {name!r}: has {len(tensors)} {side} {shapes}, a classifier has one; choose: "
                "keras.Model(model.inputs[0], model.outputs[0])."
            )
    if len(model.outputs[0].shape) != 2:
        raise TfodlError(
            f"model {name!r}: gives {tuple(model.outputs[0].shape[1:])} for a picture, a classifier one "
            "number a class; add GlobalAveragePooling2D and Dense."
        )


def _backwards(model: keras.Model) -> Any:
    """The layers from the output on towards the input, along each one's first input, nested models opened."""
    graph = getattr(model, "_functional", None) or model
    if not getattr(graph, "outputs", None):
        return
    tensor, begins = graph.outputs[0], {id(tensor) for tensor in graph.inputs}
    while id(tensor) not in begins:
        layer, node_index, _ = tensor._keras_history
        if isinstance(layer, keras.Model):
            yield from _backwards(layer)
        else:
            yield layer
        tensor = keras.tree.flatten(layer._inbound_nodes[node_index].input_tensors)[0]


def _activation(layer: Any) -> str | None:
    """What the layer applies, by name; None for a layer that applies none."""
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    function = getattr(layer, "activation", None)
    return None if function is None else str(getattr(function, "__name__", function))


def _halves(weight: np.ndarray) -> np.ndarray:
    return np.concatenate([-weight / 2, weight / 2], axis=-1)


def _called(activation: str) -> str:
    return "a sigmoid" if activation == "sigmoid" else "taken for a logit"


def _dense(old: Any, units: int, activation: str, name: str | None = None) -> keras.layers.Dense:
    return keras.layers.Dense(
        units, activation=activation, use_bias=old.use_bias, name=name or old.name, dtype=old.dtype_policy
    )


def _replaced(
    model: keras.Model, head: Head, new: keras.layers.Dense, weights: list[np.ndarray] | None
) -> keras.Model:
    """`model` on its own layers, but for the head: `new`, and after it nothing but a softmax."""

    def instead(layer: Any) -> Any:
        if layer is head.layer:
            return new
        if layer is head.by and head.activation != "softmax":
            return keras.layers.Activation("linear", name=layer.name)
        return layer

    if head.by is not None and head.activation == "softmax":
        new.activation = keras.activations.linear
    made = keras.models.clone_model(model, clone_function=instead, recursive=True)
    if weights is not None:
        new.set_weights(weights)
    return made
