"""`Machine`: log-mel spectra of a machine that runs, wears and changes. Generated, not recorded.

Power in band m of a frame: a floor that falls with frequency, and harmonics of the speed; a worn bearing adds
tones between them. What is given is its logarithm with the scatter of a short frame, plus the room's gain.

>>> bench = Machine(speed=(95, 105))
>>> bench.sounds(3, seed=0).shape
(3, 640)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflm_export.errors import TfodlError

BEARING = 3.57  # tones of a worn bearing per turn
SCATTER = 0.25  # standard deviation of a band's log power in one frame
HIGHEST = 8000.0  # Hz


@dataclass(frozen=True)
class Machine:
    """How a machine sounds where it stands.

    speed: lowest and highest turns a second, Hz. load: how much stronger its even harmonics are.
    room: gain of the room over the bands m, in natural log units: `room sin(2 pi m / bands)` and its octave.
    bands, frames: of one sound; it has `bands * frames` values, frame after frame.
    Raises `TfodlError` for a speed that is no range above 0.
    """

    speed: tuple[float, float] = (95.0, 105.0)
    load: float = 0.5
    room: float = 0.0
    bands: int = 128
    frames: int = 5

    def __post_init__(self) -> None:
        low, high = self.speed
        if not 0 < low <= high:
            raise TfodlError(f"Machine: speed must be a range above 0, lowest first, got {self.speed!r}.")

    def sounds(self, count: int, seed: int, wear: float = 0.0) -> np.ndarray:
        """`count` sounds float32 [count, frames * bands], within a few of 0; wear: strength of a bearing."""
        rng = np.random.default_rng(seed)
        speeds = rng.uniform(*self.speed, count)
        power = np.stack([self._power(speed, wear * rng.uniform(0.5, 1.5)) for speed in speeds])
        scatter = SCATTER * rng.normal(size=(count, self.frames, self.bands))
        level = 0.2 * rng.normal(size=(count, 1, 1))
        logs = np.log(power)[:, None] + self._gain() + scatter + level
        found: np.ndarray = (logs.reshape(count, -1) / 2).astype(np.float32)
        return found

    def _power(self, speed: float, wear: float) -> np.ndarray:
        """Power of every band [bands]."""
        power = 0.05 + 0.4 * np.exp(-np.arange(self.bands) / (0.3 * self.bands))
        for k in range(1, 25):
            strength = 8.0 / k * (1 + self.load * (k % 2 == 0))
            power += strength * self._tone(k * speed)
        for k in range(1, 7):
            power += wear / k**0.5 * self._tone(k * BEARING * speed)
        return power

    def _tone(self, hertz: float) -> np.ndarray:
        """A tone's share in every band [bands]: a triangle one band and a half wide, on the mel scale."""
        place = self.bands * np.log1p(hertz / 700) / np.log1p(HIGHEST / 700)
        share: np.ndarray = np.maximum(0.0, 1 - np.abs(np.arange(self.bands) - place) / 1.5)
        return share

    def _gain(self) -> np.ndarray:
        angle = 2 * np.pi * np.arange(self.bands) / self.bands
        gain: np.ndarray = self.room * (np.sin(angle) + 0.5 * np.sin(2 * angle))
        return gain
