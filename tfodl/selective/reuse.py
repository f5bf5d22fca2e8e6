"""Which traced step runs a plan: one that is there already and wastes little, or a new one that will last.

Tracing costs seconds, a step that could train more than the plan asks for costs a little each time. So plans
that change every epoch first get steps of their own, then ever more general ones.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping

from tfodl.neurons.group import NeuronGroup
from tfodl.selective.step import Bias, Part, Step, Weight, gather_share

# A step may do this share more work than the plan needs: a tenth for each step traced, at most half.
WASTE_EACH, WASTE_MOST = 0.1, 0.5
GENERAL_FROM = 2  # so many steps are traced before layers are opened that nobody has asked for yet


def choose(wanted: Step, traced: Collection[Step], groups: Mapping[str, NeuronGroup]) -> Step:
    """The step to run `wanted` with: one of `traced`, else a new one."""
    if wanted in traced:
        return wanted
    allowed = work(wanted, groups) * (1 + min(WASTE_MOST, WASTE_EACH * len(traced)))
    able = [step for step in traced if serves(step, wanted) and work(step, groups) <= allowed]
    if able:
        return min(able, key=lambda step: work(step, groups))
    grown = wanted
    for step in traced:
        merged = merge(grown, step)
        if merged is not None and work(merged, groups) <= allowed:
            grown = merged
    return grown if len(traced) < GENERAL_FROM else _opened(grown, allowed, groups)


def steps_to_json(steps: Iterable[Step]) -> str:
    """Steps as JSON, so that training that goes on after an interruption chooses as it would have."""
    return json.dumps([[(name, dataclasses.astuple(part)) for name, part in step.parts] for step in steps])


def steps_from_json(text: str) -> list[Step]:
    """What `steps_to_json` wrote."""
    return [Step(tuple((name, Part(*part)) for name, part in parts)) for parts in json.loads(text)]


def serves(step: Step, wanted: Step) -> bool:
    """Whether a step traced for `step` can carry out `wanted` by masks alone."""
    names = {name for name, _ in (*step.parts, *wanted.parts)}
    return all(_part_serves(step.part(name), wanted.part(name)) for name in names)


def merge(a: Step, b: Step) -> Step | None:
    """The smallest step that serves both; None where batch norm statistics differ."""
    names = sorted({name for name, _ in (*a.parts, *b.parts)})
    parts = {name: _merge(a.part(name), b.part(name)) for name in names}
    merged = Step(tuple((name, part) for name, part in parts.items() if part is not None))
    return merged if len(merged.parts) == len(names) else None


def work(step: Step, groups: Mapping[str, NeuronGroup]) -> float:
    """Multiply-accumulates of a training step a sample, with as many gathered channels as that may be."""
    above: dict[str, bool] = {}
    total = 0.0
    for name, group in groups.items():
        part = step.part(name)
        reached = any(above[parent] for parent in group.parents if parent in above)
        above[name] = reached or part != Part()
        total += group.macs * (1 + reached + _share(part, group))
    return total


def _share(part: Part, group: NeuronGroup) -> float:
    """Of the forward pass's work, what the weight's gradient takes."""
    if part.weight == "frozen":
        return 0.0
    return gather_share(part.weight, group) if part.weight in ("out", "in") else 1.0


def _opened(step: Step, allowed: float, groups: Mapping[str, NeuronGroup]) -> Step:
    """`step` with further layers open, those next to the output first, as far as the work allows."""
    parts = dict(step.parts)
    axis: Weight = "in" if any(_axis(part.weight) == "in" for part in parts.values()) else "out"
    biased = any(part.bias != "frozen" for name, part in parts.items() if groups[name].selectable)
    for name, group in reversed(list(groups.items())):
        if group.selectable and name not in parts:
            part = _open_part(group, axis, biased)
            more = Step(tuple(sorted({**parts, name: part}.items())))
            if work(more, groups) <= allowed:
                parts[name] = part
    return Step(tuple(sorted(parts.items())))


def _open_part(group: NeuronGroup, axis: Weight, biased: bool) -> Part:
    along: Weight = axis if group.has_inputs else "out"
    weight: Weight = along if gather_share(along, group) else "masked_out"
    return Part(weight, "masked" if biased and group.bias else "frozen")


def _axis(weight: str) -> str:
    return "in" if weight in ("in", "masked_in") else "out"


def _part_serves(part: Part, wanted: Part) -> bool:
    if part == wanted:
        return True
    if part.statistics != wanted.statistics:
        return False
    weight = part.weight == wanted.weight or (
        part.weight not in ("frozen", "whole")
        and (wanted.weight in ("frozen", "whole") or _axis(part.weight) == _axis(wanted.weight))
    )
    return weight and (part.bias == wanted.bias or part.bias == "masked")


def _merge(a: Part, b: Part) -> Part | None:
    if a == b or _part_serves(a, b):
        return a
    if _part_serves(b, a):
        return b
    if a.statistics != b.statistics:
        return None
    weights = {a.weight, b.weight} - {"frozen"}
    if len({_axis(weight) for weight in weights - {"whole"}}) > 1:
        return None
    weight = next(iter(sorted(weights - {"whole"})), "masked_out" if weights else "frozen")
    bias: Bias = a.bias if a.bias == b.bias else "masked"
    return Part(weight, bias, a.statistics)
