"""Sections of `report.html`: RAM over a step and its place in the arena; flash by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tflm_export.page.bars import bars
from tflm_export.page.boxes import Box, boxes
from tflm_export.page.document import Section, figure, table
from tflm_export.page.layers import stacked
from tflm_export.page.markup import Markup

STYLES = {
    "activations": "c0",
    "clip masks": "c2",
    "gradients": "c1",
    "rows of streams": "c3",
    "scratch": "c8",
}
ALWAYS = "always there"
STEPS = "steps: forward, loss, then gradients and updates by layer"


def memory_section(facts: Mapping[str, Any]) -> Section:
    """Bytes alive at every step, and every buffer's place and life."""
    return Section("Memory over a step", (_alive(facts), _places(facts)))


def _alive(facts: Mapping[str, Any]) -> Markup:
    arena = facts["arena_map"]
    kept = facts["total_ram_bytes"] - facts["arena_bytes"]
    parts = {(ALWAYS, "c7"): [kept / 1024] * len(arena["steps"])}
    parts |= {(kind, STYLES[kind]): [n / 1024 for n in live] for kind, live in arena["live"].items()}
    levels = {f"RAM {facts['total_ram_bytes']:,} B": facts["total_ram_bytes"] / 1024}
    picture = stacked(parts, STEPS if facts["trained_parameters"] else "steps", "RAM, KiB", levels)
    kinds = [kind for kind, live in arena["live"].items() if any(live)]
    rows = [
        (i, step["op"], step["role"], *(arena["live"][kind][i] for kind in kinds))
        for i, step in enumerate(arena["steps"])
    ]
    peak = facts["peak"][0]
    about = (
        f"{peak['bytes']:,} B of {facts['arena_bytes']:,} B of arena are alive at most, at {peak['op']}; no "
        f"placement takes less than {facts['memory_lower_bound_bytes']:,} B. Weights that learn, their state "
        f"and the stack take {kept:,} B, always."
    )
    return figure("RAM alive at every step", about, picture, table(("step", "op", "role", *kinds), rows))


def _places(facts: Mapping[str, Any]) -> Markup:
    buffers = facts["arena_map"]["buffers"]
    picture = boxes(
        [_box(buffer, *part) for buffer in buffers for part in buffer["parts"]],
        STEPS if facts["trained_parameters"] else "steps",
        "place in the arena, KiB",
        tuple((kind, style) for kind, style in STYLES.items() if any(b["kind"] == kind for b in buffers)),
    )
    rows = [
        (b["symbol"] or b["name"], b["name"], b["kind"], b["offset"], b["bytes"], b["parts"][0][0], _last(b))
        for b in buffers
    ]
    head = ("buffer", "tensor", "kind", "offset, B", "bytes", "first step", "last step")
    about = f"{len(buffers)} buffers share {facts['arena_bytes']:,} B; none overlaps one that lives with it."
    return figure("Map of the arena", about, picture, table(head, rows))


def _box(buffer: Mapping[str, Any], first: int, end: int, nbytes: int) -> Box:
    name = buffer["symbol"] or buffer["name"]
    low = buffer["offset"] / 1024
    place = f"{nbytes:,} B at {buffer['offset']:,}, steps {first}-{end - 1}"
    about = f"{name} ({buffer['name']}), {buffer['kind']}: {place}"
    return Box(first, end, low, low + nbytes / 1024, name, about, STYLES[buffer["kind"]])


def _last(buffer: Mapping[str, Any]) -> int:
    return int(buffer["parts"][-1][1]) - 1


def flash_section(facts: Mapping[str, Any]) -> Section:
    """Flash by part."""
    parts, total = facts["flash_parts"], facts["flash_bytes"]
    picture = bars([(part, {"bytes": n}) for part, n in parts.items()], {"bytes": "c0"}, "B")
    rows = [(part, n, f"{n / max(1, total):.1%}") for part, n in parts.items()]
    about = f"{total:,} B of the program linked for the {facts['board']['core']}; "
    about += "a store or a pool has its area beside this."
    return Section(
        "Flash", (figure("Flash by part", about, picture, table(("part", "bytes", "share"), rows)),)
    )
