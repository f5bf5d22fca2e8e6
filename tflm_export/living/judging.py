"""`Judging`: pictures that are never learned judge what was learned, whatever makes a step."""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.living.memory import ReplayMemory
from tflm_export.living.replays import Replays
from tflm_export.ops.loss import crossentropy, exp_table, loss_scale, probabilities_q30
from tflm_export.plan import Guard, UpdatePlan

Weights = Mapping[str, np.ndarray]


def is_held_out(latent: np.ndarray, guard: Guard | None) -> bool:
    """Whether a picture with this latent int8 judges and teaches nothing: by its CRC-32, always the same.

    >>> latents = np.arange(100, dtype=np.int8)
    >>> sum(is_held_out(latent, Guard(held_out=4)) for latent in latents)
    24
    """
    return guard is not None and zlib.crc32(np.ascontiguousarray(latent).tobytes()) % guard.held_out == 0


def is_judge(latent: np.ndarray, label: int, guard: Guard | None, spare: int, memory: ReplayMemory) -> bool:
    """Whether a picture judges and is not learned from: it is held out, and not the first that the memory is
    offered of one of the last `spare` classes, which such a picture opens."""
    opens = label >= memory.classes - spare and not memory.offered[label]
    return not opens and is_held_out(latent, guard)


def judge_memory(plan: UpdatePlan, shape: tuple[int, ...], classes: int) -> ReplayMemory:
    """An empty memory for the pictures that judge: latents of `shape`, every class alike."""
    size = plan.guard.samples if plan.guard is not None else 0
    return ReplayMemory(size, shape, classes, "balanced", plan.seed)


class Judging(Replays):
    """What `LivingSimulator` and the Keras engine share of a guard.

    judges: the pictures that judge. steps: training steps since the last judgement. Of two states the better
    one gives the judges' labels more probability, in all.
    """

    guard: Guard | None
    judges: ReplayMemory

    @abstractmethod
    def logits_of(self, latent: np.ndarray) -> np.ndarray:
        """Logits int8, of a latent."""

    @abstractmethod
    def trained(self) -> dict[str, np.ndarray]:
        """A copy of every trained tensor, by name."""

    @abstractmethod
    def put(self, weights: Weights) -> None:
        """Set what `trained` gave."""

    @abstractmethod
    def forget_steps(self) -> None:
        """Start the optimizer's momentum and sums at 0."""

    def begin_judging(self, graph: Graph) -> None:
        """As it was flashed: nothing to judge by, and the present state is the good one."""
        self.judges.reset()
        self.steps = 0
        assert graph.loss is not None
        self._table = exp_table(loss_scale(graph.loss, graph))
        self.keep()

    def keep(self) -> None:
        """The present state becomes the good one."""
        if self.guard is not None:
            self._good = self.trained()

    def judge_epoch(self) -> None:
        """At an epoch's end: back to the last good state, where what was learned is clearly worse."""
        if self.guard is not None:
            self._judged(final=False)

    def judge(self) -> bool:
        """Whether the state is better than the last good one; else that one comes back. With nothing to judge
        by all stays as it is.

        Raises `ExportError` without a guard.
        """
        if self.guard is None:
            raise ExportError("judge: the update plan has no guard; set guard.")
        return self._judged(final=True)

    def _judged(self, final: bool) -> bool:
        """`d` is how much more probable each judge's label is now than in the good state, `e = sqrt(sum d^2)`
        the standard error of its sum. Above `2 e` the state becomes the good one, below `-e` that comes back,
        in between learning goes on. `final`ly there is no between: above `e` the state is good, else the
        other one comes back.
        """
        self.steps = 0
        if not len(self.judges):
            return True
        now, here = self._probabilities(), self.trained()
        self.put(self._good)
        d = now - self._probabilities()
        total, noise = int(d.sum()), int((d * d).sum())
        beyond = total * total > noise
        if not (total > 0 and beyond) if final else total < 0 and beyond:
            self.forget_steps()
            return False
        self.put(here)
        if final or (total > 0 and total * total > 4 * noise):
            self._good = here
        return True

    def judges_already(self, latent: np.ndarray) -> bool:
        """Whether this picture is among the judges: it counts once, however often it comes."""
        held = self.judges.latents[: len(self.judges)]
        return bool((held == latent.reshape(held.shape[1:])).all(axis=tuple(range(1, held.ndim))).any())

    def _probabilities(self) -> np.ndarray:
        """Of the judges' labels, Q15, int64 [judges]."""
        held = len(self.judges)
        found = [
            probabilities_q30(self.logits_of(latent).reshape(-1), self._table)[label] >> 15
            for latent, label in zip(self.judges.latents[:held], self.judges.labels[:held], strict=True)
        ]
        return np.array(found, np.int64)

    def unlearned(self, latent: np.ndarray, label: int) -> float:
        """The loss of a picture that makes no step."""
        return crossentropy(self.logits_of(latent), label, self._table)

    def step_done(self) -> None:
        """Judge when it is time."""
        self.steps += 1
        if self.guard is not None and self.steps == self.guard.every:
            self._judged(final=False)
