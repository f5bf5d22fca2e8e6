"""The rules that are compared, by name: what each of them learns under one budget.

>>> sorted(RULES)[:3]
['all', 'fisher', 'head']
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.plan import Budget, LayerUpdate, Optimizer, UpdatePlan
from tfodl.callbacks import FixedSelection, RandomSelection, VelocitySelection
from tfodl.callbacks.base import Selection
from tfodl.callbacks.fisher import Fisher
from tfodl.callbacks.importance import ImportanceRandom
from tfodl.callbacks.top_layers import TopLayersRandom
from tfodl.neurons.cost import plan_cost
from tfodl.neurons.group import NeuronGroup
from tfodl.selection import schemes
from tfodl.selection.engine import Engine

BIASES = 16  # of the last convolutions, that the smallest published scheme of mbv2-w0.35 trains


@dataclass(frozen=True)
class Setting:
    """What a rule is given. held_out: `(x, y)` that it may measure on; seed: of its random choices.

    device: the board's optimizer. engine: sizes of the whole net's engines; None in float.
    """

    budget: Budget
    held_out: tuple[np.ndarray, np.ndarray]
    seed: int
    device: Optimizer
    engine: Engine | None

    @property
    def options(self) -> dict[str, Any]:
        """Of every rule."""
        return {"device": self.device, "engine": self.engine, "seed": self.seed, "batchnorm": False}


class StaticRandom(RandomSelection):
    """The first epoch's random neurons, for good."""

    method = "static_random"

    def plan(self, epoch: int) -> UpdatePlan:
        return self.plans[-1] if self.plans else super().plan(epoch)


class LastLayers(StaticRandom):
    """Whole layers from the output down, for good; of the last that fits, the first channels."""

    method = "last_layers"

    def scores(self, epoch: int) -> dict[str, np.ndarray]:
        depth = {group.layer: float(place) for place, group in enumerate(self.pool)}
        return {group.layer: np.full(group.channels, depth[group.layer]) for group in self.pool}


class SparseUpdate(FixedSelection):
    """The published Sparse Update schemes, cut to a budget in bytes of the engine or in parameters.

    Biases of the last `BIASES` convolutions, then input channels in the order of how many of the net's
    schemes train them, those next to the output first, until the budget is spent. (Lin et al. 2022 search
    their schemes anew for each memory; these are theirs for mbv2-w0.35, 49 to 138 KB by their count.)
    Raises `TfodlError` for a budget of neither or both, or one that not even the biases fit.
    """

    method = "sparse_update"

    def __init__(self, budget: Budget, net: str, **options: Any) -> None:
        super().__init__("head", **options)
        if (budget.ram_bytes is None) == (budget.params is None):
            raise TfodlError(f"sparse_update: needs a budget of ram_bytes or of params, got {budget}.")
        self.limit, self.net = budget, net

    def begin(self) -> None:
        convs = [group for group in self.groups if group.kind in ("conv", "depthwise") and not group.head]
        order = published_order(self.net, convs)
        low, high = 0, len(order) + 1
        if not self._fits(convs, []):
            raise TfodlError(f"sparse_update: {self.limit} does not hold {BIASES} layers' biases.")
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._fits(convs, order[:middle]) else (low, middle)
        self.wanted = self._plan(convs, order[:low])

    def _fits(self, convs: Sequence[NeuronGroup], chosen: Sequence[tuple[int, int]]) -> bool:
        plan = self._plan(convs, chosen)
        if self.limit.params is not None:
            return plan_cost(plan, self.groups).params <= self.limit.params
        assert self.given_engine is not None and self.limit.ram_bytes is not None
        return self.given_engine.ram_bytes(plan) <= self.limit.ram_bytes

    def _plan(self, convs: Sequence[NeuronGroup], chosen: Sequence[tuple[int, int]]) -> UpdatePlan:
        rows = []
        for place, group in enumerate(convs):
            channels = tuple(sorted(c for p, c in chosen if p == place))
            biased = place >= len(convs) - BIASES and group.bias
            if channels or biased:
                axis = "in" if group.kind == "conv" else "out"
                rows.append(LayerUpdate(group.layer, axis, channels, "all" if biased else "none"))  # type: ignore[arg-type]
        return self.completed(UpdatePlan(tuple(rows), head=True, provenance={"method": self.method}))


