"""`Budget`: upper limits on what an update may cost."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tflm_export.allowed import is_count, require


@dataclass(frozen=True)
class Budget:
    """Upper limits on what an update may cost; `None` leaves a quantity free.

    params: trained parameters, classifier head apart.
    ram_bytes: RAM of the compiled engine, static and stack, bytes.
    flash_bytes: the engine's program and constants, bytes.
    macs: multiply-accumulates of one backward pass at batch 1.
    scheme_bytes: what a published scheme's size counts (Lin et al. 2022: saved activations, clip masks and
        trained weights at batch 1, no gradients), bytes.

    Raises `TfodlError` on a negative or non-integer limit.
    """

    params: int | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    macs: int | None = None
    scheme_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            require(
                value is None or is_count(value),
                f"Budget: {name} must be a whole number >= 0 or None, got {value!r}.",
            )

    @property
    def limits_engine(self) -> bool:
        """Whether bytes of the compiled engine are limited."""
        return self.ram_bytes is not None or self.flash_bytes is not None
