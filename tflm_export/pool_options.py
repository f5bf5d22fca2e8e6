"""The options of `tflm-export compile` about what a device chooses and remembers.

>>> size("20KB"), size("512")
(20480, 512)
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from typing import Any

from tflm_export.errors import ExportError
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.pool import RULES, Pool


def add_pool_options(one: argparse.ArgumentParser) -> None:
    """--candidates, --pool, --rule, --epoch and --memory."""
    one.add_argument(
        "--candidates", metavar="A,B", help="layers of which the device chooses channels (docs/choosing.md)"
    )
    one.add_argument("--pool", type=size, metavar="20KB", help="bytes of channels that learn at a time")
    one.add_argument("--rule", choices=RULES, help="how it chooses (default: top_layers_random)")
    one.add_argument("--epoch", type=int, metavar="N", help="choose anew every N training steps")
    one.add_argument("--memory", type=int, metavar="N", help="samples to remember (default: the plan's)")


def size(text: str) -> int:
    """Bytes of `20KB` or `20480`. Raises `argparse.ArgumentTypeError`."""
    found = re.fullmatch(r"(\d+)\s*(KB|B)?", text, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give bytes, or KB: 20KB")
    return int(found[1]) * (1024 if (found[2] or "").upper() == "KB" else 1)


def with_pool(plan: UpdatePlan, options: argparse.Namespace) -> UpdatePlan:
    """The plan with what the options ask for. Raises `ExportError` for a rule or epoch without a pool."""
    changes: dict[str, Any] = {}
    if options.candidates is not None:
        changes["candidates"] = tuple(filter(None, options.candidates.split(",")))
    if options.memory is not None:
        kept = plan.memory if plan.memory is not None else Memory(samples=1)
        changes["memory"] = dataclasses.replace(kept, samples=options.memory, bytes=None)
    chosen = {
        name: getattr(options, name) for name in ("rule", "epoch") if getattr(options, name) is not None
    }
    if options.pool is not None:
        chosen["bytes"] = options.pool
    if chosen and plan.pool is not None:
        changes["pool"] = dataclasses.replace(plan.pool, **chosen)
    elif options.pool is not None:
        changes["pool"] = Pool(**chosen)
    elif chosen:
        raise ExportError("--rule and --epoch say how a pool is filled; give --pool 20KB, too.")
    return dataclasses.replace(plan, **changes)
