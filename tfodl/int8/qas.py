"""Optimizers for integer weights: `QAS` rescales gradients, `IntegerUpdate` rounds steps as the board does.

Both wrap any Keras optimizer and look only at variables that carry a `Quantum` (`tfodl.int8.linear`); a
float32 variable beside them passes unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tflm_export.errors import TfodlError

Rounding = Literal["stochastic", "accumulator", "nearest", "truncate"]
ROUNDINGS = ("stochastic", "accumulator", "nearest", "truncate")
ONE = 2.0**16  # an LSB in units of the step's 16 fraction bits
LARGEST_STEP = {True: 2.0**19, False: 2.0**46}  # by "is a weight"
register = keras.saving.register_keras_serializable("tfodl")


class _Wrapper(keras.optimizers.Optimizer):
    """An optimizer around another one, which keeps the state and the learning rate."""

    def __init__(self, optimizer: Any, **kwargs: Any):
        inner = keras.optimizers.get(optimizer)
        super().__init__(learning_rate=0.0, **kwargs)
        self.inner = inner

    def build(self, variables: Sequence[Any]) -> None:
        self.inner.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Any]:
        return [*self._variables, *self.inner.variables]

    @property
    def learning_rate(self) -> Any:
        return self.inner.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner.learning_rate = value

    def get_config(self) -> dict[str, Any]:
        return {"optimizer": keras.saving.serialize_keras_object(self.inner), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        inner = keras.saving.deserialize_keras_object(config.pop("optimizer"), custom_objects)
        return cls(inner, **config)


@register
class QAS(_Wrapper):
    """Quantisation-aware scaling around any Keras optimizer.

    The gradient of an integer parameter is divided by the square of its LSB's real size s, per channel:
    `g_W / s_w^2` and `g_b / (s_w s_x)^2`, so that a learning rate means in int8 what it means in float
    (Lin et al., "On-Device Training Under 256KB Memory", NeurIPS 2022, section 3.1, eq. 4).

    >>> optimizer = QAS(keras.optimizers.SGD(0.01, momentum=0.9))
    >>> float(optimizer.learning_rate)
    0.009999999776482582
    """

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        variables = list(trainable_variables)
        self._ensure_built(variables)
        self.inner.apply([_rescaled(g, v) for g, v in zip(grads, variables, strict=True)], variables)

    def _ensure_built(self, variables: Sequence[Any]) -> None:
        if not self.built:
            self.build(variables)


def _rescaled(gradient: Any, variable: Any) -> Any:
    quantum = getattr(variable, "quantum", None)
    if quantum is None or gradient is None:
        return gradient
    return gradient / tf.constant(quantum.scale**2, gradient.dtype)


@register
class IntegerUpdate(_Wrapper):
    """Rounds the wrapped optimizer's steps to whole LSB, as docs/arithmetic.md has it.

    rounding: `"stochastic"` (by a hash of seed, step, tensor and index: the board's own random numbers),
        `"accumulator"` (16 bits of what was left over, biases stochastic), and for comparison two rules that
        the board does not offer: `"nearest"`, and `"truncate"`, which cuts the new value towards zero as a C
        cast does.
    Weights saturate at +-127, biases at +-2^30. `Int8Model.compile` puts it around every optimizer.
    """

    def __init__(self, optimizer: Any, rounding: Rounding = "stochastic", seed: int = 0, **kwargs: Any):
        if rounding not in ROUNDINGS:
            raise TfodlError(f"IntegerUpdate: rounding must be one of {ROUNDINGS}, got {rounding!r}.")
        super().__init__(optimizer, **kwargs)
        self.rounding, self.seed = rounding, seed

    def build(self, variables: Sequence[Any]) -> None:
        super().build(variables)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._leftover: dict[str, tf.Variable] = {}
        if self.rounding == "accumulator":
            self._leftover = {
                v.path: tf.Variable(tf.zeros(v.shape, tf.float64), trainable=False)
                for v in variables
                if _is_weight(v)
            }

    def reset(self, step: int = 0) -> None:
        """Forget what is left over and count steps from `step` on."""
        if self.built:
            self.step.assign(step)
            for left in self._leftover.values():
                left.assign(tf.zeros_like(left))

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        variables = list(trainable_variables)
        if not self.built:
            self.build(variables)
        whole = [v for v in variables if hasattr(v, "quantum")]
        before = [tf.identity(v.value) for v in whole]
        self.inner.apply(grads, variables)
        for variable, old in zip(whole, before, strict=True):
            units = -tf.floor((old - variable.value) * ONE)
            limit = LARGEST_STEP[_is_weight(variable)]
            self.take(variable, old, tf.clip_by_value(units, 1 - limit, limit))
        self.step.assign_add(1)

    def take(self, variable: Any, old: Any, units: Any) -> None:
        """Set `variable`, which was `old`, to what a step of `units` / 65536 LSB makes of it."""
        step = self._rounded(variable, old, units)
        bound = float(variable.quantum.limit)
        new = tf.clip_by_value(old + step, -bound, bound)
        variable.assign(new)
        if variable.path in self._leftover:
            saturated = tf.not_equal(new, old + step)
            left = self._leftover[variable.path]
            left.assign(tf.where(saturated, tf.zeros_like(left), left))

    def _rounded(self, variable: Any, old: Any, units: Any) -> Any:
        """Whole LSB of a step given in 1/65536 LSB, from the value `old`."""
        if self.rounding == "nearest":
            return tf.floor((units + ONE / 2) / ONE)
        if self.rounding == "truncate":
            new = old + units / ONE
            return tf.sign(new) * tf.floor(tf.abs(new)) - old
        if variable.path in self._leftover:
            left = self._leftover[variable.path]
            total = units + left
            whole = tf.floor((total + ONE / 2) / ONE)
            left.assign(total - whole * ONE)
            return whole
        return tf.floor((units + random_bits(self.seed, self.step, variable.quantum)) / ONE)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rounding": self.rounding, "seed": self.seed}


def _is_weight(variable: Any) -> bool:
    return hasattr(variable, "quantum") and variable.quantum.is_weight


def random_bits(seed: int, step: Any, quantum: Any) -> Any:
    """R in [0, 65535] for every element of a parameter, float64: the board's random numbers."""
    first = _mix(_low32(tf.cast(step, tf.uint64) * _u64(0x9E3779B9) + _u64(seed)))
    key = _mix(tf.bitwise.bitwise_xor(first, _u64((0x85EBCA6B * quantum.tensor) % 2**32)))
    bits = _mix(_low32(tf.constant(quantum.index.astype(np.uint64)) + key))
    return tf.cast(tf.bitwise.right_shift(bits, _u64(16)), tf.float64)


def _u64(value: int) -> Any:
    return tf.constant(value, tf.uint64)


def _low32(x: Any) -> Any:
    return tf.bitwise.bitwise_and(x, _u64(0xFFFFFFFF))


def _mix(x: Any) -> Any:
    """The 32-bit hash of docs/arithmetic.md, "Random numbers", in the low half of uint64."""
    for factor, shift in ((0x7FEB352D, 16), (0x846CA68B, 15)):
        x = _low32(tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u64(shift))) * _u64(factor))
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, _u64(16)))
