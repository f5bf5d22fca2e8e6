"""`Replays`: learning again what a memory and shipped exemplars hold, whatever makes a step."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from tflm_export.living.memory import Exemplars, ReplayMemory
from tflm_export.plan import Memory


class Replays(ABC):
    """What `LivingSimulator` and the Keras engine share: which samples are learned again, in which order.

    wanted: the plan's memory. shown: how many exemplars were drawn so far. seed: the plan's.
    """

    wanted: Memory
    memory: ReplayMemory
    exemplars: Exemplars | None
    shown: int
    seed: int

    @abstractmethod
    def learn_latent(self, latent: np.ndarray, label: int) -> float:
        """One step from the cut on; the loss before it."""

    def replay_all(self) -> None:
        """The replays that belong to a training step."""
        for _ in range(self.wanted.replays):
            self.replay()
        for _ in range(self.wanted.exemplar_replays):
            self.replay_exemplar()

    def replay(self) -> float:
        """One step on a sample of the memory; the loss before it, -1 when there is none to draw."""
        return self.learn_latent(*self.memory.draw()) if self.memory.drawable else -1.0

    def replay_exemplar(self) -> float:
        """One step on an exemplar; the loss before it, -1 when there are none."""
        if self.exemplars is None:
            return -1.0
        self.shown += 1
        return self.learn_latent(*self.exemplars.draw(self.seed, self.shown - 1))
