"""Section of `report.html`: how long the flash lasts that keeps what was learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tflm_export.page.document import Section, paragraph, table

HOURS_A_YEAR = 24 * 365.25
EVERY = {"every minute": 1 / 60, "every hour": 1.0, "every day": 24.0}


def lasting_section(facts: Mapping[str, Any]) -> Section:
    """By how often the store saves, or a pool ends an epoch."""
    if "store" in facts:
        store = facts["store"]
        about = (
            f"The store has {store['area_bytes']:,} B of flash and lasts {store['saves']:,} saves in which "
            f"everything changed ({store['state_bytes']:,} B), at least."
        )
        if "samples" in store:
            about += f" Or it takes {store['samples']['lasts']:,} samples of a full memory."
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
    rows = [(name, lasts(count, hours)) for name, hours in EVERY.items()]
    return Section("How long the flash lasts", (paragraph(about), table((what, "lasts"), rows)))


def lasts(count: int, hours: float) -> str:
    """How long `count` writes last, one in so many hours.

    >>> lasts(100_000, 1.0), lasts(24_000, 1 / 60), lasts(9, 1.0)
    ('11.4 years', '17 days', '9 hours')
    """
    total = count * hours
    if total < 48:
        return f"{total:.0f} hours"
    return f"{total / 24:.0f} days" if total < HOURS_A_YEAR else f"{total / HOURS_A_YEAR:.1f} years"
