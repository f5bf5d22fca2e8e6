"""The replay memory in numpy: which samples stay, which are replayed. What the board does, bit for bit.

>>> memory = ReplayMemory(capacity=2, shape=(1, 3), classes=4, policy="reservoir", seed=7)
>>> for label in range(3):
...     memory.remember(np.full((1, 3), label, np.int8), label)
>>> len(memory), memory.draw()[0].shape
(2, (1, 3))
"""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ops.arithmetic import random_key

ACCEPT, PLACE, DRAW = 0xFFFF0001, 0xFFFF0002, 0xFFFF0003  # whose random numbers
SHOW, PICK = 0xFFFF0103, 0xFFFF0104


def random_below(seed: int, counter: int, purpose: int, n: int) -> int:
    """A whole number in [0, n): `(r n) >> 32` of the 32-bit hash r (docs/arithmetic.md, "Random numbers")."""
    return (random_key(seed, counter, purpose) * n) >> 32


class ReplayMemory:
    """Latents int8 [capacity, ...shape] and their labels; a full memory gives a place up by `policy`.

    "reservoir": of all samples offered, each is in it with the same probability (Vitter 1985, algorithm R).
    "balanced": of the largest class one goes for a sample of a smaller class; within the largest class the
        same reservoir runs on that class's samples (after Chrysakis and Moens, ICML 2020, without their list
        of full classes).
    offered: samples offered so far, by class. draws: samples drawn so far. Both seed the next decision.
    held_out: the first places, which are never drawn. by_class: a class is drawn first, every one held
        alike, then a sample of it, so that a class of few samples is learned as often as the others.
    """

    def __init__(
        self,
        capacity: int,
        shape: tuple[int, ...],
        classes: int,
        policy: str,
        seed: int,
        held_out: int = 0,
        by_class: bool = False,
    ):
        self.held_out, self.by_class = held_out, by_class
        self.capacity, self.shape, self.classes = capacity, shape, classes
        self.policy, self.seed = policy, seed
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.latents = np.zeros((self.capacity, *self.shape), np.int8)
        self.labels = np.zeros(self.capacity, np.int16)
        self.offered = np.zeros(self.classes, np.int64)
        self.held, self.draws = 0, 0

    def __len__(self) -> int:
        return self.held

    @property
    def drawable(self) -> int:
        """Samples that may be drawn."""
        return max(0, self.held - self.held_out)

    def held_out_latents(self) -> np.ndarray:
        """Latents int8 [n, ...shape] that are never drawn, of those there are."""
        return self.latents[: min(self.held_out, self.held)]

    def remember(self, latent: np.ndarray, label: int) -> None:
        """Offer a sample: a latent int8 of `shape` and its class."""
        self.offered[label] += 1
        place = self._place(label)
        if place >= 0:
            self.latents[place], self.labels[place] = latent.reshape(self.shape), label
            self.held = max(self.held, place + 1)

    def draw(self) -> tuple[np.ndarray, int]:
        """A sample at random, every one or class alike, with replacement; there must be one (`drawable`)."""
        places = np.arange(self.held_out, self.held)
        if self.by_class:
            labels = self.labels[places]
            held = np.unique(labels)
            places = places[labels == held[random_below(self.seed, self.draws, PICK, len(held))]]
        place = int(places[random_below(self.seed, self.draws, DRAW, len(places))])
        self.draws += 1
        return self.latents[place], int(self.labels[place])

    def _place(self, label: int) -> int:
        """Where the sample goes; -1 for nowhere."""
        total = int(self.offered.sum())
        if self.held < self.capacity:
            return self.held
        if self.policy == "reservoir":
            place = random_below(self.seed, total, ACCEPT, total)
            return place if place < self.capacity else -1
        counts = np.bincount(self.labels, minlength=self.classes)
        victim, most = int(counts.argmax()), int(counts.max())
        if counts[label] == most:
            victim, seen = label, int(self.offered[label])
            if random_below(self.seed, total, ACCEPT, seen) >= most:
                return -1
        return int(np.flatnonzero(self.labels == victim)[random_below(self.seed, total, PLACE, most)])


@dataclass(frozen=True)
class Exemplars:
    """Samples that are shipped with an engine: latents int8 [n, ...shape] and their classes int16 [n].

    Raises `ExportError` when there are none, or not as many labels as latents.
    """

    latents: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "latents", np.asarray(self.latents, np.int8))
        object.__setattr__(self, "labels", np.asarray(self.labels, np.int16).reshape(-1))
        if not 0 < len(self.labels) == len(self.latents):
            raise ExportError(
                f"exemplars: got {len(self.latents)} latents and {len(self.labels)} labels; allowed: one or "
                "more, of each as many."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def to_bytes(self) -> bytes:
        """As an .npz file."""
        buffer = io.BytesIO()
        np.savez(buffer, latents=self.latents, labels=self.labels)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Exemplars:
        """From an .npz file. Raises `ExportError` when it holds something else."""
        try:
            with np.load(path) as stored:
                return cls(stored["latents"], stored["labels"])
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise ExportError(f"{str(path)!r} does not hold exemplars ({error}).") from error

    def draw(self, seed: int, shown: int) -> tuple[np.ndarray, int]:
        """The sample of draw number `shown`: at random, every one alike, with replacement."""
        place = random_below(seed, shown, SHOW, len(self))
        return self.latents[place], int(self.labels[place])
