"""`NewClasses`: spare outputs become classes with their first sample, whatever makes a step."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.living.judging import Judging, is_judge
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import UpdatePlan

WEIGHT, BIAS = 127, 2**30  # largest values
YOUNG = 10  # samples up to which a class's row is made of their mean, and not learned alone


@dataclass(frozen=True)
class SpareHead:
    """The classifier of a model with spare outputs.

    weights [classes, F], bias [classes], features: names of tensors. zero: zero point of the features.
    unused: the bias of a spare output that no class has yet. classes, spare: outputs in all, and spare ones.
    logit: 1/256 of the bias that moves a spare output's logit by 1 LSB. logit_zero: zero point of the logits.
    """

    op: str
    weights: str
    bias: str
    features: str
    zero: int
    unused: int
    classes: int
    spare: int
    logit: int
    logit_zero: int

    def in_use(self, bias: np.ndarray) -> int:
        """How many classes there are, by the bias as it is."""
        taken = bias[self.classes - self.spare :] != self.unused
        return self.classes - self.spare + int(np.append(taken, False).argmin())


def spare_head(graph: Graph, plan: UpdatePlan) -> SpareHead | None:
    """The head of a training graph whose plan has spare classes, else None.

    Raises `ExportError` when the model's last outputs are not spare.
    """
    if not plan.spare_classes:
        return None
    assert graph.loss is not None
    logits, spare = graph.loss.inputs[0], plan.spare_classes
    op = next(o for o in graph.layers.values() if o.role == "forward" and logits in o.outputs)
    if op.kind == "FULLY_CONNECTED" and op.bias:
        weights, bias = graph.constant(op.inputs[1]), graph.constant(op.bias)
        rows, last = weights[-spare:], bias[-spare:]
        if spare < len(bias) and not rows.any() and (last == last[0]).all() and last[0] < 0:
            x, y = (tensor_quant(graph, name) for name in (op.inputs[0], logits))
            row = tensor_quant(graph, op.inputs[1]).scale[-1]
            unit = min(round(256 * y.scale[0] / (x.scale[0] * row)), 2**31 - 1)
            return SpareHead(
                op.name, op.inputs[1], op.bias, op.inputs[0], x.zero_point[0], int(last[0]), len(bias), spare,
                unit, y.zero_point[0],
            )  # fmt: skip
    raise ExportError(
        f"update plan: the model's last {spare} outputs are not spare; compile it with --spare-classes "
        f"{spare}, or make it with add_spare_classes."
    )


def outlives_power(plan: UpdatePlan) -> bool:
    """Whether a spare class may have been opened before the power came, of which no samples are held."""
    forgets = plan.memory is not None and plan.memory.where == "ram"
    return bool(plan.spare_classes) and forgets and (bool(plan.store_bytes) or plan.pool is not None)


def imprint(weights: np.ndarray, label: int, sums: np.ndarray, pairs: int, in_use: int) -> None:
    """Row `label` of the head: the direction from the mean of the others' features to the mean of its own, as
    long as the other rows are in the mean, in integers (docs/living.md).

    weights int8 [classes, F] change. sums: int [F], features less their zero point, n times the sum of m own
    samples less m times the sum of n others. pairs: m n. in_use: rows of classes, this one or not.
    """
    c = (sums.astype(np.int64) << 8) // pairs
    sisters = np.delete(weights[:in_use], range(label, min(label + 1, in_use)), axis=0).astype(np.int64)
    norm, length = int((c * c).sum()), int((sisters * sisters).sum()) // len(sisters)
    ratio = math.isqrt((length << 36) // norm) if norm else 0
    weights[label] = np.clip((c * ratio + (1 << 17)) >> 18, -WEIGHT, WEIGHT)


@dataclass
class Margins:
    """By how much samples are safe from a new row without bias, in 64 units of it: mean and spread."""

    n: int = 0
    total: int = 0
    squares: int = 0

    def add(self, margin: int) -> None:
        """A sample's: what the bias must be for the row to draw level with the best other."""
        self.n += 1
        self.total += margin >> 6
        self.squares += (margin >> 6) ** 2

    def mean(self) -> int:
        """In units of the bias."""
        return self.total // self.n << 6

    def low(self) -> int:
        """The mean less sqrt(3) standard deviations: of normal margins 4 % lie below."""
        mean = self.total // self.n
        return (mean - math.isqrt(3 * max(0, self.squares // self.n - mean * mean))) << 6


class NewClasses(Judging):
    """What `LivingSimulator` and the Keras engine share of spare outputs. head: None without them."""

    head: SpareHead | None
    old_classes = 0  # in use when it was reset: their rows are learned

    @abstractmethod
    def latent(self) -> np.ndarray:
        """Of the picture that was seen last, int8."""

    @abstractmethod
    def features_of(self, latent: np.ndarray) -> np.ndarray:
        """What enters the head, int8 [F], of a latent."""

    @property
    def classes_in_use(self) -> int:
        """Classes that the device knows: the first ones."""
        if self.head is None:
            return self.memory.classes
        return self.head.in_use(self.trained()[self.head.bias])

    def check_class(self, label: int) -> int:
        """The label. Raises `ExportError` unless it is a class in use, or the next spare one."""
        known = self.classes_in_use
        most = min(known, self.memory.classes - 1)
        if not 0 <= label <= most:
            raise ExportError(f"label {label}: allowed 0..{most}.")
        return label

    def offer(self, latent: np.ndarray, label: int) -> None:
        """A sample for the memory, or for the judges when held out. Raises `ExportError` for no class."""
        self.check_class(label)
        if self.is_judge(latent, label):
            if not self.judges_already(latent):
                self.judges.remember(latent, label)
            return
        self.admit(latent, label)
        self.memory.remember(latent, label)
        if self.is_young(label):
            held = len(self.memory)
            self._imprint(label, self.memory.latents[:held][self.memory.labels[:held] == label])

    def is_judge(self, latent: np.ndarray, label: int) -> bool:
        """Whether the picture of this latent judges, and is not learned from."""
        spare = self.head.classes - self.old_classes if self.head is not None else 0
        return is_judge(latent, label, self.guard, spare, self.memory)

    def is_young(self, label: int) -> bool:
        """Whether a class that was spare has so few samples that its row is their mean."""
        if self.head is None or label < self.old_classes:
            return False
        return bool(self.memory.offered[label] <= YOUNG)

    def teaches_nothing(self, label: int) -> bool:
        """Whether the picture seen last makes no step: held out, or of a young class, which it may open."""
        if self.guard is None and self.head is None:
            return False
        latent = self.latent()
        if self.is_judge(latent, label):
            return True
        self.admit(latent, label)
        return self.is_young(label)

    def admit(self, latent: np.ndarray, label: int) -> None:
        """Open the next spare class when `label` is it, by the sample of this latent."""
        if self.head is not None and label == self.classes_in_use:
            self._imprint(label, latent[None])

    def _imprint(self, label: int, own: np.ndarray) -> None:
        """The row of `label` from its `own` samples' latents, against the others in memory; none: as is."""
        assert self.head is not None
        if own.size == 0:
            return
        held, now, in_use = len(self.memory), self.trained(), self.classes_in_use
        weights, bias = now[self.head.weights], now[self.head.bias]
        others = np.flatnonzero(self.memory.labels[:held] != label)
        sums = np.zeros(weights.shape[1], np.int64)
        for latent in own:
            sums += max(1, len(others)) * self._features(latent)
        for i in others:
            sums -= len(own) * self._features(self.memory.latents[i])
        imprint(weights, label, sums, len(own) * max(1, len(others)), in_use)
        safe, level = Margins(), Margins()
        for latent in own:
            level.add(self._margin(latent, label, in_use, weights[label])[1])
        for i in others:
            guess, margin = self._margin(self.memory.latents[i], label, in_use, weights[label])
            if guess == self.memory.labels[i]:
                safe.add(margin)
        bias[label] = min(max(safe.low() if safe.n > 1 else level.mean(), -BIAS), BIAS)
        self.put(now)
        if self.guard is not None:
            self._good[self.head.weights][label] = weights[label]
            self._good[self.head.bias][label] = bias[label]

    def _margin(self, latent: np.ndarray, label: int, in_use: int, row: np.ndarray) -> tuple[int, int]:
        """The best class but `label`, and the bias with which this row would draw level with it."""
        assert self.head is not None
        logits = self.logits_of(latent).reshape(-1)[:in_use].astype(int)
        logits[label : label + 1] = -129
        guess = int(logits.argmax())
        best = (int(logits[guess]) - self.head.logit_zero) * self.head.logit >> 8
        return guess, best - int(row.astype(np.int64) @ self._features(latent))

    def _features(self, latent: np.ndarray) -> np.ndarray:
        assert self.head is not None
        return self.features_of(latent).reshape(-1).astype(np.int64) - self.head.zero
