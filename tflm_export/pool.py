"""`Pool`: what a device may choose by itself; part of an `UpdatePlan`.

>>> Pool(bytes=20480, rule="velocity", epoch=500).samples
10
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tflm_export.allowed import is_number, require
from tflm_export.errors import TfodlError

if TYPE_CHECKING:
    from tflm_export.plan import LayerUpdate, UpdatePlan

RULES = ("velocity", "random", "top_layers_random", "fixed")
AXES = ("out", "in")
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
    axis: `"out"`, output channels with their biases, or `"in"`, input channels: columns of the weights, and
        no biases. A depthwise channel, with its bias, is both. Velocity and skip_dead look at outputs.

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
    axis: Literal["out", "in"] = "out"

    def __post_init__(self) -> None:
        _require(_is_whole(self.bytes, 1, 2**31 - 1), "bytes must be a whole number >= 1", self.bytes)
        _require(self.rule in RULES, f"rule must be one of {RULES}", self.rule)
        steps = self.epoch is None or _is_whole(self.epoch, 1, LARGEST_EPOCH)
        _require(steps, f"epoch must be None or a whole number from 1 to {LARGEST_EPOCH} steps", self.epoch)
        samples = _is_whole(self.samples, 1, MOST_SAMPLES)
        _require(samples, f"samples must be a whole number from 1 to {MOST_SAMPLES}", self.samples)
        _require(is_number(self.mu) and 0 <= self.mu < 1, "mu must be a number in [0, 1)", self.mu)
        _require(self.spend in SPENDING, f"spend must be one of {SPENDING}", self.spend)
        _require(isinstance(self.skip_dead, bool), "skip_dead must be true or false", self.skip_dead)
        _require(is_number(self.top) and 0 < self.top <= 1, "top must be a share in (0, 1]", self.top)
        _require(self.axis in AXES, f"axis must be one of {AXES}", self.axis)
        outputs = self.axis == "out" or not (self.rule == "velocity" or self.skip_dead)
        _require(outputs, "velocity and skip_dead look at outputs; axis must be 'out'", self.axis)

    @property
    def watches(self) -> bool:
        """Whether the device notes which channels have a gradient."""
        return self.skip_dead and self.rule != "fixed"

    @property
    def held_out(self) -> int:
        """Samples of the memory that are never replayed."""
        return self.samples if self.rule == "velocity" else 0


def check_pool_plan(plan: UpdatePlan) -> None:
    """Raise `TfodlError` where the rest of a plan does not go with its pool."""
    require(isinstance(plan.pool, Pool), f"UpdatePlan: pool must be a Pool or None, got {plan.pool!r}.")
    assert plan.pool is not None
    require(bool(plan.candidates), "UpdatePlan: a pool chooses among candidates; name at least one.")
    require(
        plan.memory is not None,
        "UpdatePlan: a pool needs a memory, for what was learned is measured on its samples; set memory.",
    )
    require(
        plan.store_bytes == 0,
        f"UpdatePlan: a pool keeps what it learned in an area of its own; set store_bytes to 0, "
        f"got {plan.store_bytes}.",
    )
    named = [layer.name for layer in plan.layers if layer.name not in plan.candidates]
    require(
        not named,
        f"UpdatePlan: layers {named} are no candidates; with a pool, layers are the first epoch's choice "
        "among candidates.",
    )
    for layer in plan.layers:
        _check_first(plan.pool, layer)


def _check_first(pool: Pool, layer: LayerUpdate) -> None:
    """Raise `TfodlError` where a pool cannot begin with these channels."""
    biases = ("selected", "none") if pool.axis == "out" else ("none",)
    holds = "output channels with their own biases" if pool.axis == "out" else "input channels"
    require(
        layer.axis == pool.axis and layer.bias in biases,
        f"UpdatePlan: {layer.name!r}: a pool of axis {pool.axis!r} holds {holds}; give axis {pool.axis!r} "
        f"and bias {' or '.join(map(repr, biases))}, got {layer.axis!r} and {layer.bias!r}.",
    )


def _require(ok: bool, rule: str, got: Any) -> None:
    if not ok:
        raise TfodlError(f"Pool: {rule}, got {got!r}.")


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
