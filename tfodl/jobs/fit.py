"""A board as a budget: what an engine may take of it."""

from __future__ import annotations

import dataclasses

from tflm_export.boards import board
from tflm_export.memory.storage import STACK_BYTES
from tflm_export.plan import Budget

ANY = "none"


def within(budget: Budget, name: str) -> Budget:
    """`budget`, and besides what the board called `name` leaves to an engine; `"none"` adds nothing.

    The board's RAM is for static data: the stack, which an engine's RAM counts, has memory of its own there.

    >>> within(Budget(params=100), "nano33ble")
    Budget(params=100, ram_bytes=211280, flash_bytes=888000, macs=None, scheme_bytes=None)
    """
    if name == ANY:
        return budget
    target = board(name)
    ram, flash = target.ram_bytes + min(STACK_BYTES, target.stack_bytes), target.flash_bytes
    return dataclasses.replace(
        budget, ram_bytes=_least(budget.ram_bytes, ram), flash_bytes=_least(budget.flash_bytes, flash)
    )


def _least(limit: int | None, other: int) -> int:
    return other if limit is None else min(limit, other)
