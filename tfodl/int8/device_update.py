"""`DeviceUpdate`: the board's update of integer parameters, to the bit, as a Keras optimizer.

`IntegerUpdate` rounds whatever step a Keras optimizer makes. This one makes the board's own: its float32
rates, integer momentum, sums over a batch (docs/arithmetic.md, "Update"). Written from the specification, as
`device_gradients.py` is, whose gradients it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tflm_export.ir import Graph, Op
from tflm_export.plan import Optimizer
from tfodl.int8.linear import Int8Linear
from tfodl.int8.qas import LARGEST_STEP, ONE, IntegerUpdate
from tfodl.int8.wiring import quant_of

Q15 = 2.0**15
LEAST, MOST = -(2.0**31), 2.0**31 - 1
SPLIT = 2.0**12 + 1  # Veltkamp's: leaves 41 of a float64's 53 bits, and a sum of gradients has 38


@dataclass(frozen=True)
class Rate:
    """unit: real gradient of a sum of 1, float64; steps: c float32. Both broadcast to the variable."""

    unit: np.ndarray
    steps: np.ndarray


def device_rates(graph: Graph, weighted: Iterable[tuple[Op, Int8Linear]], qas: bool) -> dict[str, Rate]:
    """The rates of every kernel and bias of an `Int8Model`'s layers, by the variable's path."""
    found: dict[str, Rate] = {}
    for op, layer in weighted:
        unit = np.asarray(layer.weight_scale, np.float64) * layer.input_scale
        weight, bias = _steps(graph, op, len(unit), qas)
        found[layer.kernel.path] = Rate(layer.per_channel(unit), layer.per_channel(weight))
        if layer.bias is not None:
            found[layer.bias.path] = Rate(unit, bias)
    return found


def _steps(graph: Graph, op: Op, channels: int, qas: bool) -> tuple[np.ndarray, np.ndarray]:
    """`c_W` and `c_b` float32 [C_out], 0 where the multiplier is 0."""
    s_x, s_y = (quant_of(graph, name).scale[0] for name in (op.inputs[0], op.outputs[0]))
    multiplier, shift = (np.broadcast_to(op.attrs[name], channels) for name in ("multiplier", "shift"))
    ratio = multiplier.astype(np.float32) * np.exp2(shift.astype(np.float64) - 31).astype(np.float32)
    if not qas:
        return ratio * np.float32(s_y), ratio * np.float32(s_y)
    safe = np.where(ratio == 0, np.float32(np.inf), ratio)
    return np.float32(s_x * s_x / s_y) / safe, np.float32(1 / s_y) / safe


class DeviceUpdate(IntegerUpdate):
    """The update rule `optimizer` of a plan. rates: of `device_rates`; seed: the plan's."""

    def __init__(self, rates: Mapping[str, Rate], optimizer: Optimizer, seed: int):
        rate = np.float32(optimizer.learning_rate) / np.float32(optimizer.batch)
        super().__init__(keras.optimizers.SGD(float(rate)), optimizer.rounding, seed)
        self.rates, self.batch = rates, optimizer.batch
        self.momentum = min(32767, int(np.floor(optimizer.momentum * Q15 + 0.5)))

    def build(self, variables: Sequence[Any]) -> None:
        super().build(variables)
        self._sums = _zeros(variables) if self.batch > 1 else {}
        self._momenta = _zeros(variables) if self.momentum else {}

    def reset(self, step: int = 0) -> None:
        super().reset(step)
        if self.built:
            self.forget([*self._sums, *self._momenta])

    def forget(self, paths: Iterable[str]) -> None:
        """What is remembered of these variables is zero, as before the first step."""
        for path in paths if self.built else ():
            for kept in (self._leftover, self._sums, self._momenta):
                if path in kept:
                    kept[path].assign(tf.zeros_like(kept[path]))

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        variables = list(trainable_variables)
        if not self.built:
            self.build(variables)
        rows = [(v, self._summed(v, self._units(v, g))) for v, g in zip(variables, grads, strict=True)]

        def take() -> Any:
            for variable, units in rows:
                self.take(variable, tf.identity(variable.value), self._with_momentum(variable, units))
            return tf.constant(True)

        if self.batch == 1:
            take()
        else:
            tf.cond(self._ends_batch(), take, lambda: tf.constant(False))
        self.step.assign_add(1)

    def _units(self, variable: Any, gradient: Any) -> Any:
        """U of one sample: `-floor(A 2^e r 2^16)`, saturated."""
        rate, limit = self.rates[variable.path], LARGEST_STEP[variable.quantum.is_weight]
        divided = gradient / tf.constant(rate.unit)
        split = divided * SPLIT
        sums = split - (split - divided)  # A 2^e without the division's rounding
        r = tf.cast(tf.cast(self.learning_rate, tf.float32) * tf.constant(rate.steps), tf.float64)
        return tf.clip_by_value(-tf.floor(sums * r * ONE), 1 - limit, limit)

    def _ends_batch(self) -> Any:
        return tf.equal((self.step + 1) % self.batch, 0)

    def _summed(self, variable: Any, units: Any) -> Any:
        """The batch's units so far; the sum starts anew where it ends."""
        if self.batch == 1:
            return units
        kept = self._sums[variable.path]
        total = tf.clip_by_value(kept + units, LEAST, MOST)
        kept.assign(tf.where(self._ends_batch(), tf.zeros_like(total), total))
        return total

    def _with_momentum(self, variable: Any, units: Any) -> Any:
        if not self.momentum:
            return units
        kept = self._momenta[variable.path]
        kept.assign(tf.clip_by_value(tf.floor((self.momentum * kept + Q15 / 2) / Q15) + units, LEAST, MOST))
        return tf.identity(kept)


def _zeros(variables: Sequence[Any]) -> dict[str, tf.Variable]:
    return {v.path: tf.Variable(tf.zeros(v.shape, tf.float64), trainable=False) for v in variables}
