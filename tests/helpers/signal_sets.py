"""Generated recordings: three movements of an accelerometer, in m/s2, and three sounds of a small machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

MOVEMENTS = ("circle", "rest", "shake")
RATE = 50  # Hz of the accelerometer


def movement(label: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """One recording float32 [samples, 3]: gravity along z, noise, and what its class does."""
    t = np.arange(samples) / RATE + rng.uniform(0, 10)
    x = rng.normal(0, 0.3, (samples, 3)) + [0.0, 0.0, 9.81]
    if MOVEMENTS[label] == "circle":
        hz, strength = rng.uniform(0.8, 1.4), rng.uniform(3, 6)
        x[:, 0] += strength * np.cos(2 * np.pi * hz * t)
        x[:, 1] += strength * np.sin(2 * np.pi * hz * t)
    elif MOVEMENTS[label] == "shake":
        x[:, 0] += rng.uniform(3, 6) * np.sin(2 * np.pi * rng.uniform(4, 6) * t)
    return x.astype(np.float32)


def movements(count: int, seed: int, samples: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """`count` recordings float32 [N, samples, 3] and their classes [N], all classes alike."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % len(MOVEMENTS)
    return np.stack([movement(label, samples, rng) for label in y]), y


def write_movements(path: Path, count: int, samples: int = 64, seed: int = 0) -> Path:
    """`count` recordings of every movement as .csv files with a header, a sub-folder a class."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(MOVEMENTS):
        (path / name).mkdir(parents=True)
        for i in range(count):
            values = movement(label, samples, rng)
            np.savetxt(path / name / f"{i:02}.csv", values, "%.3f", ",", header="x,y,z", comments="")
    return path
