"""How a machine shakes, generated: an accelerometer's values, and an autoencoder trained on others.

    python examples/vibration.py build/vibration

writes machine.npz, my_model.keras and plan.json; docs/products.md goes on from there.
The data are drawn, not measured, in g: gravity, noise, and a shaft that turns; a loose bolt adds a rattle.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers as L

from tfodl import LayerUpdate, Optimizer, UpdatePlan

RATE, WINDOW = 50, 32  # Hz; rows of a sample


def shaking(rows: int, rng: np.random.Generator, hz: float = 6.0, rattle: float = 0.0) -> np.ndarray:
    """float32 [rows, 3] in g of a shaft of `hz` turns a second; rattle: of a loose bolt, in g."""
    t = np.arange(rows) / RATE
    phase, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.25)
    x = rng.normal(0, 0.01, (rows, 3)) + [0.0, 0.0, 1.0]
    x[:, 0] += strength * np.cos(2 * np.pi * hz * t + phase)
    x[:, 1] += 0.7 * strength * np.sin(2 * np.pi * hz * t + phase)
    x[:, 2] += 0.4 * strength * np.cos(4 * np.pi * hz * t + 2 * phase)
    x[:, 2] += rattle * np.sign(np.sin(2 * np.pi * 17.3 * t + phase))
    return x.astype(np.float32)


def windows(count: int, seed: int, rattle: float = 0.0) -> np.ndarray:
    """float32 [count, WINDOW * 3]: x, y, z, x, ..."""
    rng = np.random.default_rng(seed)
    return np.stack([shaking(WINDOW, rng, rattle=rattle).reshape(-1) for _ in range(count)])


def net(x_train: np.ndarray) -> keras.Model:
    """[96] -> the same 96 numbers, by 6; it scales its input itself."""
    scale = L.Normalization()
    scale.adapt(x_train)
    return keras.Sequential(
        [
            keras.Input(x_train.shape[1:]),
            scale,
            L.Dense(32, "relu", name="in"),
            L.Dense(6, name="middle"),
            L.Dense(32, "relu", name="out"),
            L.Dense(x_train.shape[1], name="all"),
        ]
    )


def main(folder: str) -> None:
    """Write data, model and plan to `folder`."""
    keras.utils.set_random_seed(0)
    path, x = Path(folder), windows(1500, seed=1)
    path.mkdir(parents=True, exist_ok=True)
    model = net(x)
    model.compile(keras.optimizers.Adam(0.003), "mse")
    model.fit(x, model.layers[0](x), epochs=20, verbose=0)
    model.save(path / "my_model.keras")
    y_test = np.arange(80) % 2
    x_test = np.where(y_test[:, None], windows(80, seed=2, rattle=0.1), windows(80, seed=2))
    np.savez(path / "machine.npz", x_train=x, x_test=x_test, y_test=y_test)
    learned = (LayerUpdate("out", "out", (), "all"), LayerUpdate("all", "out", (), "all"))
    UpdatePlan(learned, head=False, loss="reconstruction", optimizer=Optimizer(0.3)).save(path / "plan.json")


if __name__ == "__main__":
    main(sys.argv[1])
