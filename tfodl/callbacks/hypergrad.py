"""Learned learning rate, momentum and threshold: hypergradients in closed form.

SGD with momentum under a threshold (SCoTTi; after Chandra et al., "Gradient Descent: The Ultimate Optimizer",
NeurIPS 2022), `g` the gradient now and everything else from the step before:

    buf = mu · buf_prev + g_prev
    w = w_prev − alpha · buf · M,  M = STE(|v| − eps) = 1[|v| ≥ eps]
    dL/dalpha = −<g, buf · M>
    dL/dmu = −alpha <g, buf_prev · M>
    dL/deps = +alpha <g, buf>

The last takes the step function's derivative for one (straight-through), over the weights that have a
velocity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tflm_export.errors import TfodlError

LEARNABLE = ("learning_rate", "momentum", "eps")
Tensors = Mapping[str, Any]
BOUNDS = {"learning_rate": (0.0, float("inf")), "momentum": (0.0, 0.999), "eps": (0.0, float("inf"))}


class Row(NamedTuple):
    """What a step needs of one weight: `tf.Variable`s of its shape, `speed` None where nothing freezes it.

    buffer: momentum; applied: what was taken off in the last step, over alpha; before: in the one before.
    """

    variable: Any
    buffer: Any
    applied: Any
    before: Any
    speed: Any = None


@keras.saving.register_keras_serializable("tfodl")
class HyperSGD(keras.optimizers.Optimizer):
    """SGD with momentum that learns its own hyper-parameters, and trains only neurons with `|v| >= eps`.

    learning_rate (alpha), momentum (mu), eps: start values. learn: which of them are learned.
    hyper_learning_rate, hyper_momentum: of the step that they take before every weight step.

    Without `set_speeds` no weight is under the threshold: then it is the ultimate optimizer. Under a
    `tf.distribute` strategy the hypergradients are those of the whole batch, as on one device.

    Raises `TfodlError` on an unknown name in `learn`, or a schedule for what is learned step by step.

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
        if isinstance(learning_rate, bool) or not isinstance(learning_rate, (int, float)):
            raise TfodlError(
                f"HyperSGD: learning_rate must be a number, it is learned; got {learning_rate!r}."
            )
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
        self._hyper["learning_rate"] = self._learning_rate
        for name in ("momentum", "eps", *(f"{name}_buffer" for name in LEARNABLE)):
            initial = keras.initializers.Constant(self.start.get(name, 0.0))
            self._hyper[name] = self.add_variable((), initial, "float32", name=f"hyper_{name}")
        self._slots = [
            [self.add_variable_from_reference(v, name) for v in variables]
            for name in ("buffer", "applied", "applied_before")
        ]

    def hyper(self, name: str) -> float:
        """The present value of `"learning_rate"`, `"momentum"` or `"eps"`."""
        return float(keras.ops.convert_to_numpy(self._hyper.get(name, self.start[name])))

    def set_speeds(self, speeds: Iterable[tuple[Any, Any]]) -> None:
        """Put variables under the threshold: (variable, `|v|` of every entry, broadcast to the variable).

        Variables must be put there before the first step; infinity trains whatever eps is.
        """
        for variable, speed in speeds:
            if id(variable) not in self._speeds:
                with self._distribution_strategy.scope():
                    self._speeds[id(variable)] = tf.Variable(tf.zeros(variable.shape), trainable=False)
            value = tf.cast(tf.broadcast_to(speed, variable.shape), tf.float32)
            self._speeds[id(variable)].assign(value)

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        variables = list(self._trainable_variables if trainable_variables is None else trainable_variables)
        if not self.built:
            self.build(variables)
        with_gradient = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        rows = [self._row(variable) for _, variable in with_gradient]
        hyper = {name: variable.value for name, variable in self._hyper.items()}
        _on_every_device(self._step, [gradient for gradient, _ in with_gradient], rows, hyper)
        self._iterations.assign_add(1)

    def _row(self, variable: Any) -> Row:
        index = self._get_variable_index(variable)
        buffer, applied, before = (slots[index].value for slots in self._slots)
        return Row(variable.value, buffer, applied, before, self._speeds.get(id(variable)))

    def _step(self, gradients: Sequence[Any], rows: Sequence[Row], hyper: Tensors) -> None:
        self._hyper_step(self.hypergradients(gradients, rows, hyper), hyper)
        for gradient, row in zip(gradients, rows, strict=True):
            _weight_step(gradient, row, hyper)

    def hypergradients(self, gradients: Sequence[Any], rows: Sequence[Row], hyper: Tensors) -> dict[str, Any]:
        """dL/d(hyper-parameter), from the gradients now and the steps taken before."""
        alpha, pairs = tf.convert_to_tensor(hyper["learning_rate"]), list(zip(gradients, rows, strict=True))
        return {
            "learning_rate": -_dots((g, row.applied) for g, row in pairs),
            "momentum": -alpha * _dots((g, row.before) for g, row in pairs),
            "eps": alpha * _dots((g, row.buffer) for g, row in pairs if row.speed is not None),
        }

    def _hyper_step(self, gradients: Tensors, hyper: Tensors) -> None:
        for name in self.learn:
            value, buffer = hyper[name], hyper[f"{name}_buffer"]
            buffer.assign(self.hyper_momentum * buffer + gradients[name])
            value.assign(tf.clip_by_value(value - self.hyper_learning_rate * buffer, *BOUNDS[name]))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **self.start,
            "learn": self.learn,
            "hyper_learning_rate": self.hyper_learning_rate,
            "hyper_momentum": self.hyper_momentum,
        }


def _weight_step(gradient: Any, row: Row, hyper: Tensors) -> None:
    mask = None if row.speed is None else row.speed >= tf.convert_to_tensor(hyper["eps"])
    row.before.assign(_masked(row.buffer, mask))
    row.buffer.assign(hyper["momentum"] * row.buffer + gradient)
    row.applied.assign(_masked(row.buffer, mask))
    moved = row.variable - hyper["learning_rate"] * row.applied
    row.variable.assign(moved if mask is None else tf.where(mask, moved, row.variable))


def _on_every_device(
    step: Callable[..., None], gradients: Sequence[Any], rows: Sequence[Row], hyper: Tensors
) -> None:
    """`step` with the gradients summed over replicas and each device's own copy of the variables."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1 or not gradients:
        return step(gradients, rows, hyper)
    gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)

    def update(strategy: Any, gradients: Sequence[Any]) -> None:
        def local(_: Any, *arguments: Any) -> None:
            step(*arguments)

        strategy.extended.update(rows[0].variable, local, args=(gradients, rows, hyper), group=False)

    replica.merge_call(update, args=(gradients,))


def _masked(tensor: Any, mask: Any) -> Any:
    value = tf.convert_to_tensor(tensor)
    return value if mask is None else tf.where(mask, value, tf.zeros_like(value))


def _dots(pairs: Iterable[tuple[Any, Any]]) -> Any:
    sums = [tf.reduce_sum(tf.cast(a, tf.float32) * tf.convert_to_tensor(b)) for a, b in pairs]
    return tf.add_n(sums) if sums else tf.constant(0.0)
