"""`MaskedLoop`: epochs of a model as one traced loop, whatever trains.

Keras's `fit` traces a step anew when a rule opens another layer. Here everything is differentiated and what
trains is a mask, an argument: one trace for all rules, plans and seeds. (XLA's gradients of these layers take
four times as long as TensorFlow's kernels.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfodl.int8.graph import Int8Model
from tfodl.selective.model import SelectiveModel


class MaskedLoop:
    """Trains `model` by cross-entropy of its logits: in int8 with an `IntegerUpdate`, in float with an
    optimizer that leaves a weight alone whose gradient is 0.

    The steps are those of its `fit` under the same plan but for the order in which float gradients are
    summed: integer weights differ where a step lay within that of a rounding's edge.
    """

    def __init__(self, model: Int8Model | SelectiveModel) -> None:
        self._model, self._variables = model, list(model.base.trainable_variables)
        self._steps = tf.function(self._every_step)

    def run(self, x: np.ndarray, y: np.ndarray, order: np.ndarray, rates: np.ndarray) -> float:
        """Train the model's present plan; returns the share of samples that were right when they were met.

        x: float32 [N, ...]; y: labels [N]; order: sample numbers, int [steps, batch]; rates: of learning
        [steps].
        """
        data = tf.constant(x[order]), tf.constant(y[order], tf.int32)
        right = self._steps(*data, tf.constant(rates, tf.float32), self._masks())
        return float(right) / order.size

    def _masks(self) -> list[Any]:
        """What trains of every variable, bool of its shape."""
        found = {id(variable): mask for variable, mask in self._model.trained()}
        masks = [found.get(id(variable), tf.constant(False)) for variable in self._variables]
        every = [tf.constant(True) if mask is None else mask for mask in masks]
        return [tf.broadcast_to(mask, v.shape) for mask, v in zip(every, self._variables, strict=True)]

    def _every_step(self, x: Any, y: Any, rates: Any, masks: list[Any]) -> Any:
        right = tf.constant(0)
        for step in tf.range(x.shape[0]):
            right += self._step(x[step], y[step], rates[step], masks)
        return right

    @tf.autograph.experimental.do_not_convert  # which only the loop around it needs
    def _step(self, x: Any, y: Any, rate: Any, masks: list[Any]) -> Any:
        """One step; returns how many samples were right before it."""
        optimizer = self._model.optimizer
        values = [variable.value for variable in self._variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            logits = self._model.base(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        gradients = tape.gradient(loss, values)
        optimizer.learning_rate.assign(rate)
        kept = [tf.where(mask, g, tf.zeros_like(g)) for mask, g in zip(masks, gradients, strict=True)]
        optimizer.apply(kept, self._variables)
        return tf.reduce_sum(tf.cast(tf.equal(tf.argmax(logits, 1, tf.int32), y), tf.int32))
