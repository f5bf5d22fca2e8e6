"""Measuring neurons over validation inputs: batches go through the model as it is and as it was.

The last epoch's *weights* are kept, not its outputs, so memory does not grow with the validation set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfodl.callbacks.batches import input_batches, samples
from tfodl.neurons.group import NeuronGroup
from tfodl.neurons.sites import Run, Site
from tfodl.selection.velocity import Array, Mode, cosine


class Outputs(Run):
    """Keeps the maps of the groups it is asked for: outputs `[N, ..., C]` before batch norm and activation.

    Where a group chooses among input channels, its inputs are kept instead.
    """

    def __init__(self, groups: Sequence[NeuronGroup]) -> None:
        self._axes = {group.layer: group.axis for group in groups}
        self.of: dict[str, list[Any]] = {}

    def output(self, site: Site, x: Any, y: Any) -> Any:
        if site.name in self._axes:
            self.of.setdefault(site.name, []).append(x if self._axes[site.name] == "in" else y)
        return y


class Similarity:
    """Compares a `SelectiveModel` with its own earlier weights.

    model: the `SelectiveModel`; groups: whose neurons; inputs: `tfodl.callbacks.batches`, labels unused.
    """

    def __init__(
        self,
        model: Any,
        groups: Sequence[NeuronGroup],
        inputs: Any,
        mode: Mode = "pooled",
        batch_size: int = 32,
    ) -> None:
        self._model, self._mode, self._inputs, self._batch = model, mode, inputs, batch_size
        self._groups, self._names = tuple(groups), tuple(group.layer for group in groups)
        self._step = tf.function(self._moments, reduce_retracing=True, autograph=False)
        self.before = self.weights()

    def weights(self) -> list[Any]:
        """The wrapped model's variables now."""
        return [tf.identity(variable.value) for variable in self._model.base.variables]

    def measure(self) -> dict[str, Array]:
        """phi `[C]` of every group against `before`; then `before` is now."""
        totals: dict[str, Any] = dict.fromkeys(self._names, 0.0)
        count = 0
        with self._model.watch(run := Outputs(self._groups)):
            self._run = run
            for x in input_batches(self._inputs, self._model.base, self._batch):
                count += samples(x)
                for name, moments in self._step(x, self.before).items():
                    totals[name] = totals[name] + self._summed(moments.numpy())
        self.before = self.weights()
        return {name: self._phi(total, count) for name, total in totals.items()}

    def _summed(self, moments: Array) -> Array:
        """Over the samples of a batch: moments `[3, C]`, or where each sample has its own cosine, `[C]`."""
        found: Array = moments.sum(1) if self._mode == "pooled" else cosine(*moments).sum(0)
        return found

    def _phi(self, total: Array, count: int) -> Array:
        return cosine(*total) if self._mode == "pooled" else total / count

    def _moments(self, x: Any, before: list[Any]) -> dict[str, Any]:
        now = self._outputs(x)
        variables = self._model.base.variables
        with keras.StatelessScope(state_mapping=list(zip(variables, before, strict=True))):
            then = self._outputs(x)
        return {name: _moments(now[name], then[name]) for name in self._names}

    def _outputs(self, x: Any) -> dict[str, list[Any]]:
        self._run.of = {}
        self._model.base(x, training=False)
        return self._run.of


def _moments(now: list[Any], before: list[Any]) -> Any:
    """`[3, N, C] float64`: sums over positions and calls of now·before, now², before²."""
    pairs = list(zip(now, before, strict=True))
    return tf.stack(
        [
            sum(_dot(a, b) for a, b in pairs),
            sum(_dot(a, a) for a, _ in pairs),
            sum(_dot(b, b) for _, b in pairs),
        ]
    )


def _dot(a: Any, b: Any) -> Any:
    product = tf.cast(a, tf.float64) * tf.cast(b, tf.float64)
    return tf.reduce_sum(product, axis=list(range(1, len(product.shape) - 1)))
