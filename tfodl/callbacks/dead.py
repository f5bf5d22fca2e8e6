"""`Dead`: neurons that learned for a whole epoch and did not change, for their gradient is zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tflm_export.plan import UpdatePlan
from tfodl.neurons.group import NeuronGroup
from tfodl.neurons.sites import Site


class Dead:
    """Which neurons of `groups` are dead behind their clamp: `found`, bool [channels] by layer.

    One that was in an epoch's plan and has the same weights and bias at its end had no gradient in any step;
    it counts as dead from then on. Weight decay moves such a neuron, too: then none is found.
    """

    def __init__(self, model: Any, groups: Sequence[NeuronGroup]) -> None:
        sites = {site.name: site for site in model.sites}
        self._sites = {group: sites[group.layer] for group in groups}
        self.found = {group.layer: np.zeros(group.channels, bool) for group in groups}
        self._before: dict[str, np.ndarray] = {}

    def epoch_begins(self) -> None:
        """Remember every neuron as it is."""
        self._before = {group.layer: _rows(group, site) for group, site in self._sites.items()}

    def epoch_ends(self, plan: UpdatePlan) -> None:
        """Note which of the plan's neurons are as they were."""
        for group, site in self._sites.items():
            entry = plan.layer(group.layer)
            if entry is not None and self._before:
                chosen = list(entry.channels)
                same = (_rows(group, site) == self._before[group.layer]).all(axis=1)
                self.found[group.layer][chosen] |= same[chosen]

    def last(self, layer: str, scores: Any) -> np.ndarray:
        """The scores [channels], those of dead neurons below all others."""
        result: np.ndarray = np.where(self.found[layer], -np.inf, np.asarray(scores, np.float64))
        return result


def _rows(group: NeuronGroup, site: Site) -> np.ndarray:
    """Weights, and own biases, a row a neuron [channels, ...]."""
    weights: np.ndarray = keras.ops.convert_to_numpy(site.weight)
    if group.axis == "in":
        return np.moveaxis(weights, -2, 0).reshape(group.channels, -1).copy()
    rows = weights.reshape(-1, group.channels).T
    if site.bias is None or site.bias is site.weight:
        return rows.copy()
    return np.hstack([rows, keras.ops.convert_to_numpy(site.bias).reshape(-1, 1)])
