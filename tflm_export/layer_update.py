"""`LayerUpdate`: what trains in one layer.

>>> LayerUpdate("conv_1", "out", (0, 3), bias="selected").channels
(0, 3)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tflm_export.allowed import is_count, require

AXES = ("out", "in")
BIASES = ("none", "selected", "all")


@dataclass(frozen=True)
class LayerUpdate:
    """What trains in one layer.

    name: the Keras layer's name; for a compiled model the `.tflite` op: its output tensor's name,
        its weight tensor's name, or `#<op index>`.
    axis: `"out"` trains output channels (rows of the weight), `"in"` input channels (columns).
    channels: sorted indices along `axis` whose weights train; `()` trains no weight.
    bias: `"none"`, `"selected"` (the biases of `channels`, axis `"out"` only) or `"all"`.
    """

    name: str
    axis: Literal["out", "in"] = "out"
    channels: tuple[int, ...] = ()
    bias: Literal["none", "selected", "all"] = "none"

    def __post_init__(self) -> None:
        where = f"LayerUpdate {self.name!r}"
        named = isinstance(self.name, str) and bool(self.name)
        require(named, f"LayerUpdate: name must be a non-empty string, got {self.name!r}.")
        require(self.axis in AXES, f"{where}: axis must be one of {AXES}, got {self.axis!r}.")
        require(self.bias in BIASES, f"{where}: bias must be one of {BIASES}, got {self.bias!r}.")
        channels = tuple(self.channels)
        require(
            all(map(is_count, channels)),
            f"{where}: channels must be whole numbers >= 0, got {channels[:8]!r}.",
        )
        require(
            all(a < b for a, b in zip(channels, channels[1:], strict=False)),
            f"{where}: channels must be sorted and distinct; sort them and drop repeats.",
        )
        require(
            not (self.axis == "in" and self.bias == "selected"),
            f"{where}: bias 'selected' needs axis 'out'; use 'all' or 'none' with axis 'in'.",
        )
        object.__setattr__(self, "channels", channels)
