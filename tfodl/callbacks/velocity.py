"""`VelocitySelection`: the neurons that still move fastest."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tflm_export.errors import TfodlError
from tflm_export.plan import Budget
from tfodl.callbacks.base import Selection
from tfodl.callbacks.batches import measured_on
from tfodl.callbacks.measure import Similarity
from tfodl.selection.choose import neuron_cost
from tfodl.selection.velocity import Array, Mode, check_mode, velocity_update, velocity_update_authors

VARIANTS = ("paper", "authors")


class VelocitySelection(Selection):
    """Highest `|v_i| / C_i` first (Quélennec et al., WACV-W 2024, eq. 7), C_i the neuron's parameters.

    budget: see `Selection`, like every other option that is not named here.
    validation_data: held-out inputs `x [N, ...]`, `(x, y)` (labels are not read), or batches of either. Few
        will do (the authors took 10 pictures); no augmentation.
    mu: brake of eq. 3; variant: `"paper"`, or `"authors"` for what their code computes.
    similarity: `"pooled"` (the paper's text) or `"per_sample"` (the authors' code).
    score_per_parameter: False ranks by plain `|v_i|`.
    batch_size: of the measurement. Adds mean_abs_velocity to `logs`.

    The first epoch has no velocities yet: it trains `initial`, or random neurons.
    """

    method = "velocity"

    def __init__(
        self,
        budget: Budget | int | float | None = None,
        validation_data: Any = None,
        *,
        mu: float = 0.5,
        variant: Literal["paper", "authors"] = "paper",
        similarity: Mode = "pooled",
        score_per_parameter: bool = True,
        batch_size: int = 32,
        **options: Any,
    ) -> None:
        if "x" in options:
            validation_data = _old_name(options.pop("x"), validation_data)
        super().__init__(budget, **options)
        check_mode(similarity)
        velocity_update([0.0], [0.0], mu)
        if variant not in VARIANTS:
            raise TfodlError(f"VelocitySelection: variant must be one of {VARIANTS}, got {variant!r}.")
        self.inputs = measured_on(self, validation_data)
        self.mu, self.variant, self.mode = mu, variant, similarity
        self.score_per_parameter, self.batch_size = score_per_parameter, batch_size
        self.velocities: dict[str, Array] = {}

    @property
    def measured(self) -> tuple[Any, ...]:
        """The groups whose velocities are measured, along the axis that is chosen from."""
        return self.pool

    def begin(self) -> None:
        self._similarity = Similarity(self.model, self.measured, self.inputs, self.mode, self.batch_size)
        self._phi = {group.layer: np.ones(group.channels) for group in self.measured}
        self._memory = {group.layer: np.zeros(group.channels) for group in self.measured}
        self.velocities, self._fresh = dict(self._memory), True
        self._log_speed()  # from the first epoch on: CSVLogger keeps the columns that it begins with

    def scores(self, epoch: int) -> Mapping[str, Array] | None:
        if self._fresh:
            self._fresh = False
            return None
        self.measure()
        return {group.layer: self._score(group) for group in self.pool}

    def measure(self) -> None:
        """Bring `velocities` up to date with the epoch that has ended."""
        for layer, phi in self._similarity.measure().items():
            delta = phi - self._phi[layer]
            self._phi[layer] = phi
            if self.variant == "authors":
                self.velocities[layer], self._memory[layer] = velocity_update_authors(
                    delta, self._memory[layer], self.mu
                )
            else:
                self.velocities[layer] = self._memory[layer] = velocity_update(
                    delta, self._memory[layer], self.mu
                )
        self._log_speed()

    def _log_speed(self) -> None:
        every = np.concatenate(list(self.velocities.values()))
        self.extra_logs["mean_abs_velocity"] = float(np.abs(every).mean())

    def _score(self, group: Any) -> Array:
        speed = np.abs(self.velocities[group.layer])
        return speed / neuron_cost(group, self.options) if self.score_per_parameter else speed

    def save_state(self) -> dict[str, np.ndarray]:
        arrays = {f"phi.{name}": value for name, value in self._phi.items()}
        arrays |= {f"memory.{name}": value for name, value in self._memory.items()}
        arrays |= {f"velocity.{name}": value for name, value in self.velocities.items()}
        arrays |= {f"before.{i:04d}": value.numpy() for i, value in enumerate(self._similarity.before)}
        return arrays

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        def named(prefix: str) -> dict[str, np.ndarray]:
            return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}

        self._phi, self._memory, self.velocities = named("phi."), named("memory."), named("velocity.")
        before = named("before.")
        self._similarity.before = [tf.convert_to_tensor(before[key]) for key in sorted(before)]
        self._fresh = False
        self._log_speed()


def _old_name(x: Any, validation_data: Any) -> Any:
    """`x`, what `validation_data` was called first."""
    if validation_data is not None:
        raise TfodlError("VelocitySelection: x= is the old name of validation_data=; give one of them.")
    warnings.warn("x= is called validation_data= now.", DeprecationWarning, stacklevel=3)
    return x
