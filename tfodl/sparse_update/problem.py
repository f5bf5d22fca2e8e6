"""`Problem`: which biases and channels to train for the most gain in a memory budget, as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.plan import LayerUpdate
from tfodl.neurons.cost import layer_scheme_bytes
from tfodl.neurons.group import NeuronGroup
from tfodl.selection.schemes import entries
from tfodl.sparse_update.contributions import Contributions, convolutions


@dataclass(frozen=True, eq=False)
class Problem:
    """A knapsack with one choice of bias count and one choice of ratio a layer.

    A genome is `[1 + L]` whole numbers: which entry of `bias_counts`, and for each layer which column of
    `gains` (0: its weights stay frozen). A layer above which not all biases train cannot train weights: the
    gradient would need clip masks that nobody paid for.

    bias_counts: `[K]` rising, the first 0; bias_gains `[K]`; bias_bytes `[K]` int.
    positions: `[L]`, of each layer among the convolutions; convs: how many those are.
    gains: `[L,R]` with column 0 zero; bytes: `[L,R]` int with column 0 zero.
    budget: bytes.
    """

    bias_counts: np.ndarray
    bias_gains: np.ndarray
    bias_bytes: np.ndarray
    positions: np.ndarray
    gains: np.ndarray
    bytes: np.ndarray
    convs: int
    budget: int

    def effective(self, genome: np.ndarray) -> np.ndarray:
        """`genome` with the ratio of every layer that the gradient does not reach set to none."""
        reached = self.positions >= self.convs - self.bias_counts[genome[0]]
        return np.concatenate([genome[:1], np.where(reached, genome[1:], 0)])

    def gain(self, genome: np.ndarray) -> float:
        """Sum of gains, as a share of accuracy."""
        genome = self.effective(genome)
        rows = np.arange(len(self.positions))
        return float(self.bias_gains[genome[0]] + self.gains[rows, genome[1:]].sum())

    def scheme_bytes(self, genome: np.ndarray) -> int:
        """Training memory, bytes."""
        genome = self.effective(genome)
        rows = np.arange(len(self.positions))
        return int(self.bias_bytes[genome[0]] + self.bytes[rows, genome[1:]].sum())

    def fits(self, genome: np.ndarray) -> bool:
        """Whether the genome stays within the budget."""
        return self.scheme_bytes(genome) <= self.budget


def problem_of(contributions: Contributions, groups: Sequence[NeuronGroup], budget: int) -> Problem:
    """The knapsack of measured `contributions` on a model with `groups` under `budget` bytes.

    Raises `TfodlError` when the contributions were measured on another model, or the budget is negative.
    """
    convs = convolutions(groups)
    if tuple(group.layer for group in convs) != tuple(contributions.convs):
        raise TfodlError("search: the contributions were measured on a model with other convolutions.")
    if isinstance(budget, bool) or not isinstance(budget, int) or budget < 0:
        raise TfodlError(f"search: budget must be a whole number of bytes >= 0, got {budget!r}.")
    counts = sorted(contributions.biases)
    positions = sorted(contributions.weights)
    ratios = sorted({ratio for row in contributions.weights.values() for ratio in row})
    rows = [_row(convs, i, contributions.weights[i], ratios) for i in positions]
    bias_bytes = [sum(_bias_bytes(group) for group in convs[len(convs) - k :]) for k in counts]
    return Problem(
        bias_counts=np.array([0, *counts]),
        bias_gains=np.array([0.0, *(contributions.biases[k] for k in counts)]),
        bias_bytes=np.array([0, *bias_bytes]),
        positions=np.array(positions, int),
        gains=np.array([gains for gains, _ in rows]).reshape(len(rows), -1),
        bytes=np.array([size for _, size in rows], int).reshape(len(rows), -1),
        convs=len(convs),
        budget=budget,
    )


def _bias_bytes(group: NeuronGroup) -> int:
    return layer_scheme_bytes(LayerUpdate(group.layer, bias="all"), group) if group.bias else 0


def _row(
    convs: Sequence[NeuronGroup], index: int, measured: Mapping[float, float], ratios: Sequence[float]
) -> tuple[list[float], list[int]]:
    """Gains and bytes of one layer by ratio; a ratio that was not measured gains nothing."""
    gains, sizes = [0.0], [0]
    for ratio in ratios:
        (entry,) = (row for row in entries(convs, {index: ratio}, 0) if row.name == convs[index].layer)
        gains.append(measured.get(ratio, 0.0))
        sizes.append(layer_scheme_bytes(entry, convs[index]))
    return gains, sizes
