"""Which channels a budget buys: pure functions of scores and costs.

`select` (tflm_export.living.ranking) spends one quantity (parameters). `choose` spends a whole `Budget` over
a model's groups, where memory and work are shared: the first channel of a layer pays for its saved
activation, the lowest trained layer for all dX above. Bytes of the engine are the compiler's own (`Room`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tflm_export.errors import TfodlError
from tflm_export.living.ranking import Rule, check_rule, ranking, select
from tflm_export.plan import Budget, LayerUpdate, UpdatePlan
from tfodl.neurons.cost import layer_scheme_bytes, plan_cost, trained_params
from tfodl.neurons.group import NeuronGroup
from tfodl.selection.engine import Room
from tfodl.selection.fill_room import fill_room


def as_budget(
    budget: Budget | int | float | None, groups: Sequence[NeuronGroup], bias: bool = True
) -> Budget:
    """A `Budget` from a number: a whole number is parameters, a fraction in (0, 1] a share of the selectable
    ones.

    Raises `TfodlError` on anything else, and on flash alone, which no choice of channels spends.
    """
    if isinstance(budget, Budget):
        if budget.flash_bytes is not None and budget == Budget(flash_bytes=budget.flash_bytes):
            raise TfodlError(
                "budget: flash_bytes alone limits no selection (channels are chosen among weights that are "
                "in flash anyway); add params, scheme_bytes or macs. The compiler reports the flash needed."
            )
        return budget
    if budget is None:
        return Budget()
    if isinstance(budget, bool) or not isinstance(budget, (int, float, np.integer, np.floating)):
        raise TfodlError(
            f"budget must be a Budget, a number of parameters or a share in (0, 1], got {budget!r}."
        )
    if isinstance(budget, (int, np.integer)):
        return Budget(params=int(budget))
    if not 0 < budget <= 1:
        raise TfodlError(
            f"budget as a share must be in (0, 1], got {budget!r}; parameters are a whole number."
        )
    total = sum(group.weights + (group.channels_out if bias and group.bias else 0) for group in _pool(groups))
    return Budget(params=int(budget * total))


@dataclass(frozen=True)
class Options:
    """How chosen channels become a plan.

    rule: None is "prefix", and "fill" under a budget in bytes, where one neuron of an early layer can cost
    more than all later ones. bias: biases of chosen output channels train with them. batchnorm: `"all"`
    trains every gamma and beta outside the budget with batch statistics, `"selected"` those of chosen
    channels within it, `"none"` freezes batch norm.
    """

    rule: Rule | None = None
    bias: bool = True
    batchnorm: Literal["all", "selected", "none"] = "all"
    head: bool = True

    def __post_init__(self) -> None:
        if self.rule is not None:
            check_rule(self.rule)

    def rule_for(self, budget: Budget) -> Rule:
        """The rule asked for; else "fill" where the engine's bytes are limited, and "prefix"."""
        return self.rule or ("fill" if budget.limits_engine else "prefix")


def choose(
    groups: Sequence[NeuronGroup],
    scores: Mapping[str, ArrayLike],
    budget: Budget,
    options: Options = Options(),
    room: Room | None = None,
) -> tuple[LayerUpdate, ...]:
    """The entries that `budget` buys by `scores`: for each selectable group `[channels]`, higher is better.

    Groups without scores stay frozen. room: asked about `ram_bytes` and `flash_bytes`; a budget that has them
    needs one. Raises `TfodlError` when scores do not fit the groups.
    """
    pool = [group for group in _pool(groups) if group.layer in scores]
    _check_scores(pool, scores)
    if not pool:
        return ()
    flat = np.concatenate([np.asarray(scores[group.layer], np.float64) for group in pool])
    if room is not None and budget.limits_engine:
        mask = _fill(pool, flat, budget, options, groups, room)
    elif budget.limits_engine:
        raise TfodlError("choose: ram_bytes is the engine's, which needs `room`; scheme_bytes does without.")
    elif budget == Budget(params=budget.params):
        costs = np.concatenate([np.full(g.channels, neuron_cost(g, options)) for g in pool])
        mask = select(flat, costs, budget.params, options.rule_for(budget))
    else:
        mask = _spend(pool, flat, budget, options, groups)
    parts = np.split(mask, np.cumsum([group.channels for group in pool])[:-1])
    return entries(pool, parts, options)


