"""What a compiled Keras model says about the device's training: rate, momentum, batch, loss."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import keras

from tflm_export.plan import Optimizer, UpdatePlan, is_learning_rate
from tfodl.callbacks.hypergrad import HyperSGD

LOSSES = {
    "sparse_categorical_crossentropy": "crossentropy",
    "categorical_crossentropy": "crossentropy",
    "mean_squared_error": "mse",
    "mse": "mse",
    "binary_crossentropy": "bce",
    "reconstruction": "reconstruction",
}


def as_compiled(plan: UpdatePlan, model: Any, batch: int = 1, device: Optimizer | None = None) -> UpdatePlan:
    """`plan` with the loss and optimizer that `model` was compiled with, so that the board goes on as Keras
    did.

    batch: samples a step. device: an optimizer of the board's own instead. An optimizer that is not SGD, or a
    loss other than cross-entropy, binary or not, and mean squared error, has no form on the device: then the
    plan's own stays, with a warning.
    """
    optimizer = device or compiled_optimizer(model, batch, plan.optimizer)
    return dataclasses.replace(plan, optimizer=optimizer, loss=_loss(model) or plan.loss)


def compiled_optimizer(model: Any, batch: int, otherwise: Optimizer) -> Optimizer:
    """SGD as the model has it now, `batch` samples a step; `otherwise` for another rule, or none compiled."""
    if getattr(model, "optimizer", None) is None:
        return otherwise
    rule = _innermost(model.optimizer)
    found = _rate_and_momentum(rule)
    if found is None:
        warnings.warn(
            f"the device has SGD only: the plan starts at learning rate {otherwise.learning_rate}, whatever "
            f"{type(rule).__name__} was compiled with; say device=Optimizer(...)",
            stacklevel=3,
        )
        return otherwise
    rate, momentum = map(_shortest, found)
    if not is_learning_rate(rate):
        return otherwise
    return dataclasses.replace(otherwise, learning_rate=rate, momentum=momentum, batch=batch)


def _rate_and_momentum(rule: Any) -> tuple[float, float] | None:
    """Of SGD; None of any other rule."""
    if isinstance(rule, HyperSGD):
        return rule.hyper("learning_rate"), rule.hyper("momentum")
    if isinstance(rule, keras.optimizers.SGD):
        return float(keras.ops.convert_to_numpy(rule.learning_rate)), float(rule.momentum or 0.0)
    return None


def _shortest(value: float) -> float:
    """The shortest number that is the same in float32: 0.01 for 0.009999999776."""
    return float(f"{value:.7g}")


def _innermost(optimizer: Any) -> Any:
    """The rule inside wrappers (QAS, integer rounding, loss scaling)."""
    while inner := getattr(optimizer, "inner", None) or getattr(optimizer, "inner_optimizer", None):
        optimizer = inner
    return optimizer


def _loss(model: Any) -> Any:
    """The plan's name of the compiled loss; None where there is none, or none on the device (a warning)."""
    loss = getattr(model, "loss", None)
    if loss is None:
        return None
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    found = LOSSES.get(str(name)) or LOSSES.get(_snake(type(loss).__name__))
    if found is None:
        warnings.warn(
            f"the device has cross-entropy (binary, too), mean squared error and reconstruction only, not "
            f"{name or loss!r}; the plan's loss stays cross-entropy",
            stacklevel=4,
        )
    return found


def _snake(name: str) -> str:
    """`MeanSquaredError` -> `mean_squared_error`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
