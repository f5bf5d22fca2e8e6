"""`Guard`: when the device goes back to what it knew."""

from __future__ import annotations

from dataclasses import dataclass

from tflm_export.allowed import is_count, require


@dataclass(frozen=True)
class Guard:
    """When the device goes back to what it knew (docs/living.md).

    samples: pictures that are kept to judge by; each takes what a remembered one takes.
    held_out: one picture in so many judges, and is never learned from.
    every: training steps between two judgements; 0 for none but those that are asked for.

    >>> Guard(samples=20).every
    25
    """

    samples: int = 20
    held_out: int = 4
    every: int = 25

    def __post_init__(self) -> None:
        for name, least, most in (("samples", 1, 2**15), ("held_out", 2, 2**15), ("every", 0, 2**30)):
            value = getattr(self, name)
            require(
                is_count(value) and least <= value <= most,
                f"Guard: {name} must be a whole number from {least} to {most}, got {value!r}.",
            )
