"""Section of `report.html`: layers with their cycles, work and memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tflm_export.page.bars import bars
from tflm_export.page.document import Section, figure, table
from tflm_export.page.markup import Markup

WORK = {"forward": "c0", "gradient": "c1", "update": "c5"}
HEAD = (
    "op",
    "kind",
    "name",
    "output",
    "output, B",
    "weights, B",
    "forward, MAC",
    "dX, MAC",
    "dW, MAC",
    "trained",
    "kept, B",
)


def layers_section(facts: Mapping[str, Any]) -> Section:
    """Cycles by layer where calls were counted, and the table of layers."""
    rows = [
        (
            *(row[key] for key in ("op", "kind", "name", "output", "output_bytes", "weight_bytes")),
            *(row[f"macs_{part}"] for part in ("forward", "dx", "dw")),
            row["trained_weights"] + row["trained_biases"],
            row["kept_bytes"],
        )
        for row in facts["layers"]
    ]
    drawn = [_cycles(facts, kind, calls) for kind, calls in _last_calls(facts).items()]
    about = "Kept: activations and clip masks that wait for the layer's gradient."
    return Section("Layers", (*drawn, table(HEAD, rows, f"Layers. {about}")))


def _last_calls(facts: Mapping[str, Any]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The calls of a training step, or of an inference where nothing learns."""
    kind = "train_step" if facts["calls"].get("train_step") else "inference"
    return {kind: facts["calls"][kind]} if facts["calls"].get(kind) else {}


def _cycles(facts: Mapping[str, Any], kind: str, calls: Sequence[Mapping[str, Any]]) -> Markup:
    names = {row["op"]: f"{row['op']} {row['kind'].lower()}" for row in facts["layers"]}
    found = [(_named(ops, names), parts) for ops, parts in by_layer(calls)]
    total = sum(sum(parts.values()) for _, parts in found)
    rows = [
        (name, *(parts.get(role, 0) for role in WORK), f"{sum(parts.values()) / max(1, total):.1%}")
        for name, parts in found
    ]
    what = "a training step" if kind == "train_step" else "an inference"
    what += " with its replays" if facts.get("latent", {}).get("replays") else ""
    about = f"{total:,} cycles of a {facts['board']['core']} without waits. "
    about += "Layers that run together, by rows, are one bar."
    same = table(("layer", *WORK, "share"), rows)
    return figure(f"Cycles of {what} by layer", about, bars(found, WORK, "cycles"), same)


def _named(ops: Sequence[str], names: Mapping[str, str]) -> str:
    if len(ops) == 1:
        return names.get(ops[0], ops[0])
    return f"{ops[0]} to {ops[-1]}, by rows"


def by_layer(calls: Sequence[Mapping[str, Any]]) -> list[tuple[tuple[str, ...], Counter[str]]]:
    """Cycles by role of every layer, in order; layers that share a call are one.

    >>> calls = [{"ops": ["#0", "#1"], "role": "forward", "cycles": 5}]
    >>> by_layer([*calls, {"ops": ["#1"], "role": "update", "cycles": 2}])
    [(('#0', '#1'), Counter({'forward': 5, 'update': 2}))]
    """
    groups: list[tuple[tuple[str, ...], Counter[str]]] = []
    for call in calls:
        shared = [group for group in groups if set(group[0]) & set(call["ops"])]
        place = groups.index(shared[0]) if shared else len(groups)
        names = (name for ops in (*(ops for ops, _ in shared), call["ops"]) for name in ops)
        cycles = sum((parts for _, parts in shared), Counter({call["role"]: call["cycles"]}))
        groups = [group for group in groups if group not in shared]
        groups.insert(place, (tuple(dict.fromkeys(names)), cycles))
    return groups
