"""What an update plan costs: parameters, bytes, multiply-accumulates. Pure functions of groups.

Work of one sample (design, after Quélennec et al. 2024 and Bragagnolo et al. 2022, counted exactly):
forward F of every layer; dX = F of every layer *above* the shallowest trained tensor, for it needs all output
channels, frozen or not; dW = F · trained weights / weights. The papers credit a frozen neuron with its dX
too; `flops_saved_paper` is their count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.neurons.group import NeuronGroup, check_plan, whole


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one training step at batch 1."""

    forward: int = 0
    dx: int = 0
    dw: int = 0

    @property
    def backward(self) -> int:
        return self.dx + self.dw

    @property
    def total(self) -> int:
        return self.forward + self.dx + self.dw


@dataclass(frozen=True)
class LayerCost:
    """One row of the table: neurons and parameters, all and trained; training memory in bytes."""

    layer: str
    kind: str
    neurons: int
    selected: int
    params: int
    trained: int
    scheme_bytes: int
    macs: Macs


@dataclass(frozen=True)
class PlanCost:
    """Cost of a plan. Parameters and memory are the budget's: head and whole batch norms apart.

    params: trained parameters; total_params: selectable ones (biases included).
    bytes: of the trained parameters in float32. scheme_bytes: training memory at batch 1 as published schemes
    count it (Lin et al. 2022); a compiled engine's RAM is `tfodl.selection.Engine.ram_bytes`.
    head_params, batchnorm_params: what trains outside the budget.
    macs, full: work of a step under this plan, and with everything trained.
    """

    params: int
    total_params: int
    neurons: int
    total_neurons: int
    scheme_bytes: int
    head_params: int
    batchnorm_params: int
    macs: Macs
    full: Macs
    flops_saved_paper: float
    layers: tuple[LayerCost, ...]

    @property
    def bytes(self) -> int:
        return 4 * self.params

    @property
    def share(self) -> float:
        """Trained share of the selectable parameters."""
        return self.params / max(1, self.total_params)

    @property
    def flops_saved(self) -> float:
        """Saved share of the full update's backward work (dX and dW)."""
        return 1 - self.macs.backward / max(1, self.full.backward)


@dataclass(frozen=True)
class Flops:
    """Work of one sample's training step, MACs; `paper_backward` is the papers' own count of dX + dW."""

    forward: int
    dx: int
    dw: int
    paper_backward: int


def plan_cost(plan: UpdatePlan, groups: Sequence[NeuronGroup]) -> PlanCost:
    """What `plan` costs on a model with `groups`.

    Raises `TfodlError` when the plan names a layer or channel that is not there.
    """
    check_plan(plan, groups)
    rows = _rows(plan, groups)
    full = _rows(full_plan(groups), groups)
    budgeted = [(g, r) for g, r in zip(groups, rows, strict=True) if _counts(g, plan)]
    outside = [(g, r) for g, r in zip(groups, rows, strict=True) if not _counts(g, plan)]
    pool = [row for group, row in zip(groups, rows, strict=True) if group.selectable]
    return PlanCost(
        params=sum(row.trained for _, row in budgeted),
        total_params=sum(row.params for row in pool),
        neurons=sum(row.selected for row in pool),
        total_neurons=sum(row.neurons for row in pool),
        scheme_bytes=sum(row.scheme_bytes for _, row in budgeted),
        head_params=sum(row.trained for group, row in outside if group.head),
        batchnorm_params=sum(row.trained for group, row in outside if group.kind == "batchnorm"),
        macs=_total(rows),
        full=_total(full),
        flops_saved_paper=_saved_paper(plan, groups),
        layers=tuple(rows),
    )


def _groups(model: Any) -> Sequence[NeuronGroup]:
    from tfodl.neurons.groups import neuron_groups  # Keras only where a model is given

    return neuron_groups(model)


def flops(model: Any, plan: UpdatePlan | None = None) -> Flops:
    """Forward, dX and dW of one sample apart, in MACs, and the papers' count of the backward pass.

    model: a Keras model or its groups; plan: None means everything trains.
    """
    groups = model if isinstance(model, (tuple, list)) else _groups(model)
    plan = full_plan(groups) if plan is None else plan
    check_plan(plan, groups)
    macs = _total(_rows(plan, groups))
    paper = round((1 - _saved_paper(plan, groups)) * 2 * sum(group.macs for group in groups))
    return Flops(macs.forward, macs.dx, macs.dw, paper)