def neuron_cost(group: NeuronGroup, options: Options = Options()) -> int:
    """Parameters of one neuron: its weights, its bias if that trains, gamma and beta if they go with it."""
    own_bias = options.bias and group.bias and group.axis == "out"
    with_norm = options.batchnorm == "selected" and group.batchnorm is not None and group.axis == "out"
    return group.weights_per_channel + int(own_bias) + 2 * int(with_norm)


def entries(
    groups: Sequence[NeuronGroup],
    masks: Sequence[Any],
    options: Options = Options(),
) -> tuple[LayerUpdate, ...]:
    """Plan entries of the channels in `masks`, one `[channels] bool` a group; frozen groups have none."""
    rows = []
    for group, mask in zip(groups, masks, strict=True):
        channels = tuple(int(i) for i in np.flatnonzero(mask))
        if channels:
            rows += _entries_of(group, channels, options)
    return tuple(rows)


def _entries_of(group: NeuronGroup, channels: tuple[int, ...], options: Options) -> list[LayerUpdate]:
    out = group.axis == "out"
    bias: Literal["none", "selected"] = "selected" if options.bias and group.bias and out else "none"
    rows = [LayerUpdate(group.layer, group.axis, channels, bias)]
    if options.batchnorm == "selected" and group.batchnorm and out:
        rows.append(LayerUpdate(group.batchnorm, "out", channels, "selected"))
    return rows


def _spend(
    pool: Sequence[NeuronGroup],
    scores: NDArray[np.float64],
    budget: Budget,
    options: Options,
    groups: Sequence[NeuronGroup],
) -> NDArray[np.bool_]:
    """Greedy by score under all limits of `budget`: not optimal, each neuron paid at its marginal cost."""
    chosen = np.zeros(len(scores), bool)
    chosen[_affordable(pool, groups, budget, options, chosen, ranking(scores).tolist())] = True
    return chosen


def _affordable(
    pool: Sequence[NeuronGroup],
    groups: Sequence[NeuronGroup],
    budget: Budget,
    options: Options,
    chosen: NDArray[np.bool_],
    order: list[int],
) -> list[int]:
    """Of the neurons in `order`, those that fit beside the chosen ones, each paid at its marginal cost."""
    meter = _Meter(groups, budget, options)
    layer_of, first = _places(pool)
    for index in np.flatnonzero(chosen).tolist():
        meter.add(pool[layer_of[index]], int(index - first[layer_of[index]]))
    found = []
    for index in order:
        if meter.add(pool[layer_of[index]], int(index - first[layer_of[index]])):
            found.append(index)
        elif options.rule_for(budget) == "prefix":
            break
    return found


