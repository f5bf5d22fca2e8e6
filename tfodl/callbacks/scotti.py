"""`ScottiSelection`: NEq with a learned threshold, and a learned learning rate if wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tflm_export.errors import TfodlError
from tflm_export.plan import UpdatePlan
from tfodl.callbacks.equilibrium import EquilibriumSelection
from tfodl.callbacks.hypergrad import HyperSGD


class ScottiSelection(EquilibriumSelection):
    """SCoTTi ("Save Computation at Training Time"): the threshold eps is trained on the training loss, step
    by step.

    Compile the model with `tfodl.hypergrad.HyperSGD`, which holds alpha, mu and eps and says which are
    learned:

        HyperSGD(learn=("eps",))                               SCoTTi
        HyperSGD(learn=("eps", "learning_rate", "momentum"))   with the ultimate optimizer
        HyperSGD(learn=("learning_rate", "momentum"))          the ablation "ultimate optimizer + NEq": eps
        stays

    A neuron trains in a step while `|v| >= eps`; until velocities exist nothing is frozen. eps's
    hypergradient needs the gradients of frozen neurons too, so the host saves no work while eps is learned;
    what the plan would save is logged. Adds eps, hyper_learning_rate and hyper_momentum to `logs`. Options:
    `VelocitySelection`.
    """

    method = "scotti"

    def __init__(self, validation_data: Any = None, **options: Any) -> None:
        super().__init__(0.0, validation_data, **options)
        if self.axis != "out":
            raise TfodlError(f"ScottiSelection: axis must be 'out', got {self.axis!r}.")

    def on_train_begin(self, logs: Any = None) -> None:
        super().on_train_begin(logs)
        if not isinstance(self.model.optimizer, HyperSGD):
            raise TfodlError(
                "ScottiSelection needs the optimizer tfodl.callbacks.hypergrad.HyperSGD, got "
                f"{type(self.model.optimizer).__name__}; compile the model with it. An Int8Model rounds its "
                "steps, so that no eps can be learned: use EquilibriumSelection(eps)."
            )
        endless = {group.layer: np.full(group.channels_out, np.inf) for group in self.measured}
        self.model.optimizer.set_speeds(self._by_variable(endless))

    def threshold(self) -> float:
        found: float = self.model.optimizer.hyper("eps")
        return found

    def measure(self) -> None:
        super().measure()
        self._set_speeds()

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        super().load_state(state)
        if len(self.plans) > 1:  # in the first epoch there are no velocities yet
            self._set_speeds()

    def _set_speeds(self) -> None:
        speeds = {name: np.abs(velocity) for name, velocity in self.velocities.items()}
        self.model.optimizer.set_speeds(self._by_variable(speeds))

    def applied(self, plan: UpdatePlan) -> UpdatePlan:
        return self.everything() if "eps" in self.model.optimizer.learn else plan

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        names = {"eps": "eps", "learning_rate": "hyper_learning_rate", "momentum": "hyper_momentum"}
        self.extra_logs |= {key: self.model.optimizer.hyper(name) for name, key in names.items()}
        super().on_epoch_end(epoch, logs)

    def _by_variable(self, speeds: dict[str, np.ndarray]) -> Iterator[tuple[keras.Variable, Any]]:
        for site in self.model.sites:
            if site.name in speeds and site.kernel is not None:
                yield site.kernel, tf.reshape(speeds[site.name], site.weight.shape[-site.out_axes :])
            if site.name in speeds and site.bias is not None:
                yield site.bias, speeds[site.name]
