"""Three movements of an accelerometer, generated: recordings as .csv files, and a net of Conv1D trained on
others.

    python examples/motion.py build/motion

writes gestures/ (a sub-folder a class, a file a recording) and my_model.keras; docs/motion.md goes on from
there.
The data are drawn, not measured: gravity, noise, and a circle, a shake or nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers as L

MOVEMENTS = ("circle", "rest", "shake")
RATE, WINDOW = 50, 64  # Hz; rows of a sample


def movement(label: int, rows: int, rng: np.random.Generator) -> np.ndarray:
    """One recording float32 [rows, 3] in m/s2."""
    t = np.arange(rows) / RATE + rng.uniform(0, 10)
    x = rng.normal(0, 0.3, (rows, 3)) + [0.0, 0.0, 9.81]
    hz, strength = rng.uniform(0.8, 1.4) * (4 if MOVEMENTS[label] == "shake" else 1), rng.uniform(3, 6)
    if MOVEMENTS[label] != "rest":
        x[:, 0] += strength * np.cos(2 * np.pi * hz * t)
    if MOVEMENTS[label] == "circle":
        x[:, 1] += strength * np.sin(2 * np.pi * hz * t)
    return x.astype(np.float32)


def movements(count: int, seed: int, rows: int = WINDOW) -> tuple[np.ndarray, np.ndarray]:
    """`count` recordings float32 [N, rows, 3] and their classes [N], all classes alike."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % len(MOVEMENTS)
    return np.stack([movement(label, rows, rng) for label in y]), y


def write_movements(path: Path, count: int, rows: int, seed: int = 0) -> Path:
    """`count` recordings of every movement as .csv files with a header."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(MOVEMENTS):
        (path / name).mkdir(parents=True)
        for i in range(count):
            values = movement(label, rows, rng)
            np.savetxt(path / name / f"{i:02}.csv", values, "%.3f", ",", header="x,y,z", comments="")
    return path


def net(x_train: np.ndarray) -> keras.Model:
    """[64, 3] -> 3 logits; it scales its input itself, by what it was adapted to."""
    scale = L.Normalization()
    scale.adapt(x_train)
    return keras.Sequential(
        [
            keras.Input(x_train.shape[1:]),
            scale,
            L.Conv1D(8, 5, strides=2, padding="same", use_bias=False),
            L.BatchNormalization(momentum=0.8),
            L.ReLU(),
            L.MaxPooling1D(2),
            L.Conv1D(12, 3, padding="same", activation="relu"),
            L.GlobalAveragePooling1D(),
            L.Dense(3, name="head"),
        ]
    )


def main(folder: str) -> None:
    """Write the recordings and the model to `folder`."""
    keras.utils.set_random_seed(0)
    x, y = movements(240, seed=1)
    model = net(x)
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=4, verbose=0)
    write_movements(Path(folder) / "gestures", 20, 256)
    model.save(Path(folder) / "my_model.keras")


if __name__ == "__main__":
    main(sys.argv[1])
