"""`NewClasses`: spare outputs become classes with their first sample, whatever makes a step."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.living.judging import Judging
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import UpdatePlan

WEIGHT, BIAS = 127, 2**30  # largest values


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


def imprint(
    weights: np.ndarray, bias: np.ndarray, label: int, x: np.ndarray, sums: np.ndarray, n: int, top: int
) -> None:
    """Row `label` of the head from the first sample of its class, in integers (docs/living.md).

    weights int8 [classes, F] and bias int32 [classes] change. x: int [F], the sample's features less their
    zero point; sums [F]: of `n` other samples. top: the best logit of `x`, in units of the bias.
    """
    x = x.astype(np.int64)
    c = n * x - sums if n else x
    norm, sisters = int((c * c).sum()), int((weights[:label].astype(np.int64) ** 2).sum()) // label
    ratio = math.isqrt((sisters << 32) // norm) if norm else 0
    weights[label] = np.clip((c * ratio + (1 << 15)) >> 16, -WEIGHT, WEIGHT)
    bias[label] = min(max(top - int(weights[label].astype(np.int64) @ x), -BIAS), BIAS)


class NewClasses(Judging):
    """What `LivingSimulator` and the Keras engine share of spare outputs. head: None without them."""

    head: SpareHead | None

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

    def admit(self, latent: np.ndarray, label: int) -> None:
        """Open the next spare class when `label` is it, by the sample of this latent."""
        if self.head is None or label != self.classes_in_use:
            return
        held = self.memory.latents[: len(self.memory)]
        x = self._features(latent)
        sums = sum((self._features(other) for other in held), np.zeros_like(x))
        now = self.trained()
        weights, bias = now[self.head.weights], now[self.head.bias]
        best = int(self.logits_of(latent).reshape(-1)[:label].max()) - self.head.logit_zero
        imprint(weights, bias, label, x, sums, len(held), best * self.head.logit >> 8)
        self.put(now)
        if self.guard is not None:
            self._good[self.head.weights][label] = weights[label]
            self._good[self.head.bias][label] = bias[label]

    def _features(self, latent: np.ndarray) -> np.ndarray:
        assert self.head is not None
        return self.features_of(latent).reshape(-1).astype(np.int64) - self.head.zero
