"""Models by name: the nets of the papers and of MLPerf Tiny, each with a real head of C classes.

>>> build("tiny_mobilenet", input_shape=(28, 28, 1), classes=10).output_shape
(None, 10)
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tflm_export.errors import TfodlError
from tfodl.models import blocks, mlperf, mobilenet, resnet, tiny
from tfodl.models import mcunet as _mcunet
from tfodl.models.from_file import from_file, is_file

__all__ = ["BUILDERS", "build", "folded", "has_weights", "is_file", "load", "preprocess"]

BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "tiny_mobilenet": tiny.tiny_mobilenet,
    "mobilenet_v1": mobilenet.mobilenet_v1,
    "mobilenet_v2": mobilenet.mobilenet_v2,
    "resnet8": resnet.resnet8,
    "resnet18": resnet.resnet18,
    "resnet32": resnet.resnet32,
    "resnet50": resnet.resnet50,
    **{name: functools.partial(_mcunet.mcunet, name) for name in _mcunet.TABLES},
    "ds_cnn": mlperf.ds_cnn,
    "autoencoder": mlperf.autoencoder,
}


def build(
    name: str,
    *,
    input_shape: tuple[int, ...],
    classes: int | None = None,
    weights: str | None = None,
    width: float | None = None,
) -> keras.Model:
    """Build model `name` of `BUILDERS`, or of `keras.applications` by its class name ("EfficientNetB0").

    input_shape: of one sample, without the batch, e.g. `(96, 96, 3)`.
    classes: outputs of the head (logits); the autoencoder has none.
    weights: None draws them; `"imagenet"` takes published ones, where there are any.
    width: multiplier on the channels; None is the published width.

    Raises `TfodlError` for an unknown name, and for weights or a width that the model does not have.
    """
    if name not in BUILDERS and name not in _applications():
        allowed = ", ".join(BUILDERS)
        raise TfodlError(
            f"model {name!r} is unknown; allowed: {allowed}, and keras.applications' class names."
        )
    if classes is not None and (not isinstance(classes, int) or classes < 1):
        raise TfodlError(f"model {name!r}: classes must be a whole number >= 1, got {classes!r}.")
    builder = BUILDERS.get(name) or functools.partial(_application, name)
    options = {"classes": classes, "weights": weights, "width": width}
    given = {key: value for key, value in options.items() if value is not None}
    parameters = inspect.signature(builder).parameters
    unknown = [key for key in given if key not in parameters]
    if unknown:
        raise TfodlError(f"model {name!r} has no {' or '.join(unknown)} to choose; leave it out.")
    if "classes" in parameters and classes is None:
        raise TfodlError(f"model {name!r}: needs classes, the number of outputs.")
    return _call(name, builder, tuple(input_shape), given)


def load(
    name_or_path: str | os.PathLike[str],
    *,
    input_shape: tuple[int, ...] | None = None,
    classes: int | None = None,
    weights: str | None = None,
    width: float | None = None,
) -> keras.Model:
    """The model in a `.keras` or `.h5` file, or `build(name, ...)` for any other name.

    input_shape, classes: what the data need. A file's model whose outputs are not one logit or probability a
        class gets such a head, as a warning says; one with another input shape is refused.
    weights, width: of models by name.

    Raises `TfodlError` when the file is missing or no Keras model, or as `build` does.
    """
    name = os.fspath(name_or_path)
    if not is_file(name):
        if input_shape is None:
            raise TfodlError(f"model {name!r}: needs input_shape.")
        return build(name, input_shape=input_shape, classes=classes, weights=weights, width=width)
    if weights is not None or width is not None:
        raise TfodlError(f"model file {name!r}: brings its own; leave weights and width out.")
    return from_file(Path(name), input_shape, classes)


def has_weights(name: str) -> bool:
    """Whether there are published weights of the model of that name.

    >>> has_weights("mbv2-w0.35"), has_weights("tiny_mobilenet")
    (True, False)
    """
    builder = BUILDERS.get(name)
    return builder is None or "weights" in inspect.signature(builder).parameters


def folded(model: keras.Model) -> keras.Model:
    """`model` with every batch norm folded into the weights before it, as it runs on the device: the same
    outputs at inference, the same layer names, a bias in every convolution; what scales its input is one
    `Rescaling`.

    Raises `TfodlError` naming the layer for what has no such form.
    """
    from tfodl.quantize.folding.fold import fold
    from tfodl.quantize.folding.rebuild import rebuild

    return rebuild(fold(model), library=keras, rescaled=True)


def preprocess(x: np.ndarray) -> np.ndarray:
    """Pixels 0 .. 255 as the nets of `BUILDERS` take them: `x / 127.5 - 1`, float32 in -1 .. 1. How any
    model takes them: `tfodl.models.scaling`.

    >>> preprocess(np.array([0, 255], np.uint8)).tolist()
    [-1.0, 1.0]
    """
    return np.asarray(x, np.float32) / np.float32(127.5) - np.float32(1.0)


def _application(
    name: str, input_shape: tuple[int, int, int], classes: int, weights: str | None = None
) -> keras.Model:
    base = getattr(keras.applications, name)(input_shape=input_shape, include_top=False, weights=weights)
    return keras.Model(base.input, blocks.head(base.output, classes), name=base.name)


def _applications() -> set[str]:
    return {name for name, value in vars(keras.applications).items() if callable(value)}


def _call(
    name: str, builder: Callable[..., keras.Model], input_shape: tuple[int, ...], given: dict[str, Any]
) -> keras.Model:
    try:
        return builder(input_shape=input_shape, **given)
    except TfodlError:
        raise
    except Exception as error:  # Keras raises a plain Exception when a download fails
        raise TfodlError(f"model {name!r}, input shape {input_shape}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
