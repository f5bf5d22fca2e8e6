"""Section of `report.html`: how long the flash lasts that keeps what was learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tflm_export.page.document import Section, paragraph, table

HOURS_A_YEAR = 24 * 365.25
EVERY = {"every minute": 1 / 60, "every hour": 1.0, "every day": 24.0}


def lasting_section(facts: Mapping[str, Any]) -> Section:
    """Years by how often the store saves, or a pool ends an epoch."""
    if "store" in facts:
        store = facts["store"]
        about = (
            f"The store has {store['area_bytes']:,} B of flash and lasts {store['saves']:,} saves in which "
            f"everything changed ({store['state_bytes']:,} B), at least."
        )
        return _lasting("saves", about, store["saves"])
    if "pool" in facts:
        pool = facts["pool"]
        about = (
            f"Two images in {pool['area_bytes']:,} B of flash last {pool['epochs']:,} epochs in which every "
            f"page changed; the flash of such an epoch takes {pool['flash_seconds']} s."
        )
        return _lasting("epochs", about, pool["epochs"])
    return Section(
        "How long the flash lasts",
        (paragraph("Nothing is written to flash: what was learned is gone when the power is."),),
    )


def _lasting(what: str, about: str, count: int) -> Section:
    rows = [(name, years(count, hours)) for name, hours in EVERY.items()]
    return Section("How long the flash lasts", (paragraph(about), table((what, "lasts, years"), rows)))


def years(count: int, hours: float) -> float:
    """Years that `count` writes last, one in so many hours.

    >>> years(100_000, 1.0)
    11.4
    """
    return round(count * hours / HOURS_A_YEAR, 1)
