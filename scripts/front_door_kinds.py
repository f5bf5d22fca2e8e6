"""The fourteen kinds of model of front_door.py: data written to files, nets, losses, options of commands."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import flags
from keras import layers as L
from PIL import Image

from tfodl import datasets

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples"))
import motion  # noqa: E402
import sound  # noqa: E402

flags.DEFINE_string("data", "flower_photos_128", "data set of pictures")
flags.DEFINE_integer("size", 48, "side of the pictures", lower_bound=32)
flags.DEFINE_integer("limit", 60, "samples a split at most", lower_bound=20)
FLAGS = flags.FLAGS
Shape, Make = tuple[int, ...], Callable[[np.ndarray], keras.Model]


@dataclass(frozen=True)
class World:
    """Samples and targets in memory, and the file or folder that holds them for the commands."""

    path: Path
    train: tuple[np.ndarray, Any]
    test: tuple[np.ndarray, Any]
    window: str = ""

    @property
    def classes(self) -> int:
        return int(self.train[1].max()) + 1


@dataclass(frozen=True)
class Kind:
    """A kind of model: where its data are from, its net, the loss it is trained by, options of finetune, the
    board that has room for it."""

    world: Callable[[Path], World]
    net: Callable[[World], keras.Model]
    loss: Any = None
    options: str = ""
    board: str = "nano33ble"


def pictures(folder: Path) -> World:
    """Pictures in class folders below `train` and `test`."""
    data = datasets.load(FLAGS.data, size=FLAGS.size, limit=FLAGS.limit)
    splits = {"train": (data.x_train, data.y_train), "test": (data.x_test, data.y_test)}
    for split, (x, y) in splits.items():
        for i, (picture, label) in enumerate(zip(x, y, strict=True)):
            path = folder / "pictures" / split / data.class_names[label] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    return World(folder / "pictures", splits["train"], splits["test"])


def recordings(folder: Path) -> World:
    """Generated movements as .csv files."""
    path = folder / "gestures"
    if not path.exists():
        motion.write_movements(path, 12, 256)
    rows = motion.WINDOW
    return World(path, motion.movements(FLAGS.limit, 1), motion.movements(FLAGS.limit, 2), f"--window {rows}")


def sounds(folder: Path) -> World:
    """Generated words as .wav files; in memory their features."""
    path = folder / "words"
    if not path.exists():
        sound.write_words(path, 12)
    splits = [sound.words(FLAGS.limit, seed) for seed in (1, 2)]
    return World(path, *((sound.features(x), y) for x, y in splits))


def values(target: str) -> Callable[[Path], World]:
    """A generated sensor of 16 values in a .npz, and what `target` names of it."""

    def make(folder: Path) -> World:
        rng = np.random.default_rng(0)
        hidden = rng.normal(size=(2, 2 * FLAGS.limit, 4))
        x = (hidden @ rng.normal(size=(4, 16)) + rng.normal(0, 0.1, (2, 2 * FLAGS.limit, 16))).astype(
            np.float32
        )
        y = {
            "classes": hidden.argmax(-1),
            "yes": (hidden[..., 0] > 0).astype(int),
            "labels": (hidden[..., :3] > 0).astype(int),
            "number": (0.5 * hidden[..., :1] - hidden[..., 1:2]).astype(np.float32),
            "nothing": None,
        }[target]
        arrays = {"x_train": x[0], "x_test": x[1]}
        arrays |= {} if y is None else {"y_train": y[0], "y_test": y[1]}
        np.savez(folder / f"{target}.npz", **arrays)
        return World(folder / f"{target}.npz", *((x[i], None if y is None else y[i]) for i in (0, 1)))

    return make


def small(shape: Shape, *head: keras.Layer) -> keras.Model:
    stages = [L.Rescaling(1 / 255)]
    for filters in (8, 16, 24):
        stages += [L.Conv2D(filters, 3, 2, "same", use_bias=False), L.BatchNormalization(), L.ReLU()]
    return keras.Sequential([keras.Input(shape), *stages, L.GlobalAveragePooling2D(), *head])


def residual(w: World) -> keras.Model:
    image = keras.Input(w.train[0].shape[1:])
    x = y = L.Conv2D(16, 3, 4, "same", activation="relu")(L.Normalization(mean=120.0, variance=4000.0)(image))
    x = L.Conv2D(16, 1)(L.DepthwiseConv2D(3, padding="same", activation="relu6")(x))
    x = L.MaxPooling2D(4)(L.Add()([x, y]))
    return keras.Model(image, L.Dense(w.classes, "softmax")(L.Flatten()(x)))


def application(name: str, **options: Any) -> Callable[[World], keras.Model]:
    """A published net, weights drawn, with a head of its own, as the transfer learning tutorials nest it."""

    def net(w: World) -> keras.Model:
        shape = w.train[0].shape[1:]
        base = getattr(keras.applications, name)(
            input_shape=shape, include_top=False, weights=None, **options
        )
        image = keras.Input(shape)
        x = L.RandomFlip("horizontal")(image)
        x = keras.applications.mobilenet_v2.preprocess_input(x) if name == "MobileNetV2" else x
        return keras.Model(image, L.Dense(w.classes)(L.Dropout(0.2)(L.GlobalAveragePooling2D()(base(x)))))

    return net


class Own(keras.Model):
    """A net whose graph Keras does not know."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.convolution, self.pool = L.Conv2D(8, 3, 2, activation="relu"), L.GlobalAveragePooling2D()
        self.top, self.classes = L.Dense(classes), classes

    def get_config(self) -> dict[str, Any]:
        return {"classes": self.classes}

    def call(self, x: Any) -> Any:
        return self.top(self.pool(self.convolution(x / 255)))


