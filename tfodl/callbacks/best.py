"""`BestEpoch`: the weights of the best epoch, and the plan that trained them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.plan import UpdatePlan
from tfodl.callbacks.base import Selection


class BestEpoch(keras.callbacks.Callback):
    """Gives the model the weights of its best epoch back when `fit` ends; `plan` is that epoch's plan.

    rule: the selection callback of the same `fit`, before this one in its list. monitor: a key of `logs`;
    higher is better, lower where it holds "loss". Equal values: the lower val_loss, then the earlier epoch.
    start: logs of an evaluation before training; where no epoch is better, the weights of the start come
    back (`improved` is False) and `plan` is that of the best epoch none the less.

    Raises `TfodlError` when `logs` lack the key: give `fit` validation data.
    """

    def __init__(
        self, rule: Selection, monitor: str = "val_accuracy", start: dict[str, float] | None = None
    ) -> None:
        super().__init__()
        self.rule, self.monitor, self.start = rule, monitor, start
        self.plan: UpdatePlan | None = None
        self.improved = False

    def on_train_begin(self, logs: Any = None) -> None:
        self.plan, self.epoch, self._best = None, -1, (-np.inf, -np.inf)
        self._least = self._value(self.start) if self.start else self._best
        self._weights = self._copy()
        self.improved = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = self._value(logs or {})
        if value <= self._best and self.plan is not None:
            return
        self._best, self.plan, self.epoch = value, self.rule.plans[-1], epoch
        if value > self._least:
            self._weights, self.improved = self._copy(), True

    def on_train_end(self, logs: Any = None) -> None:
        for variable, value in zip(self.model.weights, self._weights, strict=True):
            variable.assign(value)

    def _copy(self) -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(variable) for variable in self.model.weights]

    def _value(self, logs: dict[str, float]) -> tuple[float, float]:
        """What is compared, higher is better; NaN is the worst."""
        if self.monitor not in logs:
            raise TfodlError(
                f"BestEpoch: there is no {self.monitor!r} in the logs, only {sorted(logs)}; give fit "
                "validation_data, or another monitor."
            )
        sign = -1 if "loss" in self.monitor else 1
        values = sign * logs[self.monitor], -logs.get("val_loss", 0.0)
        first, second = (float(v) if np.isfinite(v) else -np.inf for v in values)
        return first, second