class SchemeFirst(Selection):
    """The first epoch trains what `SparseUpdate` would (table 1 of Quélennec et al., 2024)."""

    def first_plan(self, epoch: int) -> UpdatePlan:
        scheme = SparseUpdate(self.budget, NET, engine=self.given_engine, device=self.device, batchnorm=False)
        scheme.set_model(self.model)
        scheme.groups = self.groups
        scheme.begin()
        return scheme.plan(epoch)


class VelocitySchemeFirst(SchemeFirst, VelocitySelection):
    """`VelocitySelection` from a published scheme on."""


class RandomSchemeFirst(SchemeFirst, RandomSelection):
    """`RandomSelection` from a published scheme on."""


def published_order(net: str, convs: Sequence[NeuronGroup]) -> list[tuple[int, int]]:
    """`(position in convs, channel)` that `net`'s published schemes train, by how many of them do.

    convs: the last convolutions of the net, which is known to have as many as its deepest scheme needs.
    Raises `TfodlError` for a net without schemes.
    """
    known = [scheme for scheme in schemes.SCHEMES.values() if scheme.net == net]
    if not known:
        raise TfodlError(f"sparse_update: no scheme was published for {net!r}.")
    below = CONVOLUTIONS[net] - len(convs)
    votes: dict[tuple[int, int], int] = {}
    for scheme in known:
        for index, ratio in scheme.ratios.items():
            if index < below:
                continue
            for channel in schemes.first_channels(convs[index - below], ratio):
                place = index - below, channel
                votes[place] = votes.get(place, 0) + 1
    return sorted(votes, key=lambda place: (-votes[place], -place[0], place[1]))


NET = "mbv2-w0.35"  # of the published schemes that are cut
CONVOLUTIONS = {NET: 51}


def _velocity(setting: Setting, **options: Any) -> Selection:
    return VelocitySelection(setting.budget, setting.held_out, **setting.options, **options)


RULES: Mapping[str, Callable[[Setting], Selection]] = {
    "head": lambda s: FixedSelection("head", **s.options),
    "all": lambda s: FixedSelection("all", **{**s.options, "batchnorm": False}),
    "random": lambda s: RandomSelection(s.budget, **s.options),
    "static_random": lambda s: StaticRandom(s.budget, **s.options),
    "velocity": _velocity,
    "velocity_authors": lambda s: _velocity(s, variant="authors", similarity="per_sample"),
    "top_layers_random": lambda s: TopLayersRandom(s.budget, s.held_out, **s.options),
    "importance_random": lambda s: ImportanceRandom(s.budget, s.held_out, **s.options),
    "fisher": lambda s: Fisher(s.budget, s.held_out, **s.options),
    "last_layers": lambda s: LastLayers(s.budget, **s.options),
    "sparse_update": lambda s: SparseUpdate(s.budget, NET, **s.options),
    "velocity_scheme_first": lambda s: VelocitySchemeFirst(s.budget, s.held_out, initial=NET, **s.options),
    "random_scheme_first": lambda s: RandomSchemeFirst(s.budget, initial=NET, **s.options),
}


def rule(name: str, setting: Setting) -> Selection:
    """The callback that `name` means under `setting`: of `RULES`, or the path of a saved plan (`.json`).

    Raises `TfodlError` for any other name.
    """
    check_names([name])
    return FixedSelection(name, **setting.options) if name.endswith(".json") else RULES[name](setting)


def check_names(names: Iterable[str]) -> None:
    """Raises `TfodlError` for names that `rule` does not know."""
    unknown = sorted(name for name in names if name not in RULES and not name.endswith(".json"))
    if unknown:
        raise TfodlError(f"methods: no {unknown}; allowed: {', '.join(RULES)}, or a saved plan (.json).")


def all_but_head(groups: Sequence[NeuronGroup]) -> UpdatePlan:
    """Everything that may train, whole."""
    rows = (LayerUpdate(g.layer, "out", tuple(range(g.channels_out)), "all") for g in groups if not g.head)
    return UpdatePlan(tuple(rows), head=True)


def ram_budget(share: float, engine: Engine, groups: Sequence[NeuronGroup], device: Optimizer) -> Budget:
    """`share` of the RAM between the engine that trains the head alone and the one that trains all.

    groups: what may train. Raises `TfodlError` for a share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise TfodlError(f"budget: a share of RAM must be in (0, 1], got {share!r}.")
    least, most = (
        engine.ram_bytes(replace(plan, optimizer=device)) for plan in (UpdatePlan(), all_but_head(groups))
    )
    return Budget(ram_bytes=int(least + share * (most - least)))
