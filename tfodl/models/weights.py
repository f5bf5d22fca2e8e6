"""Published weights from `.npz` files: per layer `NAME.w` (Keras layout) and `NAME.b`, batch norm folded."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import keras
import numpy as np

from tflm_export.errors import TfodlError
from tfodl.datasets.arrays import data_folder


def find_weights(stem: str, model: str) -> Path:
    """The file `weights/<stem>.npz` of the data folder. Raises `TfodlError` when it is not there."""
    folder = data_folder()
    path = folder / "weights" / f"{stem}.npz" if folder else None
    if path is None or not path.is_file():
        where = str(folder) if folder else "any data folder"
        raise TfodlError(
            f"model {model!r}: weights {stem + '.npz'!r} not found in {where}; "
            "set TFODL_DATA to the folder that holds weights/, or use weights=None."
        )
    return path


def load_folded(model: keras.Model, path: str | os.PathLike[str]) -> keras.Model:
    """Set kernels and biases of `model` by layer name from the file at `path`; returns the model.

    The classifier is taken only when it has as many classes: a smaller head is never cut out of a larger one.

    Raises `TfodlError` when the file cannot be read, or a layer is missing or of another shape.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TfodlError(f"weights {str(path)!r}: cannot be read as .npz ({error}).") from error
    for layer in model.layers:
        if layer.weights and not _set(layer, arrays) and layer.name != "classifier":
            shape = tuple(layer.weights[0].shape)
            raise TfodlError(f"weights {str(path)!r}: nothing fits layer {layer.name!r} of shape {shape}.")
    return model


def _set(layer: keras.Layer, arrays: dict[str, np.ndarray]) -> bool:
    values = [arrays.get(f"{layer.name}.{part}") for part in "wb"]
    shapes = [tuple(weight.shape) for weight in layer.weights]
    if [None if value is None else value.shape for value in values] != shapes:
        return False
    layer.set_weights([np.asarray(value, np.float32) for value in values])
    return True
