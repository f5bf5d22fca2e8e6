"""`check_input`: what a trained model makes of the data under an input contract, and under others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras
import numpy as np

from tflm_export.contracts import Contract
from tflm_export.input_contract import InputContract, usual
from tflm_export.signal_contract import SignalContract

PICTURES = 256  # at most, that are looked at
FAR = 0.1  # by which another scaling's accuracy must be better at least


@dataclass(frozen=True)
class InputCheck:
    """Accuracy (fraction) of a model as it came.

    chance: accuracy of always saying the commonest class. pictures: how many were looked at.
    other: the usual scaling with the best accuracy, and that accuracy; None for signals, which have none.
    """

    contract: Contract
    accuracy: float
    chance: float
    pictures: int
    other: tuple[str, float] | None

    @property
    def line(self) -> str:
        """What was found, for people."""
        return f"accuracy {self.accuracy:.1%} on {self.pictures} of the samples as the model came"

    @property
    def warning(self) -> str | None:
        """What speaks against the contract, and what to do; None when nothing does.

        >>> contract = InputContract.parse("-1..1", (8, 8, 3), "assumed")
        >>> print(InputCheck(contract, 0.2, 0.25, 256, ("0..255", 0.65)).warning)
        pixels reach the model as -1..1 (assumed): accuracy 20.0%; as 0..255 it would be 65.0%. \
Give --input=0..255 if the model was trained so.
        """
        if isinstance(self.contract, SignalContract) or self.other is None:
            chance = self.accuracy <= self.chance + 2 * self._error(self.chance)
            return (
                f"accuracy {self.accuracy:.1%} is chance ({self.chance:.1%}): is the model trained for these "
                "classes, in this order, and for these units?"
                if chance
                else None
            )
        name, accuracy = self.other
        reached = f"{_range(self.contract)} ({self.contract.source})"
        if accuracy > self.accuracy + max(FAR, 3 * self._error(accuracy)):
            return (
                f"pixels reach the model as {reached}: accuracy {self.accuracy:.1%}; as {name} it would be "
                f"{accuracy:.1%}. Give --input={name} if the model was trained so."
            )
        if self.accuracy <= self.chance + 2 * self._error(self.chance):
            return (
                f"accuracy {self.accuracy:.1%} is chance ({self.chance:.1%}): is the model trained for these "
                f"classes, in this order, and for pixels as {reached}? --input says otherwise."
            )
        return None

    def _error(self, share: float) -> float:
        return math.sqrt(share * (1 - share) / self.pictures)


def check_input(model: keras.Model, contract: Contract, x: np.ndarray, y: np.ndarray) -> InputCheck:
    """Hold `contract` to data: samples `x` [N, ...], classes `y` [N].

    The model's largest output, logit or probability, is its answer. One sigmoid has no largest output: such a
    model gets a classifier of two classes when it is loaded, and there is nothing to check.
    """
    chosen = np.random.default_rng(0).permutation(len(x))[:PICTURES]
    x, y = x[chosen], y[chosen]
    chance = float(np.bincount(y).max() / len(y))
    if isinstance(contract, SignalContract):
        return InputCheck(contract, _accuracy(model, contract, x, y), chance, len(y), None)
    others = {
        name: _accuracy(model, other, x, y)
        for name, other in usual(contract.shape).items()
        if not _alike(other, contract)
    }
    best = max(others, key=lambda name: others[name])
    return InputCheck(contract, _accuracy(model, contract, x, y), chance, len(y), (best, others[best]))


def _accuracy(model: keras.Model, contract: Contract, x: np.ndarray, y: np.ndarray) -> float:
    x = contract.apply(x)  # by batches: `predict` would make a data set of it every time
    outputs = [model.predict_on_batch(x[start : start + 64]) for start in range(0, len(x), 64)]
    return float((np.concatenate(outputs).argmax(-1) == y).mean())


def _alike(a: InputContract, b: InputContract) -> bool:
    return (a.divisor, a.offset, a.order) == (b.divisor, b.offset, b.order)


def _range(contract: InputContract) -> str:
    low, high = contract.range
    return f"{low:.4g}..{high:.4g}"
