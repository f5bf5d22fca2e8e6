"""What a command asks about what a device chooses and remembers, and the plan that comes of it.

>>> size("20KB"), size("512")
(20480, 512)
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tflm_export.errors import ExportError
from tflm_export.plan import PLACES, Memory, UpdatePlan
from tflm_export.pool import AXES, RULES, Pool


@dataclass(frozen=True)
class PoolOptions:
    """candidates: names of layers. pool: bytes. rule, axis, epoch: of the pool. memory: samples, memory_in:
    where they are. fit: the board for which candidates and pool are proposed. None, or (), is not asked.

    Raises `ExportError` for a board whose proposal would be overruled.

    >>> PoolOptions.of({"candidates": "#1,#3", "pool": 1024}).given(UpdatePlan(memory=Memory(9))).pool.bytes
    1024
    """

    candidates: tuple[str, ...] = ()
    pool: int | None = None
    rule: str | None = None
    axis: str | None = None
    epoch: int | None = None
    memory: int | None = None
    memory_in: Literal["ram", "flash"] | None = None
    fit: str | None = None

    def __post_init__(self) -> None:
        if self.fit is not None and (self.candidates or self.pool is not None):
            raise ExportError("--fit proposes candidates and a pool; leave --candidates and --pool out.")

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> PoolOptions:
        """From parsed arguments; those that are missing were not asked."""
        names = {field.name for field in dataclasses.fields(cls)} - {"candidates"}
        listed = tuple(filter(None, (options.get("candidates") or "").split(",")))
        return cls(listed, **{name: options.get(name) for name in names})

    @property
    def asked(self) -> bool:
        """Whether anything is."""
        return self != PoolOptions()

    @property
    def _how(self) -> dict[str, Any]:
        found = {"rule": self.rule, "axis": self.axis, "epoch": self.epoch}
        return {name: value for name, value in found.items() if value is not None}

    def given(self, plan: UpdatePlan) -> UpdatePlan:
        """The plan with what is asked, but for a board. Raises `ExportError` for a rule without a pool, or a
        place without a memory."""
        changes: dict[str, Any] = {"candidates": self.candidates} if self.candidates else {}
        if self.memory is not None:
            kept = plan.memory if plan.memory is not None else Memory(samples=1)
            changes["memory"] = dataclasses.replace(kept, samples=self.memory, bytes=None)
        if self.memory_in is not None:
            placed: Memory | None = changes.get("memory", plan.memory)
            if placed is None:
                raise ExportError("--memory-in says where a memory is; give --memory N, too.")
            changes["memory"] = dataclasses.replace(placed, where=self.memory_in)
        how = self._how if self.fit is None else {}
        if self.pool is not None:
            how["bytes"] = self.pool
        if how and plan.pool is not None:
            changes["pool"] = dataclasses.replace(plan.pool, **how)
        elif self.pool is not None:
            changes["pool"] = Pool(**how)
        elif how:
            raise ExportError("--rule, --axis and --epoch say how a pool is filled; give --pool 20KB, too.")
        return dataclasses.replace(plan, **changes)

    def fitted(self, plan: UpdatePlan, tflite: bytes) -> UpdatePlan:
        """The plan with what is proposed for the board, which is printed; the same plan without one."""
        if self.fit is None:
            return plan
        from tflm_export.boards import board
        from tflm_export.report.propose import proposal_text, propose

        found = propose(tflite, board(self.fit), plan, self._how)
        print(f"proposed for {board(self.fit).title}: {proposal_text(found)}")
        return found


def add_pool_options(one: argparse.ArgumentParser) -> None:
    """--candidates, --pool, --rule, --axis, --epoch, --memory, --memory-in and --fit."""
    one.add_argument(
        "--candidates", metavar="A,B", help="layers of which the device chooses channels (docs/choosing.md)"
    )
    one.add_argument("--pool", type=size, metavar="20KB", help="bytes of channels that learn at a time")
    one.add_argument("--rule", choices=RULES, help="how it chooses (default: top_layers_random)")
    one.add_argument("--axis", choices=AXES, help="output or input channels (default: out)")
    one.add_argument("--epoch", type=int, metavar="N", help="choose anew every N training steps")
    one.add_argument("--memory", type=int, metavar="N", help="samples to remember (default: the plan's)")
    one.add_argument(
        "--memory-in",
        choices=PLACES,
        help="where they are; in flash (docs/store.md) they outlive the power (default: the plan's)",
    )
    one.add_argument("--fit", metavar="BOARD", help="propose candidates and a pool that this board holds")


def size(text: str) -> int:
    """Bytes of `20KB` or `20480`. Raises `argparse.ArgumentTypeError`."""
    found = re.fullmatch(r"(\d+)\s*(KB|B)?", text, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give bytes, or KB: 20KB")
    return int(found[1]) * (1024 if (found[2] or "").upper() == "KB" else 1)
