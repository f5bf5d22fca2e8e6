"""`LogMel`: log-mel spectrograms, the one definition that training and the board share.

A frame of `window` samples s in -1..1 is multiplied by a Hann window h, padded with zeros to `fft`,
transformed, and

    p[k] = |sum_n h[n] s[n] exp(-2 pi i k n / fft)|^2 / (sum_n h[n])^2         k = 0 .. fft / 2
    e[m] = sum_k w[m, k] p[k]                                                   m = 0 .. bands - 1
    x[m] = ln(max(e[m], floor))

where w are triangles on the mel scale (2595 log10(1 + f / 700)) from `low_hz` to `high_hz`, each with a peak
of 1. A frame begins every `hop` samples. numpy computes in float64, the board in float32
(`features/log_mel.h`).

>>> spec = LogMel()
>>> t = np.arange(16000) / 16000
>>> x = spec.features((8000 * np.sin(2 * np.pi * 1000 * t)).astype(np.int16))
>>> x.shape, x.dtype, int(x[10].argmax())
((49, 40), dtype('float32'), 13)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tflm_export.errors import TfodlError

FFT_SIZES = (256, 512, 1024)
FULL_SCALE = 32768.0


@dataclass(frozen=True)
class LogMel:
    """How sound becomes features.

    sample_rate: Hz. window, hop: samples of a frame, and from one frame to the next; 30 and 20 ms by default.
    fft: 256, 512 or 1024, at least `window`. bands: features of a frame. low_hz, high_hz: ends of the mel
    scale.
    floor: the least energy, so that silence is finite: ln(1e-8) = -18.4.

    Raises `TfodlError` for anything else.
    """

    sample_rate: int = 16000
    window: int = 480
    hop: int = 320
    fft: int = 512
    bands: int = 40
    low_hz: float = 60.0
    high_hz: float = 7600.0
    floor: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("sample_rate", "window", "hop", "fft", "bands"):
            value = getattr(self, name)
            _require(type(value) is int and value >= 1, f"{name} must be a whole number >= 1, got {value!r}")
        _require(self.fft in FFT_SIZES, f"fft must be in {FFT_SIZES}, got {self.fft}")
        _require(2 <= self.window <= self.fft, f"window must be 2..fft ({self.fft}), got {self.window}")
        ends = 0 <= self.low_hz < self.high_hz <= self.sample_rate / 2
        _require(
            ends,
            f"needs 0 <= low_hz < high_hz <= {self.sample_rate / 2:g}, got {self.low_hz:g}, {self.high_hz:g}",
        )
        _require(1e-12 <= self.floor <= 1, f"floor must be in 1e-12..1, got {self.floor:g}")
        empty = np.flatnonzero(self.weights.sum(axis=1) == 0)
        _require(
            not len(empty),
            f"{self.bands} bands are too narrow for {self.fft} points; take fewer, or a larger fft",
        )

    @classmethod
    def at(cls, sample_rate: int, bands: int = 40) -> LogMel:
        """Frames of 30 ms every 20 ms at `sample_rate`, up to 95 % of half of it.

        Raises `TfodlError` where 30 ms are more than 1,024 samples.

        >>> spec = LogMel.at(8000)
        >>> spec.window, spec.hop, spec.fft, spec.high_hz
        (240, 160, 256, 3800.0)
        """
        window = sample_rate * 30 // 1000
        fft = next((size for size in FFT_SIZES if size >= window), 0)
        _require(
            bool(fft) and window >= 60,
            f"{sample_rate:,} Hz is no rate for the board (2,000 to 34,000 Hz); resample to 16,000 Hz",
        )
        high = sample_rate * 0.475
        return cls(sample_rate, window, sample_rate * 20 // 1000, fft, bands, min(60.0, high / 4), high)

    def frames(self, samples: int) -> int:
        """How many whole frames are in so many samples."""
        return max(0, 1 + (samples - self.window) // self.hop)

    def samples(self, frames: int) -> int:
        """How many samples so many frames take."""
        return (frames - 1) * self.hop + self.window

    @cached_property
    def hann(self) -> np.ndarray:
        """h [window] / sum(h), float64."""
        h = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / self.window)
        found: np.ndarray = h / h.sum()
        return found

    @cached_property
    def edges(self) -> np.ndarray:
        """Hz where the triangles begin, have their peaks and end, [bands + 2], float64."""
        low, high = (2595 * np.log10(1 + f / 700) for f in (self.low_hz, self.high_hz))
        found: np.ndarray = 700 * (10 ** (np.linspace(low, high, self.bands + 2) / 2595) - 1)
        return found

    @cached_property
    def weights(self) -> np.ndarray:
        """w [bands, fft / 2 + 1], float64."""
        edges = self.edges
        f = np.arange(self.fft // 2 + 1) * self.sample_rate / self.fft
        left, peak, right = (edges[i : i + self.bands, None] for i in range(3))
        found: np.ndarray = np.maximum(
            0, np.minimum((f - left) / (peak - left), (right - f) / (right - peak))
        )
        return found

    def features(self, sound: np.ndarray) -> np.ndarray:
        """Log-mel features float32 [frames, bands] of `sound` int16 [samples], whole frames only.

        Raises `TfodlError` for another dtype or shape, or less than a frame.
        """
        sound = np.asarray(sound)
        count = self.frames(len(sound)) if sound.ndim == 1 else 0
        if sound.dtype != np.int16 or not count:
            raise TfodlError(
                f"sound must be int16 [samples >= {self.window}], got {sound.dtype} {list(sound.shape)}."
            )
        starts = np.arange(count)[:, None] * self.hop
        frames = sound[starts + np.arange(self.window)] / FULL_SCALE * self.hann
        power = np.abs(np.fft.rfft(frames, self.fft)) ** 2
        found: np.ndarray = np.log(np.maximum(power @ self.weights.T, self.floor)).astype(np.float32)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, raw: object) -> LogMel:
        """The definition in `raw`. Raises `TfodlError` for unknown fields and bad values."""
        names = [field.name for field in dataclasses.fields(cls)]
        _require(
            isinstance(raw, Mapping) and set(raw) <= set(names), f"fields must be of {names}, got {raw!r}"
        )
        assert isinstance(raw, Mapping)
        return cls(**raw)


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise TfodlError(f"log-mel features: {message}.")
