"""`Masks`: the channels that train, as one variable that a traced step reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tflm_export.plan import UpdatePlan
from tfodl.neurons.group import NeuronGroup, whole
from tfodl.neurons.sites import Site
from tfodl.selective.step import Step


class Masks:
    """One bool vector: for each group its output channels, input channels and biases.

    It is no weight of the model: the plan is what is saved.
    """

    def __init__(self, groups: Sequence[NeuronGroup]) -> None:
        self._groups = tuple(groups)
        self._at: dict[tuple[str, str], slice] = {}
        for group in self._groups:
            self._add(group.layer, "out", group.channels_out)
            self._add(group.layer, "bias", group.channels_out)
            if group.has_inputs:
                self._add(group.layer, "in", group.length("in"))
        self._variable = keras.Variable(
            np.zeros(self._length, bool), dtype="bool", trainable=False, name="selected_channels"
        )

    @property
    def _length(self) -> int:
        return max((part.stop for part in self._at.values()), default=0)

    def _add(self, name: str, role: str, length: int) -> None:
        start = self._length
        self._at[name, role] = slice(start, start + length)

    def assign(self, plan: UpdatePlan) -> None:
        """Take over the channels of `plan`."""
        values = np.zeros(self._length, bool)
        for group in self._groups:
            entry = whole(group) if group.head and plan.head else plan.layer(group.layer)
            if entry is None:
                continue
            values[self._at[group.layer, entry.axis]][list(entry.channels)] = True
            norm = group.kind == "batchnorm"
            biases = slice(None) if entry.bias == "all" and not norm else list(entry.channels)
            if entry.bias != "none" or norm:
                values[self._at[group.layer, "bias"]][biases] = True
        self._variable.assign(values)

    def read(self, name: str, role: str) -> Any:
        """The mask `[C] bool` of a group along `role` (`"out"`, `"in"` or `"bias"`), as a tensor."""
        return tf.convert_to_tensor(self._variable)[self._at[name, role]]

    def trained(self, step: Step, sites: Sequence[Site]) -> list[tuple[keras.Variable, Any]]:
        """(variable, mask that broadcasts to it) of all that `step` trains; None masks a whole variable."""
        rows: list[tuple[keras.Variable, Any]] = []
        for site in sites:
            part = step.part(site.name)
            if site.kernel is not None and part.weight != "frozen":
                rows.append((site.kernel, self._weight_mask(site, part.weight)))
            if site.bias is not None and part.bias != "frozen":
                rows.append((site.bias, None if part.bias == "whole" else self.read(site.name, "bias")))
        return rows

    def _weight_mask(self, site: Site, weight: str) -> Any:
        if weight == "whole":
            return None
        if weight in ("in", "masked_in"):
            return self.read(site.name, "in")[:, tf.newaxis]
        return tf.reshape(self.read(site.name, "out"), site.weight.shape[-site.out_axes :])
