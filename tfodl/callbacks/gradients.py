"""Gradients over a few labelled samples, batch by batch, for the rules that rank by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfodl.callbacks.batches import labelled_batches, samples
from tfodl.neurons.group import NeuronGroup
from tfodl.neurons.sites import Run, Site
from tfodl.selection.velocity import Array


class Maps(Run):
    """Has a tape watch the inputs or the outputs of sites."""

    def __init__(self, groups: Sequence[NeuronGroup]) -> None:
        self._axes = {group.layer: group.axis for group in groups}
        self.of: dict[str, list[Any]] = {}

    def start(self, tape: tf.GradientTape) -> None:
        self.tape, self.of = tape, {}

    def input(self, site: Site, x: Any) -> Any:
        return self._watched(site, x) if self._axes.get(site.name) == "in" else x

    def output(self, site: Site, x: Any, y: Any) -> Any:
        return self._watched(site, y) if self._axes.get(site.name) == "out" else y

    def _watched(self, site: Site, tensor: Any) -> Any:
        tensor = tf.identity(tensor)
        self.tape.watch(tensor)
        self.of.setdefault(site.name, []).append(tensor)
        return tensor


def fisher(model: Any, groups: Sequence[NeuronGroup], data: Any, batch_size: int = 32) -> dict[str, Array]:
    """Fisher information of every channel, `[channels]` a group: `1/(2N) · sum_n (sum_positions a ·
    dL_n/da)^2`.

    One backward pass over `data` (arrays `(x, y)` or batches of them). `a` is the channel's map: output
    before the bias, or input where the group's axis is "in" (Theis et al. 2018; Kwon et al., TinyTrain,
    2024).
    """
    run = Maps(groups)

    @tf.function(reduce_retracing=True, autograph=False)
    def squares(x: Any, y: Any) -> dict[str, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            run.start(tape)
            loss = model.compute_loss(x, y, model.base(x, training=False))
        gradients = tape.gradient(loss, run.of, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        count = tf.cast(tf.shape(keras.tree.flatten(x)[0])[0], tf.float64)
        return {name: _fisher(maps, gradients[name], count) for name, maps in run.of.items()}

    total, count = {group.layer: np.zeros(group.channels) for group in groups}, 0
    with model.watch(run):
        for x, y in labelled_batches(data, model.base, batch_size):
            count += samples(x)
            for name, value in squares(x, y).items():
                total[name] += value.numpy()
    return {name: value / (2 * count) for name, value in total.items()}


def _fisher(maps: list[Any], gradients: list[Any], count: Any) -> Any:
    each = []
    for a, g in zip(maps, gradients, strict=True):
        product = tf.cast(a, tf.float64) * tf.cast(g, tf.float64) * count
        each.append(tf.reduce_sum(product, axis=list(range(1, len(a.shape) - 1))))
    return tf.reduce_sum(tf.square(tf.add_n(each)), axis=0)


def weight_gradients(
    model: Any, groups: Sequence[NeuronGroup], data: Any, batch_size: int = 32
) -> dict[str, Array]:
    """Every group's weight gradient, of the mean loss over `data` with respect to the real weight, float64 of
    the weight's shape."""
    names = {group.layer for group in groups}
    sites = [site for site in model.sites if site.name in names]
    variables = [site.weight.value for site in sites]

    @tf.function(reduce_retracing=True, autograph=False)
    def gradients(x: Any, y: Any) -> list[Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss = model.compute_loss(x, y, model.base(x, training=False))
        found: list[Any] = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return found

    total = [np.zeros(variable.shape) for variable in variables]
    count = 0
    for x, y in labelled_batches(data, model.base, batch_size):
        count += samples(x)
        for into, gradient, site in zip(total, gradients(x, y), sites, strict=True):
            into += _real(gradient, site.weight) * samples(x)
    return {site.name: g / count for site, g in zip(sites, total, strict=True)}


def _real(gradient: Any, variable: Any) -> Any:
    """The gradient of the real weight, where `variable` holds integers."""
    quantum = getattr(variable, "quantum", None)
    return gradient.numpy() / (1.0 if quantum is None else quantum.scale)
