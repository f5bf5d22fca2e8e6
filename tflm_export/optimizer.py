"""`Optimizer`: the device's update rule, and which learning rates it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tflm_export.allowed import is_count, is_number, require

LARGEST_BATCH = 2**15
ROUNDINGS = ("stochastic", "accumulator")
SMALLEST_RATE, LARGEST_RATE = 1e-30, 1e6  # kMaxLearningRate of support.h


def is_learning_rate(rate: float) -> bool:
    """Whether the device takes `rate`: finite, > 0, in the range that float32 and its steps have."""
    return SMALLEST_RATE <= rate <= LARGEST_RATE


def no_learning_rate(rate: object) -> str:
    """Why `rate` is refused."""
    return f"learning_rate must be a number from {SMALLEST_RATE:g} to {LARGEST_RATE:g}, got {rate!r}."


@dataclass(frozen=True)
class Optimizer:
    """The device's update rule: SGD on integer weights (docs/arithmetic.md, "Update").

    learning_rate: step size in the float model's terms; may be changed at run time.
    momentum: 0 keeps no velocity; otherwise 4 bytes a trained weight.
    batch: samples accumulated before a step; more than 1 costs 4 bytes a trained weight.
    rounding: `"stochastic"` (no memory) or `"accumulator"` (2 bytes a trained weight).
    qas: quantization-aware scaling (Lin et al. 2022, section 3.1).
    """

    learning_rate: float = 0.01
    momentum: float = 0.0
    batch: int = 1
    rounding: Literal["stochastic", "accumulator"] = "stochastic"
    qas: bool = True

    def __post_init__(self) -> None:
        number = is_number(self.learning_rate) and is_learning_rate(self.learning_rate)
        require(number, f"Optimizer: {no_learning_rate(self.learning_rate)}")
        number = is_number(self.momentum) and 0 <= self.momentum < 1
        require(number, f"Optimizer: momentum must be in [0, 1), got {self.momentum!r}.")
        whole = is_count(self.batch) and 1 <= self.batch <= LARGEST_BATCH
        require(
            whole, f"Optimizer: batch must be a whole number from 1 to {LARGEST_BATCH}, got {self.batch!r}."
        )
        require(
            self.rounding in ROUNDINGS,
            f"Optimizer: rounding must be one of {ROUNDINGS}, got {self.rounding!r}.",
        )
        require(isinstance(self.qas, bool), f"Optimizer: qas must be true or false, got {self.qas!r}.")
