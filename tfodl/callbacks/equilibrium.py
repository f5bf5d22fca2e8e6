"""`EquilibriumSelection`: neurons train until they are at rest (NEq)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.callbacks.velocity import VelocitySelection
from tfodl.neurons.cost import full_plan
from tfodl.neurons.group import NeuronGroup
from tfodl.selection.choose import entries


class EquilibriumSelection(VelocitySelection):
    """A neuron trains while `|v| >= eps` (Bragagnolo et al., "To update or not to update?", NeurIPS 2022).

    eps: the paper's 1e-3 (ResNet-32 on CIFAR-10, ResNet-18 on ImageNet) or 2e-2 (DeepLabv3).
    There is no budget; the first epoch trains everything. With `batchnorm=True` the channels of batch norms
    are neurons of their own, on batch statistics, as in the paper. Other options: `VelocitySelection`.
    """

    method = "equilibrium"

    def __init__(self, eps: float = 1e-3, validation_data: Any = None, **options: Any) -> None:
        if not eps >= 0:
            raise TfodlError(f"{type(self).__name__}: eps must be a number >= 0, got {eps!r}.")
        if options.pop("budget", None) is not None:
            raise TfodlError(f"{type(self).__name__} has no budget: eps decides; drop budget.")
        super().__init__(None, validation_data, **options)
        self.eps = eps

    @property
    def measured(self) -> tuple[NeuronGroup, ...]:
        norms = self.options.batchnorm == "all"
        return tuple(
            group
            for group in self.groups
            if group.selectable or (norms and group.kind == "batchnorm" and not group.head)
        )

    def threshold(self) -> float:
        """The eps of the coming epoch."""
        return self.eps

    def plan(self, epoch: int) -> UpdatePlan:
        if self._fresh:
            self._fresh = False
            return self.everything() if self.initial is None else self.first_plan(epoch)
        self.measure()
        return self.resting_plan(epoch)

    def resting_plan(self, epoch: int) -> UpdatePlan:
        """Everything but the neurons at rest."""
        moving = {name: np.abs(v) >= self.threshold() for name, v in self.velocities.items()}
        pool = [group for group in self.measured if group.kind != "batchnorm"]
        layers = entries(pool, [moving[group.layer] for group in pool], self.options)
        norms = tuple(
            LayerUpdate(group.layer, "out", tuple(int(i) for i in np.flatnonzero(moving[group.layer])), "all")
            for group in self.measured
            if group.kind == "batchnorm"
        )
        provenance = {"method": self.method, "epoch": epoch, "eps": self.threshold()}
        return UpdatePlan((*layers, *norms), head=self.options.head, seed=self.seed, provenance=provenance)

    def everything(self) -> UpdatePlan:
        """Nothing at rest; batch norms by the switch."""
        frozen = self.options.batchnorm == "none"
        entries = [
            entry
            for entry, group in zip(full_plan(self.model.groups).layers, self._trainable, strict=True)
            if not (frozen and group.kind == "batchnorm")
        ]
        return UpdatePlan(tuple(entries), head=self.options.head)

    @property
    def _trainable(self) -> list[NeuronGroup]:
        return [group for group in self.model.groups if not group.head]
