"""`fixed_plan`: the `UpdatePlan` that a name, a list of layers, a scheme or a file means on a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tflm_export.errors import TfodlError
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.neurons.group import NeuronGroup, check_plan, whole
from tfodl.selection import schemes
from tfodl.selection.choose import Options


def fixed_plan(wanted: Any, groups: Sequence[NeuronGroup], options: Options) -> UpdatePlan:
    """The plan that `wanted` means on a model with `groups`.

    Raises `TfodlError` when it means none.
    """
    plan = wanted if isinstance(wanted, UpdatePlan) else _saved(wanted)
    if plan is None:
        plan = UpdatePlan(_with_norms(_layers(wanted, groups), groups, options), head=options.head)
    check_plan(plan, groups)
    return plan


def _saved(wanted: Any) -> UpdatePlan | None:
    path = isinstance(wanted, os.PathLike) or (isinstance(wanted, str) and wanted.endswith(".json"))
    return UpdatePlan.load(Path(wanted)) if path else None


def _layers(wanted: Any, groups: Sequence[NeuronGroup]) -> tuple[LayerUpdate, ...]:
    named: dict[str, Callable[[], tuple[LayerUpdate, ...]]] = {
        "head": lambda: (),
        "biases": lambda: _biases(groups),
        "all": lambda: _all(groups),
    }
    if isinstance(wanted, str):
        return named[wanted]() if wanted in named else _scheme(wanted, groups)
    if isinstance(wanted, Sequence) and all(isinstance(name, str) for name in wanted):
        return tuple(whole(group) for group in _named(wanted, groups))
    raise TfodlError(
        "FixedSelection: plan must be an UpdatePlan, 'head', 'biases', 'all', a list of layer names, a "
        f"published scheme or the path of a saved plan (.json), got {wanted!r}."
    )


def _all(groups: Sequence[NeuronGroup]) -> tuple[LayerUpdate, ...]:
    return tuple(whole(group) for group in groups if not group.head and group.kind != "batchnorm")


def _biases(groups: Sequence[NeuronGroup]) -> tuple[LayerUpdate, ...]:
    return tuple(
        LayerUpdate(group.layer, bias="all") for group in groups if group.bias and group.kind != "batchnorm"
    )


def _named(names: Sequence[str], groups: Sequence[NeuronGroup]) -> list[NeuronGroup]:
    known = {group.layer: group for group in groups}
    missing = [name for name in names if name not in known]
    if missing:
        raise TfodlError(f"FixedSelection: no layers {missing}; the model has {sorted(known)[:8]} ...")
    return [known[name] for name in dict.fromkeys(names)]


def _scheme(name: str, groups: Sequence[NeuronGroup]) -> tuple[LayerUpdate, ...]:
    return schemes.plan(name, groups).layers


def _with_norms(
    layers: tuple[LayerUpdate, ...], groups: Sequence[NeuronGroup], options: Options
) -> tuple[LayerUpdate, ...]:
    """`layers` with every batch norm that the options train beside them, and none of them twice."""
    if options.batchnorm == "none":
        return layers
    if options.batchnorm == "all":
        norms = {group.layer: whole(group) for group in groups if group.kind == "batchnorm"}
    else:
        follower = {group.layer: group.batchnorm for group in groups}
        norms = {
            norm: LayerUpdate(norm, "out", entry.channels, "selected")
            for entry in layers
            if entry.axis == "out" and entry.channels and (norm := follower[entry.name])
        }
    return (*(entry for entry in layers if entry.name not in norms), *norms.values())
