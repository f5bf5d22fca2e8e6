"""A Keras model from a file, made ready for the data's classes."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras

from tflm_export.errors import TfodlError
from tfodl.models.head import require_one_output, with_classes

SUFFIXES = (".keras", ".h5", ".hdf5")


def from_file(
    path: Path, input_shape: tuple[int, ...] | None = None, classes: int | None = None
) -> keras.Model:
    """The model in a `.keras` or `.h5` file, with `classes` outputs where they are given.

    A head that had to be changed for them is said in a warning (`tfodl.models.head`).
    Raises `TfodlError` when the file is none, or cannot be read, or the model takes another input or has
    several inputs or outputs.
    """
    _require_file(path)
    model = _read(path)
    if input_shape is not None or classes is not None:
        require_one_output(model, str(path))
    if input_shape is not None and tuple(model.input_shape[1:]) != tuple(input_shape):
        raise TfodlError(
            f"model file {str(path)!r}: takes {tuple(model.input_shape[1:])}, the data are "
            f"{tuple(input_shape)}; resize the data (--size, size=)."
        )
    if classes is None:
        return model
    fitted = with_classes(model, classes, str(path))
    if fitted.changed:
        warnings.warn(f"model file {str(path)!r}: {fitted.changed}.", stacklevel=3)
    return fitted.model


def is_file(name: str) -> bool:
    """Whether `name` is that of a file rather than of a net to build.

    >>> is_file("resnet8"), is_file("my.keras")
    (False, True)
    """
    return name.endswith((*SUFFIXES, ".tflite", ".pb")) or "/" in name or "\\" in name


def _require_file(path: Path) -> None:
    where = f"model file {str(path)!r}"
    if path.suffix == ".tflite":
        raise TfodlError(f"{where}: a .tflite is quantised already; compile it: tflm-export compile {path}.")
    if path.is_dir():
        raise TfodlError(
            f"{where}: is a folder; a SavedModel has no layers to train. Save the Keras model itself: "
            "model.save('model.keras')."
        )
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        missing = "not found" if not path.is_file() else f"is no {' or '.join(SUFFIXES)} file"
        raise TfodlError(f"{where}: {missing}; give a file saved by Keras: model.save('model.keras').")


def _read(path: Path) -> keras.Model:
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever the damaged archive provokes
        how = (
            "Keras 3 reads not every file of Keras 2: load it with tf_keras, and copy the weights to the "
            "same model in Keras 3"
            if path.suffix != ".keras"
            else "own classes must be registered (keras.saving.register_keras_serializable) and imported"
        )
        first = " ".join(str(error).split())[:200]
        raise TfodlError(f"model file {str(path)!r}: cannot be read by Keras: {first} ({how}).") from error
    if not isinstance(model, keras.Model):
        raise TfodlError(f"model file {str(path)!r}: holds a {type(model).__name__}, no keras.Model.")
    return model
