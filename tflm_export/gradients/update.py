"""The update of integer parameters from exact gradient sums (docs/arithmetic.md, "Update").

>>> settings = Settings(momentum=0.0, batch=1, rounding="accumulator", seed=1)
>>> state = UpdateState.zeros((4,), settings)
>>> rule = Rule(tensor=6, bias=False)
>>> step = Step(np.array([-(3 << 16), 0, 1 << 16, 5 << 16]), 0, True)
>>> update(np.array([1, 2, -126, 127]), step, np.arange(4), rule, settings, state).tolist()
[-2, 2, -125, 127]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflm_export.ops.arithmetic import (
    random_bits,
    random_key,
    round_half_up,
    rshift,
)

INT32 = 2**31 - 1


@dataclass(frozen=True)
class Settings:
    """The plan's optimizer in the device's terms."""

    momentum: float
    batch: int
    rounding: str
    seed: int

    @property
    def momentum_q15(self) -> int:
        """`mu15`, 0..32767."""
        return min(32767, round_half_up(self.momentum * 2**15))


@dataclass
class UpdateState:
    """What the optimizer remembers of one trained tensor; None where it keeps no such thing."""

    batch: np.ndarray | None
    momentum: np.ndarray | None
    accumulator: np.ndarray | None

    @classmethod
    def zeros(cls, shape: tuple[int, ...], settings: Settings, *, weights: bool = True) -> UpdateState:
        """State of a trained tensor of `shape`."""
        return cls(
            np.zeros(shape, np.int64) if settings.batch > 1 else None,
            np.zeros(shape, np.int64) if settings.momentum_q15 else None,
            np.zeros(shape, np.int64) if weights and settings.rounding == "accumulator" else None,
        )


@dataclass(frozen=True)
class Rule:
    """Identity of one trained tensor in the random numbers, and what it may hold."""

    tensor: int
    bias: bool

    @property
    def limit(self) -> int:
        """Largest magnitude of a parameter."""
        return 2**30 if self.bias else 127


@dataclass(frozen=True)
class Step:
    """`units` int64: U of one sample; `number`: train steps before; `apply`: the last sample of a batch."""

    units: np.ndarray
    number: int
    apply: bool


def _sat32(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.clip(x, -INT32 - 1, INT32)
    return result


def _round(units: np.ndarray, index: np.ndarray, key: int, accumulator: np.ndarray | None) -> np.ndarray:
    """Whole LSB of a step of 16 fraction bits; what is left over goes to the accumulator."""
    if accumulator is None:
        dithered: np.ndarray = (units + random_bits(key, index)) >> 16
        return dithered
    total = units + accumulator
    whole: np.ndarray = (total + 32768) >> 16
    accumulator[...] = total - (whole << 16)
    return whole


def update(
    parameter: np.ndarray,
    step: Step,
    index: np.ndarray,
    rule: Rule,
    settings: Settings,
    state: UpdateState,
) -> np.ndarray:
    """The parameter after the step, int64. `state` changes in place.

    parameter: the trained elements. index: their flat positions in the whole tensor.
    """
    units = step.units
    if state.batch is not None:
        state.batch[...] = _sat32(state.batch + units)
        if not step.apply:
            return parameter.astype(np.int64)
        units = state.batch.copy()
        state.batch[...] = 0
    if state.momentum is not None:
        state.momentum[...] = _sat32(rshift(settings.momentum_q15 * state.momentum, 15) + units)
        units = state.momentum
    key = random_key(settings.seed, step.number, rule.tensor)
    wanted = parameter + _round(units, index, key, state.accumulator)
    result: np.ndarray = np.clip(wanted, -rule.limit, rule.limit)
    if state.accumulator is not None:
        state.accumulator[wanted != result] = 0
    return result
