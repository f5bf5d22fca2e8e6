"""Three words of a whistled language, generated: .wav files, and a small net on log-mel features trained on
others.

    python examples/sound.py build/sound

writes words/ (a sub-folder a class, a file a word) and my_model.keras; docs/sound.md goes on from there. The
words are drawn, not recorded: a tone that rises, falls or stays, somewhere in half a second of noise.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers as L

from tflm_export.features.log_mel import LogMel
from tfodl.datasets.wav_file import write_wav

WORDS = ("down", "stay", "up")
SLOPES = (-1, 0, 1)
SPEC = LogMel.at(8000, bands=20)
SAMPLES = SPEC.samples(24)


def word(label: int, rng: np.random.Generator) -> np.ndarray:
    """One sound int16 [samples]."""
    t = np.arange(2400) / SPEC.sample_rate
    middle, bend = rng.uniform(900, 1600), SLOPES[label] * rng.uniform(1500, 2500)
    tone = np.sin(2 * np.pi * (middle * t + bend * t * (t - t[-1]) / 2)) * np.hanning(len(t))
    sound = rng.normal(0, rng.uniform(20, 200), SAMPLES)
    start = rng.integers(0, SAMPLES - len(t))
    sound[start : start + len(t)] += rng.uniform(1000, 9000) * tone
    return np.clip(sound, -32768, 32767).astype(np.int16)


def words(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` sounds int16 [N, samples] and their classes [N], all classes alike."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % len(WORDS)
    return np.stack([word(label, rng) for label in y]), y


def features(sounds: np.ndarray) -> np.ndarray:
    """float32 [N, 24, 20, 1] of int16 [N, samples]."""
    return np.stack([SPEC.features(sound) for sound in sounds])[..., None]


def write_words(path: Path, count: int, seed: int = 0) -> Path:
    """`count` sounds of every word as .wav files."""
    for i, (sound, label) in enumerate(zip(*words(count * len(WORDS), seed), strict=True)):
        (path / WORDS[label]).mkdir(parents=True, exist_ok=True)
        write_wav(path / WORDS[label] / f"{i:03}.wav", sound, SPEC.sample_rate)
    return path


def net(x_train: np.ndarray) -> keras.Model:
    """[24, 20, 1] -> 3 logits, depthwise separable; it scales its input itself."""
    scale = L.Normalization()
    scale.adapt(x_train)
    return keras.Sequential(
        [
            keras.Input(x_train.shape[1:]),
            scale,
            L.Conv2D(8, (3, 3), strides=2, padding="same", use_bias=False),
            L.BatchNormalization(momentum=0.8),
            L.ReLU(),
            L.DepthwiseConv2D(3, padding="same", activation="relu"),
            L.Conv2D(16, 1, activation="relu"),
            L.Flatten(),
            L.Dense(3, name="head"),
        ]
    )


def main(folder: str) -> None:
    """Write the sounds and the model to `folder`."""
    keras.utils.set_random_seed(0)
    sounds, y = words(600, seed=1)
    x = features(sounds)
    model = net(x)
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=10, verbose=0)
    write_words(Path(folder) / "words", 30)
    model.save(Path(folder) / "my_model.keras")


if __name__ == "__main__":
    main(sys.argv[1])