def full_plan(groups: Sequence[NeuronGroup]) -> UpdatePlan:
    """Everything trains."""
    return UpdatePlan(layers=tuple(whole(group) for group in groups if not group.head), head=True)


def trained_params(entry: LayerUpdate, group: NeuronGroup) -> int:
    """Parameters that `entry` trains: weights of its channels, and biases."""
    weights = len(entry.channels) * group.weights // group.length(entry.axis)
    return weights + _biases(entry, group)


def layer_scheme_bytes(entry: LayerUpdate, group: NeuronGroup) -> int:
    """Training memory of one layer at batch 1, int8 on the device (Lin et al. 2022, the released search's
    rule).

    One bit an output element (clip mask) and 4 bytes a bias where the bias trains; the input channels that
    the weight's gradient reads and the trained weights, 1 byte each, where weights train.
    """
    biases = _biases(entry, group)
    clip = -(-math.prod(group.output_shape) // 8) if biases else 0
    return clip + 4 * biases + saved_bytes(entry, group) + trained_params(entry, group) - biases


def saved_bytes(entry: LayerUpdate, group: NeuronGroup) -> int:
    """Bytes of input kept for the weight's gradient: all of it, or the selected input channels only."""
    if not entry.channels:
        return 0
    shape = group.saved_activation_shape
    per_filter = group.kind == "depthwise" or entry.axis == "in"
    kept = len(entry.channels) if per_filter else shape[-1]
    return math.prod(shape[:-1]) * min(kept, shape[-1])


def _biases(entry: LayerUpdate, group: NeuronGroup) -> int:
    if not group.bias or (entry.bias == "none" and group.kind != "batchnorm"):
        return 0
    every = entry.bias == "all" and group.kind != "batchnorm"
    return group.channels_out if every else len(entry.channels)


def _entry(plan: UpdatePlan, group: NeuronGroup) -> LayerUpdate | None:
    return whole(group) if group.head and plan.head else plan.layer(group.layer)


def _counts(group: NeuronGroup, plan: UpdatePlan) -> bool:
    """Whether the budget pays for a group: not the trained head, no batch norm on batch statistics."""
    if group.kind == "batchnorm":
        entry = plan.layer(group.layer)
        return entry is not None and entry.bias != "all"
    return not (group.head and plan.head)


def _rows(plan: UpdatePlan, groups: Sequence[NeuronGroup]) -> list[LayerCost]:
    above: dict[str, bool] = {}
    rows = []
    for group in groups:
        entry = _entry(plan, group)
        reached = any(above[parent] for parent in group.parents if parent in above)
        above[group.layer] = reached or (entry is not None and trained_params(entry, group) > 0)
        rows.append(_row(group, entry, reached))
    return rows


def _row(group: NeuronGroup, entry: LayerUpdate | None, reached: bool) -> LayerCost:
    biases = group.channels_out if group.bias else 0
    idle = LayerCost(
        layer=group.layer,
        kind=group.kind,
        neurons=group.channels,
        selected=0,
        params=group.weights + biases,
        trained=0,
        scheme_bytes=0,
        macs=Macs(forward=group.macs, dx=group.macs if reached else 0),
    )
    if entry is None:
        return idle
    dw = group.macs * len(entry.channels) // group.length(entry.axis)
    return replace(
        idle,
        neurons=group.length(entry.axis),
        selected=len(entry.channels),
        trained=trained_params(entry, group),
        scheme_bytes=layer_scheme_bytes(entry, group),
        macs=replace(idle.macs, dw=dw),
    )


def _total(rows: Sequence[LayerCost]) -> Macs:
    return Macs(
        forward=sum(row.macs.forward for row in rows),
        dx=sum(row.macs.dx for row in rows),
        dw=sum(row.macs.dw for row in rows),
    )


def _saved_paper(plan: UpdatePlan, groups: Sequence[NeuronGroup]) -> float:
    """A frozen neuron saves its dX and dW alike: share of F in frozen neurons."""
    everything = sum(group.macs for group in groups)
    trained = sum(row.macs.dw for row in _rows(plan, groups))
    return 1 - trained / max(1, everything)