def _places(pool: Sequence[NeuronGroup]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The layer's number of every neuron, and each layer's first neuron."""
    counts = [group.channels for group in pool]
    return np.repeat(np.arange(len(pool)), counts), np.cumsum([0, *counts])


def _fill(
    pool: Sequence[NeuronGroup],
    scores: NDArray[np.float64],
    budget: Budget,
    options: Options,
    groups: Sequence[NeuronGroup],
    room: Room,
) -> NDArray[np.bool_]:
    """Neurons by score until the engine is full; the other limits of `budget` hold besides."""
    layer_of, first = _places(pool)
    others = replace(budget, ram_bytes=None, flash_bytes=None)
    counted = replace(options, rule=options.rule_for(budget))

    def layers(mask: NDArray[np.bool_]) -> tuple[LayerUpdate, ...]:
        return entries(pool, np.split(mask, first[1:-1]), options)

    def affordable(chosen: NDArray[np.bool_], order: list[int]) -> list[int]:
        return order if others == Budget() else _affordable(pool, groups, others, counted, chosen, order)

    skip = counted.rule == "fill"
    return fill_room(ranking(scores).tolist(), layer_of, room, layers, affordable, skip)


class _Meter:
    """Running cost of a plan that grows channel by channel."""

    def __init__(self, groups: Sequence[NeuronGroup], budget: Budget, options: Options) -> None:
        self._groups, self._budget, self._options = groups, budget, options
        self._channels: dict[str, tuple[int, ...]] = {}
        self._known: dict[str, NeuronGroup] = {group.layer: group for group in groups}
        self._backward = self._plan_macs({})
        self._spent = {"params": 0, "scheme_bytes": 0}

    def add(self, group: NeuronGroup, channel: int) -> bool:
        """Take `channel` if all limits still hold."""
        before = self._channels.get(group.layer, ())
        after = tuple(sorted((*before, channel)))
        spent = {k: self._spent[k] + n for k, n in self._extra(group, before, after).items()}
        backward = self._backward
        if self._budget.macs is not None:
            backward = self._plan_macs({**self._channels, group.layer: after})
        if self._over(spent, backward):
            return False
        self._channels[group.layer], self._spent, self._backward = after, spent, backward
        return True

    def _over(self, spent: Mapping[str, int], backward: int) -> bool:
        limits = ((self._budget.params, spent["params"]), (self._budget.scheme_bytes, spent["scheme_bytes"]))
        return any(
            limit is not None and value > limit for limit, value in (*limits, (self._budget.macs, backward))
        )

    def _extra(self, group: NeuronGroup, before: tuple[int, ...], after: tuple[int, ...]) -> dict[str, int]:
        old, new = self._cost(group, before), self._cost(group, after)
        return {key: new[key] - old[key] for key in new}

    def _cost(self, group: NeuronGroup, channels: tuple[int, ...]) -> dict[str, int]:
        rows = _entries_of(group, channels, self._options) if channels else []
        at = [(row, self._known[row.name]) for row in rows]
        return {
            "params": sum(trained_params(row, group) for row, group in at),
            "scheme_bytes": sum(layer_scheme_bytes(row, group) for row, group in at),
        }

    def _plan_macs(self, channels: Mapping[str, tuple[int, ...]]) -> int:
        rows = [row for name, c in channels.items() for row in _entries_of(self._at(name), c, self._options)]
        plan = UpdatePlan(tuple(rows), head=self._options.head)
        return plan_cost(plan, self._groups).macs.backward

    def _at(self, name: str) -> NeuronGroup:
        return self._known[name]


def cheapest(groups: Sequence[NeuronGroup], options: Options = Options()) -> int:
    """Parameters of the cheapest selectable neuron."""
    return min((neuron_cost(group, options) for group in _pool(groups)), default=0)


def require_affordable(
    budget: Budget, groups: Sequence[NeuronGroup], options: Options, room: Room | None = None
) -> None:
    """Raises `TfodlError` when `budget` buys no single neuron, or its bytes not even the classifier alone."""
    if room is not None:
        room.require()
    budget = replace(budget, ram_bytes=None, flash_bytes=None)
    free = {group.layer: np.zeros(group.channels) for group in _pool(groups)}
    if not free or choose(groups, free, budget, replace(options, rule="fill")):
        return
    raise TfodlError(
        f"budget {_shown(budget)} is too small for one neuron; "
        f"the cheapest has {cheapest(groups, options)} parameters. "
        'Raise it, or train the classifier alone: FixedSelection("head").'
    )


def _shown(budget: Budget) -> str:
    limits = {k: v for k, v in vars(budget).items() if v is not None}
    return ", ".join(f"{key}={value}" for key, value in limits.items())


def _pool(groups: Sequence[NeuronGroup]) -> list[NeuronGroup]:
    return [group for group in groups if group.selectable]


def _check_scores(pool: Sequence[NeuronGroup], scores: Mapping[str, ArrayLike]) -> None:
    unknown = sorted(set(scores) - {group.layer for group in pool})
    if unknown:
        raise TfodlError(f"scores name layers that cannot be selected: {unknown[:8]}.")
    for group in pool:
        shape = np.shape(scores[group.layer])
        if shape != (group.channels,):
            raise TfodlError(
                f"scores of layer {group.layer!r} must have shape ({group.channels},), got {shape}."
            )
