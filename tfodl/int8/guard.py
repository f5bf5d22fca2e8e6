"""What may go into an int8 model: arrays are checked at the door, every batch inside the traced steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from tflm_export.errors import TfodlError
from tfodl.datasets.training_data import check_inputs, check_labels

_OPEN, _CLOSE = "<tfodl ", " tfodl>"  # around our own text in TensorFlow's message
_SPARSE = ("sparse_categorical_crossentropy", keras.losses.sparse_categorical_crossentropy)
_OF_ROWS = (
    keras.losses.BinaryCrossentropy,
    keras.losses.CategoricalCrossentropy,
    keras.losses.MeanSquaredError,
)


class Guard:
    """Refuses batches that an int8 graph can make nothing of, which it would clamp without a word.

    shape: of one input. classes: number of outputs.
    """

    def __init__(self, shape: tuple[int, ...], classes: int):
        self.shape, self.classes = shape, classes

    def arrays(self, x: Any, y: Any, loss: Any, where: str) -> tuple[Any, Any]:
        """`x` and `y` (None: there is none) checked at once where they are arrays or lists."""
        if not _is_array(x):
            return x, y
        x = check_inputs(x, self.shape, where)
        return x, check_labels(y, len(x), self.classes, where) if _is_array(y) and is_sparse(loss) else y

    def batch(self, data: Any, loss: Any) -> tuple[Any, ...]:
        """`data` (`(x, y)` or `(x, y, weights)`) under the checks that fit the loss.

        Raises `TfodlError` for what shows while tracing; the rest shows as it runs, under `clear_errors`.
        """
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        x = self.inputs(x)
        if y is None:
            raise TfodlError("Int8Model: there are no labels; give y, or a data set of (x, y).")
        y = tf.convert_to_tensor(y)
        return x, self._classes(y, tf.shape(x)[0]) if is_sparse(loss) else self._rows(y, loss), weights

    def inputs(self, x: Any) -> Any:
        """`x` [N, *shape], finite when it runs."""
        x = tf.convert_to_tensor(x)
        allowed = f"inputs must be [N, {', '.join(map(str, self.shape))}]"
        if x.shape.rank is not None and not x.shape[1:].is_compatible_with(self.shape):
            raise TfodlError(f"Int8Model: {allowed}, got {_sizes(x)}.")
        if not _is_number(x):
            raise TfodlError(f"Int8Model: inputs must be numbers, got {x.dtype.name}.")
        fits = tf.reduce_all(tf.equal(tf.shape(x)[1:], self.shape))
        x = _require(tf.cast(x, tf.float32), fits, f"{allowed}, got {{}}.", tf.shape(x))
        x = _require(x, tf.math.is_finite(x), "inputs hold NaN or infinity; remove them.")
        return tf.ensure_shape(x, (None, *self.shape))

    def _classes(self, y: Any, count: Any) -> Any:
        if not _is_number(y):
            raise TfodlError(f"Int8Model: labels must be class indices, got {y.dtype.name}.")
        y = _require(y, tf.equal(tf.size(y), count), "labels must be class indices [N], got {}.", tf.shape(y))
        y = tf.reshape(y, (-1,))
        real = tf.cast(y, tf.float64)
        known = tf.logical_and(real == tf.floor(real), tf.logical_and(real >= 0, real < self.classes))
        message = (
            f"labels must be whole numbers 0..{self.classes - 1}, got {{}} to {{}}; give the model a head of "
            "the right size or remap the labels."
        )
        return _require(y, known, message, tf.reduce_min(real), tf.reduce_max(real))

    def _rows(self, y: Any, loss: Any) -> Any:
        known = isinstance(keras.losses.get(loss) if isinstance(loss, str) else loss, _OF_ROWS)
        if known and y.shape.rank is not None and not y.shape[1:].is_compatible_with((self.classes,)):
            raise TfodlError(f"Int8Model: targets must be [N, {self.classes}], got {_sizes(y)}.")
        return _require(y, tf.math.is_finite(tf.cast(y, tf.float32)), "targets hold NaN or infinity.")


def is_sparse(loss: Any) -> bool:
    """Whether `loss`, as `compile` took it, is of class indices."""
    return loss in _SPARSE or isinstance(loss, keras.losses.SparseCategoricalCrossentropy)


@contextmanager
def clear_errors(where: str) -> Iterator[None]:
    """A `Guard`'s refusal as one line that begins with `where`."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        found = re.search(f"{_OPEN}(.*?){_CLOSE}", error.message, re.DOTALL)
        if found is None:
            raise
        raise TfodlError(f"{where}: {found[1]}") from None


def _require(value: Any, fine: Any, message: str, *shown: Any) -> Any:
    """`value`, once every entry of `fine` holds; `shown` fills the message's `{}`."""
    text = tf.strings.format(f"{_OPEN}{message}{_CLOSE}", shown)
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(fine), [text])]):
        return tf.identity(value)


def _is_array(x: Any) -> bool:
    return isinstance(x, list) or (hasattr(x, "__array__") and hasattr(x, "shape"))


def _is_number(x: Any) -> bool:
    found: bool = x.dtype.is_floating or x.dtype.is_integer or x.dtype.is_bool
    return found


def _sizes(x: Any) -> str:
    return "[" + ", ".join("N" if size is None else str(size) for size in x.shape.as_list()) + "]"
