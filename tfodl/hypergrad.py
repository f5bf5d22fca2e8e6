"""Learned learning rate, momentum and threshold: hypergradients in closed form.

SGD with momentum under a threshold (SCoTTi; after Chandra et al., "Gradient Descent: The Ultimate Optimizer",
NeurIPS 2022), `g` the gradient now and everything else from the step before:

    buf = mu · buf_prev + g_prev              w = w_prev − alpha · buf · M,   M = STE(|v| − eps) = 1[|v| ≥
    eps] dL/dalpha = −<g, buf · M>     dL/dmu = −alpha <g, buf_prev · M>     dL/deps = +alpha <g, buf>

The last takes the step function's derivative for one (straight-through), over the weights that have a
velocity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfodl.errors import TfodlError

LEARNABLE = ("learning_rate", "momentum", "eps")
BOUNDS = {"learning_rate": (0.0, float("inf")), "momentum": (0.0, 0.999), "eps": (0.0, float("inf"))}


@keras.saving.register_keras_serializable("tfodl")
class HyperSGD(keras.optimizers.Optimizer):
    """SGD with momentum that learns its own hyper-parameters, and trains only neurons with `|v| >= eps`.

    learning_rate (alpha), momentum (mu), eps: start values. learn: which of them are learned.
    hyper_learning_rate, hyper_momentum: of the step that they take before every weight step.

    Without `set_speeds` no weight is under the threshold: then it is the ultimate optimizer.

    Raises `TfodlError` on an unknown name in `learn`, or when it runs on several replicas.

    >>> optimizer = HyperSGD(0.1, momentum=0.9, learn=("learning_rate",))
    >>> optimizer.hyper("momentum")
    0.9
    """

    def __init__(
        self,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        eps: float = 0.05,
        learn: Sequence[str] = ("eps",),
        hyper_learning_rate: float = 1e-4,
        hyper_momentum: float = 0.9,
        name: str = "hyper_sgd",
    ) -> None:
        unknown = sorted(set(learn) - set(LEARNABLE))
        if unknown:
            raise TfodlError(f"HyperSGD: learn names {unknown}; allowed: {LEARNABLE}.")
        super().__init__(learning_rate=learning_rate, name=name)
        self.start = {"learning_rate": learning_rate, "momentum": momentum, "eps": eps}
        self.learn = tuple(learn)
        self.hyper_learning_rate, self.hyper_momentum = hyper_learning_rate, hyper_momentum
        self._speeds: dict[int, tf.Variable] = {}
        self._hyper: dict[str, Any] = {}

    def build(self, variables: Sequence[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        for name, value in self.start.items():
            for key, initial in ((name, value), (f"{name}_buffer", 0.0)):
                constant = keras.initializers.Constant(initial)
                self._hyper[key] = self.add_variable(
                    (), initializer=constant, dtype="float32", name=f"hyper_{key}"
                )
        self._slots = [
            [self.add_variable_from_reference(v, name) for v in variables]
            for name in ("buffer", "applied", "applied_before")
        ]

    def hyper(self, name: str) -> float:
        """The present value of `"learning_rate"`, `"momentum"` or `"eps"`."""
        return float(self._hyper[name].numpy()) if self._hyper else float(self.start[name])

    def set_speeds(self, speeds: Iterable[tuple[Any, Any]]) -> None:
        """Put variables under the threshold: (variable, `|v|` of every entry, broadcast to the variable).

        Variables must be put there before the first step; infinity trains whatever eps is.
        """
        for variable, speed in speeds:
            if id(variable) not in self._speeds:
                self._speeds[id(variable)] = tf.Variable(tf.zeros(variable.shape), trainable=False)
            value = tf.cast(tf.broadcast_to(speed, variable.shape), tf.float32)
            self._speeds[id(variable)].assign(value)

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise TfodlError("HyperSGD: learned hyper-parameters run on one replica; leave the strategy out.")
        variables = list(self._trainable_variables if trainable_variables is None else trainable_variables)
        if not self.built:
            self.build(variables)
        rows = [(g, v, *self._row(v)) for g, v in zip(grads, variables, strict=True) if g is not None]
        self._hyper_step(self.hypergradients(rows))
        for gradient, variable, *slots in rows:
            self._weight_step(gradient, variable, slots)
        self._iterations.assign_add(1)

    def _row(self, variable: Any) -> list[Any]:
        index = self._get_variable_index(variable)
        return [slots[index] for slots in self._slots]

    def hypergradients(self, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
        """dL/d(hyper-parameter) from rows (gradient, variable, buffer, applied, applied_before)."""
        alpha = tf.convert_to_tensor(self._hyper["learning_rate"])
        under = [row for row in rows if id(row[1]) in self._speeds]
        return {
            "learning_rate": -_dots((g, applied) for g, _, _, applied, _ in rows),
            "momentum": -alpha * _dots((g, before) for g, _, _, _, before in rows),
            "eps": alpha * _dots((g, buffer) for g, _, buffer, _, _ in under),
        }

    def _hyper_step(self, gradients: Mapping[str, Any]) -> None:
        for name in self.learn:
            value, buffer = self._hyper[name], self._hyper[f"{name}_buffer"]
            buffer.assign(self.hyper_momentum * buffer + gradients[name])
            value.assign(tf.clip_by_value(value - self.hyper_learning_rate * buffer, *BOUNDS[name]))

    def _weight_step(self, gradient: Any, variable: Any, slots: Sequence[Any]) -> None:
        buffer, applied, applied_before = slots
        mask = self._mask(variable)
        applied_before.assign(_masked(buffer, mask))
        buffer.assign(self._hyper["momentum"] * buffer + gradient)
        applied.assign(_masked(buffer, mask))
        step = self._hyper["learning_rate"] * applied
        variable.assign(variable - step if mask is None else tf.where(mask, variable - step, variable))

    def _mask(self, variable: Any) -> Any:
        speed = self._speeds.get(id(variable))
        return None if speed is None else speed >= tf.convert_to_tensor(self._hyper["eps"])

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **self.start,
            "learn": self.learn,
            "hyper_learning_rate": self.hyper_learning_rate,
            "hyper_momentum": self.hyper_momentum,
        }


def _masked(tensor: Any, mask: Any) -> Any:
    value = tf.convert_to_tensor(tensor)
    return value if mask is None else tf.where(mask, value, tf.zeros_like(value))


def _dots(pairs: Any) -> Any:
    sums = [tf.reduce_sum(tf.cast(a, tf.float32) * tf.convert_to_tensor(b)) for a, b in pairs]
    return tf.add_n(sums) if sums else tf.constant(0.0)
