"""Batches of the validation data that rules measure on, in the forms that `fit` takes data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tflm_export.errors import TfodlError
from tfodl.neurons.groups import input_spec


def measured_on(rule: Any, validation_data: Any) -> Any:
    """The data that `rule` measures on. Raises `TfodlError` where none were given."""
    if validation_data is None:
        raise TfodlError(
            f"{type(rule).__name__}: give validation_data=, held-out inputs (x, y) to measure on."
        )
    return validation_data


def batches(data: Any, model: keras.Model, batch_size: int = 32) -> Iterator[tuple[Any, ...]]:
    """`(x,)`, `(x, y)` or `(x, y, weights)` batches of tensors, x in the structure of the model's inputs.

    data: `x` or a tuple that begins with it, arrays `[N, ...]`; or something to go through again and again
    that gives such batches: a `tf.data.Dataset`, a `PyDataset`, a list.

    Raises `TfodlError` for None, a generator (used up after one epoch), an endless dataset, or no batch.
    """
    spec = input_spec(model)
    parts = _parts(data, spec)
    empty = True
    for batch in _whole_batches(data) if parts is None else _cut(parts, batch_size):
        empty = False
        parts = _parts(batch, spec)
        batch = parts or (tuple(batch) if isinstance(batch, (tuple, list)) else (batch,))
        yield keras.tree.map_structure(tf.convert_to_tensor, batch)
    if empty:
        raise TfodlError("validation data holds no batch; give some held-out samples.")


def input_batches(data: Any, model: keras.Model, batch_size: int = 32) -> Iterator[Any]:
    """Batches of inputs; labels, if there are any, are dropped."""
    return (batch[0] for batch in batches(data, model, batch_size))


def labelled_batches(data: Any, model: keras.Model, batch_size: int = 32) -> Iterator[tuple[Any, Any]]:
    """`(x, y)` batches. Raises `TfodlError` where there are no labels."""
    for batch in batches(data, model, batch_size):
        if len(batch) < 2:
            raise TfodlError(
                "this rule needs labelled samples: validation_data=(x, y), or batches of (x, y)."
            )
        yield batch[0], batch[1]


def samples(x: Any) -> int:
    """Samples in a batch of inputs."""
    return int(keras.tree.flatten(x)[0].shape[0])


def _parts(data: Any, spec: Any) -> tuple[Any, ...] | None:
    """`data` as `(x, ...)` where it is arrays of the model's inputs, with or without what follows them."""
    if _fits(data, spec):
        return (data,)
    return tuple(data) if isinstance(data, tuple) and data and _fits(data[0], spec) else None


def _fits(x: Any, spec: Any) -> bool:
    try:
        keras.tree.assert_same_structure(x, spec)
    except (ValueError, TypeError):
        return False
    return all(hasattr(leaf, "shape") for leaf in keras.tree.flatten(x))


def _cut(parts: tuple[Any, ...], size: int) -> Iterator[tuple[Any, ...]]:
    count = samples(parts[0])
    parts = tuple(part for part in parts if part is not None)
    return (
        keras.tree.map_structure(lambda t, start=start: t[start : start + size], parts)
        for start in range(0, count, size)
    )


def _whole_batches(data: Any) -> Iterable[Any]:
    if isinstance(data, keras.utils.PyDataset) and data.num_batches is not None:
        return (data[index] for index in range(data.num_batches))
    endless = isinstance(data, keras.utils.PyDataset) or (
        isinstance(data, tf.data.Dataset) and int(data.cardinality()) == tf.data.INFINITE_CARDINALITY
    )
    if endless or not isinstance(data, Iterable) or isinstance(data, Iterator) or hasattr(data, "shape"):
        raise TfodlError(
            "validation data must be arrays like the model's inputs, alone or as (x, y), or batches of these "
            f"that end and can be gone through every epoch (Dataset, PyDataset, list), got {_shown(data)}."
        )
    return data


def _shown(data: Any) -> str:
    endless = " without end" if isinstance(data, (tf.data.Dataset, keras.utils.PyDataset)) else ""
    return f"{type(data).__name__}{endless}{tuple(getattr(data, 'shape', ())) or ''}"
