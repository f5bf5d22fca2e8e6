"""`Pool`: what a device may choose by itself; part of an `UpdatePlan`.

>>> Pool(bytes=20480, rule="velocity", epoch=500).samples
10
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tflm_export.errors import TfodlError

RULES = ("velocity", "random", "top_layers_random", "fixed")
SPENDING = ("prefix", "fill")
LARGEST_EPOCH, MOST_SAMPLES = 10**6, 100


@dataclass(frozen=True)
class Pool:
    """How many channels of the plan's candidates learn at a time on the device, and which (docs/choosing.md).

    bytes: what may learn at once: weights (1 B each), biases (4 B) and what the optimizer remembers of them.
    rule: `"velocity"`, the channels whose outputs change fastest a parameter (Quélennec et al., WACV-W 2024,
        eq. 1-3 and 7), `"random"`, `"top_layers_random"` (random ones in the layers with most gradient a
        byte; the default, for it did best), or `"fixed"`, those of the first epoch for good.
    epoch: training steps after which the device chooses anew; None: only on command.
    samples: latents of the memory on which velocity is measured, held out of replay.
    mu: brake of the velocity. spend: `"prefix"` stops at the first channel that does not fit, `"fill"` goes
        on with the next. top: share of all layers' earnings that the top layers hold together.
    skip_dead: channels without a gradient in the last epoch, where others of their layer had one, take no
        bytes of the next.

    Raises `TfodlError` for anything else.
    """

    bytes: int
    rule: Literal["velocity", "random", "top_layers_random", "fixed"] = "top_layers_random"
    epoch: int | None = None
    samples: int = 10
    mu: float = 0.5
    spend: Literal["prefix", "fill"] = "prefix"
    top: float = 0.9
    skip_dead: bool = False

    def __post_init__(self) -> None:
        _require(_is_whole(self.bytes, 1, 2**31 - 1), "bytes must be a whole number >= 1", self.bytes)
        _require(self.rule in RULES, f"rule must be one of {RULES}", self.rule)
        steps = self.epoch is None or _is_whole(self.epoch, 1, LARGEST_EPOCH)
        _require(steps, f"epoch must be None or a whole number from 1 to {LARGEST_EPOCH} steps", self.epoch)
        samples = _is_whole(self.samples, 1, MOST_SAMPLES)
        _require(samples, f"samples must be a whole number from 1 to {MOST_SAMPLES}", self.samples)
        _require(_is_real(self.mu) and 0 <= self.mu < 1, "mu must be a number in [0, 1)", self.mu)
        _require(self.spend in SPENDING, f"spend must be one of {SPENDING}", self.spend)
        _require(isinstance(self.skip_dead, bool), "skip_dead must be true or false", self.skip_dead)
        _require(_is_real(self.top) and 0 < self.top <= 1, "top must be a share in (0, 1]", self.top)

    @property
    def watches(self) -> bool:
        """Whether the device notes which channels have a gradient."""
        return self.skip_dead and self.rule != "fixed"

    @property
    def held_out(self) -> int:
        """Samples of the memory that are never replayed."""
        return self.samples if self.rule == "velocity" else 0


def _require(ok: bool, rule: str, got: Any) -> None:
    if not ok:
        raise TfodlError(f"Pool: {rule}, got {got!r}.")


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