def dense(*sizes: int, end: str | None = None) -> Callable[[World], keras.Model]:
    hidden = [L.Dense(size, "relu") for size in sizes[:-1]]
    return lambda w: keras.Sequential([keras.Input(w.train[0].shape[1:]), *hidden, L.Dense(sizes[-1], end)])


LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
ROOMY = "--fit none --method head"
KINDS = {
    "Sequential": Kind(pictures, lambda w: small(w.train[0].shape[1:], L.Dense(w.classes)), LOGITS),
    "Sequential as .h5": Kind(
        pictures,
        lambda w: small(w.train[0].shape[1:], L.Dense(w.classes, "softmax")),
        "sparse_categorical_crossentropy",
    ),
    "functional with a residual": Kind(pictures, residual, "sparse_categorical_crossentropy"),
    "nested MobileNetV2 0.35": Kind(pictures, application("MobileNetV2", alpha=0.35), LOGITS),
    "nested MobileNetV3Small": Kind(pictures, application("MobileNetV3Small"), LOGITS, ROOMY, "nicla_vision"),
    "nested EfficientNetB0": Kind(pictures, application("EfficientNetB0"), LOGITS, ROOMY, "nano_rp2040"),
    "subclassed": Kind(pictures, lambda w: Own(w.classes)),
    "motion: Conv1D of .csv": Kind(recordings, lambda w: motion.net(w.train[0]), LOGITS),
    "sound: log-mel of .wav": Kind(sounds, lambda w: sound.net(w.train[0]), LOGITS),
    "MLP of classes": Kind(values("classes"), dense(24, 24, 4), LOGITS),
    "one sigmoid": Kind(values("yes"), dense(24, 24, 1, end="sigmoid"), "binary_crossentropy"),
    "several sigmoids": Kind(values("labels"), dense(24, 24, 3, end="sigmoid"), "binary_crossentropy"),
    "regression": Kind(values("number"), dense(24, 24, 1), "mse"),
    "autoencoder": Kind(values("nothing"), dense(24, 4, 24, 16), "mse"),
}
