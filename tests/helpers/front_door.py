"""Models and pictures of a stranger: kinds of Keras model that people bring, each trained on colour blobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import kept_weights
import keras
import numpy as np
from keras import layers as L
from PIL import Image

CLASSES = ("blue", "green", "red")
SIDE = 12
FILE = "front_door.npz"


def pictures(count: int, seed: int, side: int = SIDE, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [N, side, side, 3] in the order of their classes, and the classes: class c is brightest in one
    channel, by an amount that only the right scaling tells from none."""
    rng = np.random.default_rng(seed)
    labels = np.sort(np.arange(count) % classes)
    x = rng.normal(110, 25, (count, side, side, 3))
    for i, label in enumerate(labels):
        x[i, 2:-2, 2:-2, 2 - label] += 60
    return np.clip(x, 0, 255).astype(np.uint8), labels


def write_folder(path: Path, count: int = 90, classes: int = 3) -> None:
    """`train` and `test`, a sub-folder a class."""
    for split, seed in (("train", 1), ("test", 2)):
        x, y = pictures(count, seed, classes=classes)
        for i, (picture, label) in enumerate(zip(x, y, strict=True)):
            folder = path / split / CLASSES[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / f"{i}.png")


def conv(filters: int, stride: int = 2) -> list[keras.Layer]:
    return [
        L.Conv2D(filters, 3, stride, "same", use_bias=False),
        L.BatchNormalization(momentum=0.8),
        L.ReLU(),
    ]


def stack(*stages: keras.Layer, head: int = 3, activation: str | None = None) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            *stages,
            *conv(8),
            *conv(12),
            L.GlobalAveragePooling2D(),
            L.Dense(head, activation),
        ]
    )


def functional() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = L.Rescaling(1 / 127.5, -1)(image)
    x = y = L.Conv2D(8, 3, 2, "same", activation="relu")(x)
    x = L.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = L.Add()([L.Conv2D(8, 1)(x), y])
    return keras.Model(image, L.Dense(3, activation="softmax")(L.Flatten()(L.MaxPooling2D()(x))))


def nested(trainable: bool) -> keras.Model:
    base = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *conv(8), *conv(12)], name="base")
    base.trainable = trainable
    top = keras.Sequential([keras.Input((12,)), L.Dropout(0.1), L.Dense(3), L.Softmax()], name="top")
    image = keras.Input((SIDE, SIDE, 3))
    x = base(L.Rescaling(1 / 255)(L.RandomFlip("horizontal")(image)))
    return keras.Model(image, top(L.GlobalAveragePooling2D()(x)))


def normalized() -> keras.Model:
    return stack(L.Normalization(mean=[112.0, 115.0, 118.0], variance=[900.0, 1000.0, 1100.0]))


def caffe() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.applications.resnet50.preprocess_input(image)
    for layer in [*conv(8), *conv(12), L.GlobalAveragePooling2D(), L.Dense(3)]:
        x = layer(x)
    return keras.Model(image, x)


def mlp() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            L.Rescaling(1 / 255),
            L.Flatten(),
            L.Dense(16, "relu"),
            L.Dense(3),
        ]
    )


def two_heads() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 3))
    x = L.GlobalAveragePooling2D()(L.Conv2D(8, 3, activation="relu")(image))
    return keras.Model(image, [L.Dense(3)(x), L.Dense(1)(x)])


def autoencoder() -> keras.Model:
    return keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), L.Conv2D(4, 3, padding="same"), L.Conv2D(3, 3, padding="same")]
    )


def one_dimensional() -> keras.Model:
    return keras.Sequential([keras.Input((64, 3)), L.Conv1D(8, 3), L.GlobalAveragePooling1D(), L.Dense(3)])


def features() -> keras.Model:
    return keras.Sequential([keras.Input((40,)), L.Dense(8, "relu"), L.Dense(3)])


def no_int8_form() -> keras.Model:
    return stack(L.Rescaling(1 / 255), L.Conv2DTranspose(4, 3))


@keras.saving.register_keras_serializable("front_door")
class Subclassed(keras.Model):
    """Registered and known here; its layers are found, its graph is not."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.scale, self.c, self.p, self.d = (
            L.Rescaling(1 / 255),
            L.Conv2D(8, 3, 2),
            L.GlobalAveragePooling2D(),
            L.Dense(3),
        )

    def call(self, x: object) -> object:
        return self.d(self.p(self.c(self.scale(x))))


def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, SIDE, SIDE, 3), np.float32))
    return model


# What reaches a sketch: the model, its classes.
ARRIVE: dict[str, tuple[Callable[[], keras.Model], int]] = {
    "sequential, Rescaling to 0..1": (lambda: stack(L.Rescaling(1 / 255)), 3),
    "functional, residual, softmax": (functional, 3),
    "nested base and top": (lambda: nested(True), 3),
    "Normalization": (normalized, 3),
    "caffe, BGR": (caffe, 3),
    "MLP": (mlp, 3),
    "one sigmoid": (lambda: stack(L.Rescaling(1 / 255), head=1, activation="sigmoid"), 2),
    "a sigmoid a class": (lambda: stack(L.Rescaling(1 / 255), head=3, activation="sigmoid"), 3),
}
# What is refused: the model, and words of the refusal that lead on.
REFUSED: dict[str, tuple[Callable[[], keras.Model], str]] = {
    "frozen base": (lambda: nested(False), "--method head"),
    "two outputs": (two_heads, "a classifier has one"),
    "autoencoder": (autoencoder, "a classifier one number a class"),
    "Conv1D": (one_dimensional, "picture"),
    "features": (features, "picture"),
    "no int8 form": (no_int8_form, "Conv2DTranspose"),
    "subclassed": (subclassed, "keras.Input"),
}


def trained(kind: str) -> keras.Model:
    """The model of a kind of `ARRIVE`, compiled, with the weights that `train` gave it."""
    model = compiled(ARRIVE[kind][0]())
    kept_weights.give(FILE, kind, model)
    return model


def compiled(model: keras.Model) -> keras.Model:
    """`model` with an optimizer and the loss that fits its end."""
    last = model.layers[-1]
    if is_sigmoid(last):
        loss = "binary_crossentropy"
    else:
        softmax = "softmax" in str(last.get_config()).lower()
        softmax = softmax or any(isinstance(x, L.Softmax) for x in model._flatten_layers())
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax)
    model.compile(keras.optimizers.Adam(0.01), loss)
    return model


def is_sigmoid(layer: keras.Layer) -> bool:
    return getattr(getattr(layer, "activation", None), "__name__", "") == "sigmoid"


def train() -> None:
    """Make the weights that are kept: a short training of every kind on raw pixels."""
    made = {}
    for kind, (make, classes) in ARRIVE.items():
        keras.utils.set_random_seed(0)
        made[kind] = model = compiled(make())
        x, y = pictures(240, 0, classes=classes)
        if is_sigmoid(model.layers[-1]):
            y = y[:, None] if classes == 2 else np.eye(classes)[y]
        model.fit(x.astype(np.float32), y, epochs=12, verbose=0)
    kept_weights.keep(FILE, made)


if __name__ == "__main__":
    train()
