"""The candidates of a pool: their channels, what each costs, and which of them learn first.

Channels are counted through all candidates in execution order: `C` of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.gradients.trained import find_op
from tflm_export.ir import Graph, Op
from tflm_export.ops.convolution.update import state_bytes
from tflm_export.plan import Optimizer, UpdatePlan
from tflm_export.pool import Pool
from tflm_export.round_up import round_up
from tflm_export.variable import Variable, variables

CONV_BYTES, STATE_STRUCT_BYTES = 60, 28  # tfodl::Conv and UpdateState on the board
STATE_RAM_BYTES = 28  # tfodl::PoolState


@dataclass(frozen=True)
class Candidate:
    """A layer of which channels may learn. first: the number of its first channel among all."""

    weights: Variable
    bias: Variable | None
    first: int

    @property
    def layer(self) -> Op:
        """Its op."""
        return self.weights.layer

    @property
    def channels(self) -> int:
        """Channels along the pool's axis."""
        return len(self.weights.channels)

    @property
    def row(self) -> int:
        """Weights of a channel."""
        return self.weights.count // self.channels

    @property
    def params(self) -> int:
        """Parameters of a channel, its bias too."""
        return self.row + (self.bias is not None)

    @property
    def has_slots(self) -> bool:
        """Whether a table tells which of its channels are rows in the pool."""
        return self.weights.in_pool and self.weights.axis == 0

    @property
    def span(self) -> slice:
        """Its channels among all."""
        return slice(self.first, self.first + self.channels)

    def cost(self, optimizer: Optimizer) -> int:
        """Bytes of a channel that learns: weights, bias, and what the optimizer remembers of them."""
        bias = 0 if self.bias is None else 4 + state_bytes(optimizer, bias=True)
        return self.row * (1 + state_bytes(optimizer, bias=False)) + bias


def candidates(graph: Graph) -> tuple[Candidate, ...]:
    """The candidates of a training graph, in execution order; () where it has no pool."""
    pooled = {(v.layer.name, v.bias): v for v in variables(graph) if v.pooled}
    found: list[Candidate] = []
    for name in graph.layers:
        if (name, False) in pooled:
            first = total(found) if found else 0
            found.append(Candidate(pooled[name, False], pooled.get((name, True)), first))
    return tuple(found)


def total(layers: Sequence[Candidate]) -> int:
    """Channels of all."""
    return layers[-1].first + layers[-1].channels


def costs(layers: Sequence[Candidate], optimizer: Optimizer) -> np.ndarray:
    """Bytes of every channel in the pool, int64 [C]."""
    return np.concatenate([np.full(c.channels, c.cost(optimizer)) for c in layers])


def check_pool(graph: Graph, plan: UpdatePlan) -> None:
    """Raise `ExportError` unless every candidate's channel fits the plan's pool, and the first choice does.

    So no epoch is without a channel that learns, whatever the rule ranks first.
    """
    if plan.pool is None:
        return
    layers = candidates(graph)
    largest = max(layers, key=lambda c: c.cost(plan.optimizer))
    most = largest.cost(plan.optimizer)
    if plan.pool.bytes < most:
        raise ExportError(
            f"update plan: a pool of {plan.pool.bytes} bytes cannot hold a channel of {largest.layer.name} "
            f"({largest.layer.kind}), which takes {most}; give more bytes, or leave that candidate out."
        )
    mask = first_choice(graph, plan)
    spent = 0 if mask is None else int(costs(layers, plan.optimizer)[mask].sum())
    if spent > plan.pool.bytes:
        raise ExportError(
            f"update plan: its layers take {spent} bytes of a pool of {plan.pool.bytes}; name fewer channels."
        )
    assert plan.memory is not None
    if plan.memory.samples is not None and plan.memory.samples <= plan.pool.held_out:
        raise ExportError(
            f"update plan: a memory of {plan.memory.samples} samples leaves none to replay beside the "
            f"{plan.pool.held_out} that velocity is measured on; remember more, or set pool.samples lower."
        )


def first_choice(graph: Graph, plan: UpdatePlan) -> np.ndarray | None:
    """The channels that the plan's layers name, bool [C]; None where it leaves the first choice to chance."""
    layers = candidates(graph)
    mask = np.zeros(total(layers), bool)
    first = {c.layer.name: c.first for c in layers}
    forward = graph.replace(ops=tuple(op for op in graph.layers.values() if op.role == "forward"))
    for entry in plan.layers:
        mask[first[find_op(forward, entry.name).name] + np.array(entry.channels, int)] = True
    return mask if mask.any() else None


def most_channels(layers: Sequence[Candidate], pool: Pool, optimizer: Optimizer) -> int:
    """Channels that can be in the pool at once."""
    spent = np.cumsum(np.sort(costs(layers, optimizer)))
    return int((spent <= pool.bytes).sum())


def most_row_bytes(graph: Graph, plan: UpdatePlan) -> int:
    """Bytes of weights that can be in the pool at once, at most; 0 without a pool."""
    if plan.pool is None:
        return 0
    rows = [c for c in candidates(graph) if c.weights.in_pool]
    return max((plan.pool.bytes * c.row // c.cost(plan.optimizer) for c in rows), default=0)


def pool_ram(graph: Graph, plan: UpdatePlan) -> int:
    """Static RAM of a pool, bytes, without whole tensors: rows, slots, lists, structs; 0 without a pool."""
    if plan.pool is None:
        return 0
    layers = candidates(graph)
    slots = sum(2 * c.channels for c in layers if c.has_slots)
    structs = sum(CONV_BYTES + STATE_STRUCT_BYTES * (1 + (c.bias is not None)) for c in layers)
    lists = 2 * most_channels(layers, plan.pool, plan.optimizer) + -(-total(layers) // 8)
    lists += -(-total(layers) // 8) if plan.pool.watches else 0
    norms = 4 * len(layers) if plan.pool.rule == "top_layers_random" else 0
    return round_up(plan.pool.bytes) + slots + lists + structs + norms + STATE_RAM_BYTES


def similarity_shift(graph: Graph, candidate: Candidate, pool: Pool) -> int:
    """Bits that a sample's sums are moved right, so that those of all samples fit int32."""
    output = graph.tensors[candidate.layer.outputs[0]]
    positions = output.size // output.shape[-1]
    return max(0, (pool.samples * positions * 255**2).bit_length() - 31)
