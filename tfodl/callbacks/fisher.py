"""`Fisher`: the channels that carry most information a parameter and MAC."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.plan import Budget, UpdatePlan
from tfodl.callbacks.base import Selection
from tfodl.callbacks.batches import measured_on
from tfodl.callbacks.gradients import fisher
from tfodl.selection.choose import neuron_cost
from tfodl.selection.velocity import Array


class Fisher(Selection):
    """Highest `Fisher / (parameters · MACs)` first, by one backward pass before training (after TinyTrain,
    2024).

    validation_data: a few labelled samples, `(x, y)` or batches of them. every: measure anew each so many
    epochs; 0 only once. per_cost: False ranks by plain Fisher information. Other options: `Selection`.
    """

    method = "fisher"

    def __init__(
        self,
        budget: Budget | int | float | None = None,
        validation_data: Any = None,
        *,
        every: int = 0,
        per_cost: bool = True,
        batch_size: int = 32,
        **options: Any,
    ) -> None:
        super().__init__(budget, **options)
        self.data = measured_on(self, validation_data)
        self.every, self.per_cost, self.batch_size = every, per_cost, batch_size

    def plan(self, epoch: int) -> UpdatePlan:
        again = not self.plans or (self.every > 0 and epoch % self.every == 0)
        return super().plan(epoch) if again else self.plans[-1]

    def scores(self, epoch: int) -> dict[str, Array]:
        information = fisher(self.model, self.pool, self.data, self.batch_size)
        if not self.per_cost:
            return information
        return {g.layer: information[g.layer] / self._cost_of(g) for g in self.pool}

    def _cost_of(self, group: Any) -> float:
        found: float = np.float64(neuron_cost(group, self.options)) * max(1, group.macs // group.channels)
        return found
