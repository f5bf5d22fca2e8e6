"""What a pool takes of a device, for reports: RAM, flash, an epoch's end, how long the flash lasts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tflm_export.gradients.cut import find_cut
from tflm_export.ir import Graph
from tflm_export.living.image import area_bytes, image_layout
from tflm_export.living.pool import candidates, most_channels, pool_ram, total
from tflm_export.plan import PAGE_BYTES, UpdatePlan
from tflm_export.store.facts import ERASES

WORD_US, ERASE_MS = 41, 90  # the nRF52840's flash, a word of 4 bytes and a page


def pool_facts(graph: Graph, plan: UpdatePlan) -> dict[str, Any]:
    """`{"pool": ...}`, or nothing for a plan without one.

    most_channels: that learn at once. ram_bytes: of the pool, its tables, and the candidates' tensors that
    are in RAM whole. epoch_macs: of an epoch's end, beside copying and ranking. epochs: that the flash lasts,
    when each of them changes every page: they go to two images in turn. flash_seconds: of such an epoch.
    """
    if plan.pool is None:
        return {}
    layers, layout = candidates(graph), image_layout(graph, plan)
    whole = sum(v.nbytes for c in layers for v in (c.weights, c.bias) if v is not None)
    passes = 2 * plan.pool.samples if plan.pool.rule == "velocity" else 0
    seconds = layout.pages * (ERASE_MS / 1e3 + PAGE_BYTES / 4 * WORD_US / 1e6)
    facts = {
        "rule": plan.pool.rule,
        "axis": plan.pool.axis,
        "epoch": plan.pool.epoch,
        "bytes": plan.pool.bytes,
        "layers": len(layers),
        "channels": total(layers),
        "most_channels": most_channels(layers, plan.pool, plan.optimizer),
        "ram_bytes": pool_ram(graph, plan) + whole,
        "area_bytes": area_bytes(graph, plan),
        "epoch_macs": passes * find_cut(graph, plan).macs,
        "epochs": 2 * ERASES,
        "flash_seconds": round(seconds, 1),
    }
    return {"pool": facts}


def pool_text(facts: Mapping[str, Any]) -> str:
    """The same in a line."""
    when = f"every {facts['epoch']:,} steps" if facts["epoch"] else "on command"
    kind = "input channels" if facts["axis"] == "in" else "channels"
    flash = f"flash area {facts['area_bytes']:,} B, lasts {facts['epochs']:,} epochs"
    return (
        f"{facts['channels']:,} {kind} of {facts['layers']} layers, {facts['bytes']:,} B at a time (at "
        f"most {facts['most_channels']:,} channels), by {facts['rule']} {when}; RAM {facts['ram_bytes']:,} B"
        f", an epoch's end {facts['epoch_macs']:,} MAC, {facts['flash_seconds']} s of flash at most; {flash}"
    )
