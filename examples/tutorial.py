"""A net that reads handwritten digits, and pictures of digits as a badly mounted camera sees them.

    python examples/tutorial.py build/tutorial

writes my_model.keras and pictures/ (train and test, a sub-folder a class); docs/tutorial.md goes on from
there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers as L
from PIL import Image

from tfodl.datasets.digits import load_digits

EPOCHS, TRAIN, TEST = 8, 300, 200


def net() -> keras.Model:
    """[28, 28, 1], pixels 0..255 -> 10 logits."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            L.Rescaling(1 / 127.5, -1),
            L.Conv2D(8, 3, 2, "same", activation="relu"),
            L.DepthwiseConv2D(3, 2, "same", activation="relu"),
            L.Conv2D(16, 1, activation="relu", name="wide"),
            L.DepthwiseConv2D(3, padding="same", activation="relu"),
            L.Conv2D(24, 1, activation="relu", name="wider"),
            L.AveragePooling2D(2),
            L.Flatten(),
            L.Dense(10),
        ]
    )


def trained(epochs: int = EPOCHS) -> keras.Model:
    """The net after some epochs of upright digits."""
    keras.utils.set_random_seed(0)
    digits, model = load_digits("source"), net()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(digits.x_train, digits.y_train, 32, epochs, verbose=0)
    return model


def write_pictures(folder: Path) -> None:
    """What the camera sees, as .png files: `TRAIN` to learn from and `TEST` others."""
    digits = load_digits("target")
    parts = {
        "train": (digits.x_train[:TRAIN], digits.y_train),
        "test": (digits.x_test[:TEST], digits.y_test),
    }
    for split, (pictures, labels) in parts.items():
        for i, (picture, label) in enumerate(zip(pictures, labels, strict=False)):
            target = folder / split / str(label)
            target.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(picture, np.uint8)[..., 0]).save(target / f"{i:03}.png")


def main(out: str = "build/tutorial") -> None:
    """Write model and pictures to the folder `out`."""
    folder = Path(out)
    write_pictures(folder / "pictures")
    trained().save(folder / "my_model.keras")
    print(f"{folder}/my_model.keras, {folder}/pictures/: {TRAIN} to learn from, {TEST} to test on")


if __name__ == "__main__":
    main(*sys.argv[1:])
