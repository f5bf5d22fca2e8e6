"""Small nets and data that the selection tests share."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

import tfodl
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.neurons.group import whole
from tfodl.tasks.keras_losses import keras_metrics

SHAPE, CLASSES = (12, 12, 3), 4


def small_net(seed: int = 1) -> keras.Model:
    """Every supported layer class, a residual addition and a nested model."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inner_in = keras.Input((6, 6, 8))
    h = layers.Conv2D(8, 1, name="project")(inner_in)
    inner = keras.Model(inner_in, layers.BatchNormalization(name="norm")(h), name="inner")
    x = keras.Input(SHAPE)
    h = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    h = layers.BatchNormalization(name="stem_norm")(h)
    h = start = layers.ReLU(6.0)(h)
    h = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(h)
    h = layers.BatchNormalization(name="depthwise_norm")(h)
    h = layers.ReLU(6.0)(h)
    h = layers.Add()([inner(h), start])
    h = layers.SeparableConv2D(12, 3, activation="relu", name="separable")(h)
    h = layers.GlobalAveragePooling2D()(h)
    h = layers.Dense(10, activation="relu", name="hidden")(h)
    return keras.Model(x, layers.Dense(CLASSES, name="head")(h), name="small")


def sequence_net(seed: int = 1) -> keras.Model:
    """The layers of one dimension, for `sequences`."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x = keras.Input((SHAPE[0], SHAPE[1] * SHAPE[2]))
    h = layers.Conv1D(6, 3, padding="causal", dilation_rate=2, use_bias=False, name="causal")(x)
    h = layers.ReLU()(layers.BatchNormalization(name="causal_norm")(h))
    h = layers.DepthwiseConv1D(3, padding="same", name="depthwise")(h)
    h = layers.SeparableConv1D(8, 3, strides=2, activation="relu", name="separable")(h)
    h = layers.GlobalAveragePooling1D()(layers.Conv1D(5, 1, name="project")(h))
    return keras.Model(x, layers.Dense(CLASSES, name="head")(h), name="sequence")


def sequences(count: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`data` as sequences."""
    x, y = data(count, seed)
    return x.reshape(count, SHAPE[0], -1), y


def data(count: int = 64, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose class shows in their brightness."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, count)
    x = rng.normal(size=(count, *SHAPE)) * 0.5 + y[:, None, None, None] * 0.4
    return x.astype(np.float32), y


def compiled(model: keras.Model, optimizer: keras.optimizers.Optimizer | None = None) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(0.05), loss, metrics=keras_metrics("crossentropy"))
    return model


def selective(
    optimizer: keras.optimizers.Optimizer | None = None,
    seed: int = 1,
    net: Callable[[int], keras.Model] = small_net,
) -> tfodl.SelectiveModel:
    return compiled(tfodl.SelectiveModel(net(seed)), optimizer)


def random_plan(
    model: tfodl.SelectiveModel, rng: np.random.Generator, share: float = 0.4, axis: str = "out"
) -> UpdatePlan:
    """Random channels of random layers, biases and batch norms in all their modes."""
    rows = []
    for group in model.groups:
        along = axis if group.kind in ("conv", "dense") else "out"
        mask = rng.random(group.length(along)) < share * rng.integers(0, 3)
        channels = tuple(int(i) for i in np.flatnonzero(mask))
        if group.kind == "batchnorm" and rng.random() < 0.4:
            rows.append(whole(group))
        elif channels and not group.head:
            bias = rng.choice(["none", "all"] if along == "in" else ["none", "selected", "all"])
            bias = "all" if group.kind == "batchnorm" and rng.random() < 0.5 else bias
            rows.append(LayerUpdate(group.layer, along, channels, str(bias) if group.bias else "none"))
    return UpdatePlan(tuple(rows), head=bool(rng.random() < 0.7))
