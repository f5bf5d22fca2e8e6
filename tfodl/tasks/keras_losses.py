"""A plan's losses in Keras, on logits, with the metrics that say how good a model is."""

from __future__ import annotations

from typing import Any

import keras

RECONSTRUCTION = "reconstruction"  # name of a mean squared error whose target is the input


def keras_loss(loss: str, from_logits: bool = True) -> Any:
    """The Keras loss of a plan's `loss`; one of reconstruction is told apart by its name.

    >>> keras_loss("reconstruction").name
    'reconstruction'
    """
    makers: dict[str, Any] = {
        "crossentropy": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
        "bce": lambda: keras.losses.BinaryCrossentropy(from_logits=from_logits),
        "mse": keras.losses.MeanSquaredError,
        RECONSTRUCTION: lambda: keras.losses.MeanSquaredError(name=RECONSTRUCTION),
    }
    return makers[loss]()


def keras_metrics(loss: str, from_logits: bool = True) -> list[Any]:
    """Metrics beside the loss. They have their variables: a name's are made in the first step, which Keras
    then traces twice.

    >>> [metric.name for metric in keras_metrics("bce")]
    ['binary_accuracy']
    """
    half = 0.0 if from_logits else 0.5
    makers: dict[str, Any] = {
        "crossentropy": lambda: [keras.metrics.SparseCategoricalAccuracy("accuracy")],
        "bce": lambda: [keras.metrics.BinaryAccuracy(threshold=half)],
        "mse": lambda: [keras.metrics.MeanAbsoluteError(name="mae")],
        RECONSTRUCTION: lambda: [],
    }
    found: list[Any] = makers[loss]()
    return found
