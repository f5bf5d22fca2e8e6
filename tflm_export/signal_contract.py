"""`SignalContract`: what the numbers of a sensor are to a model, from the file to the board.

A value v of channel c (the last axis) reaches the model as `x = v / divisor[c] + offset[c]`, and an int8
model as `q = round((v - mean[c]) * gain[c]) + zero`, with `mean = -offset * divisor` and `gain = 1 /
(divisor * scale)`, all in float32: the same bits on the board (`put_value` in the sketch).

>>> contract = SignalContract((4, 2), (2.0, 1.0), (0.0, -1.0))
>>> contract.apply(np.ones((1, 4, 2), np.float32))[0, 0].tolist()
[0.5, 0.0]
>>> SignalContract.from_dict(contract.to_dict()) == contract
True
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.features.log_mel import LogMel
from tflm_export.ir import QParams

FAR = 512.0  # steps of int8 beyond which a value is as good as infinite
LEAST_DEVIATION = 1e-6  # that a channel is divided by


@dataclass(frozen=True)
class SignalContract:
    """How float values become a model's input.

    shape: of one sample, its channels last: (T, C) of a sequence.
    divisor, offset: one value, or one a channel: `x = value / divisor + offset`.
    dtype: of the values. sound: how they are computed where they are features of sound, whose frames and
    bands are the shape's first axes; None for a sensor's own. source: where the rule was found, for people.

    Raises `TfodlError` for anything else.
    """

    shape: tuple[int, ...]
    divisor: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    dtype: Literal["float32"] = "float32"
    sound: LogMel | None = None
    source: str = "as they are"

    def __post_init__(self) -> None:
        whole = isinstance(self.shape, (list, tuple)) and all(type(n) is int and n >= 1 for n in self.shape)
        _require(whole and len(self.shape) >= 1, f"shape must be whole numbers >= 1, got {self.shape!r}")
        object.__setattr__(self, "shape", tuple(self.shape))
        for name in ("divisor", "offset"):
            object.__setattr__(self, name, _numbers(getattr(self, name), name, self.shape[-1]))
        _require(all(self.divisor), f"divisor must not be 0, got {list(self.divisor)}")
        _require(self.dtype == "float32", f"dtype must be 'float32', got {self.dtype!r}")
        bands = None if self.sound is None else self.sound.bands
        fits = bands is None or self.shape[1:] in ((bands,), (bands, 1))
        _require(fits, f"shape must be (frames, {bands}) or (frames, {bands}, 1), got {self.shape}")
        _require(isinstance(self.source, str), f"source must be text, got {self.source!r}")

    @classmethod
    def standard(cls, x: np.ndarray, sound: LogMel | None = None) -> SignalContract:
        """Of values [N, ..., C]: every channel less its mean, by its standard deviation.

        >>> SignalContract.standard(np.array([[[1.0], [3.0]]])).range_of(np.array([[[1.0], [3.0]]]))
        (-1.0, 1.0)
        """
        flat = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
        deviation = np.maximum(flat.std(axis=0), LEAST_DEVIATION)
        offset = -flat.mean(axis=0) / deviation
        source = "by the train data's mean and deviation"
        divisor = tuple(deviation.tolist())
        return cls(x.shape[1:], divisor, tuple(offset.tolist()), sound=sound, source=source)

    @property
    def text(self) -> str:
        """One line for people.

        >>> SignalContract((64, 3)).text
        '64x3 float32, values as they are'
        """
        shape = "x".join(map(str, self.shape))
        plain = set(self.divisor) == {1.0} and set(self.offset) == {0.0}
        own = f"values {self.source}" if plain else f"values scaled a channel ({self.source})"
        kind = "float32" if self.sound is None else f"log-mel of {self.sound.sample_rate:,} Hz"
        return f"{shape} {kind}, {own}"

    def range_of(self, x: np.ndarray) -> tuple[float, float]:
        """The least and the greatest value of `x` [N, ...] at the model."""
        at_model = self.apply(x)
        return float(at_model.min()), float(at_model.max())

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Values [N, ...] as the model takes them: float32. Raises `TfodlError` for another shape."""
        divisor, offset = (np.array(v, np.float32) for v in (self.divisor, self.offset))
        found: np.ndarray = self._float(values) / divisor + offset
        return found

    def steps(self, quant: QParams) -> tuple[np.ndarray, np.ndarray, int]:
        """What `quantize` takes for a tensor of `quant`: mean and gain float32 [1 or C], and the zero
        point."""
        divisor, offset = np.broadcast_arrays(np.array(self.divisor), np.array(self.offset))
        mean, gain = -offset * divisor, 1 / (divisor * float(quant.scale[0]))
        return mean.astype(np.float32), gain.astype(np.float32), int(quant.zero_point[0])

    def quantize(self, values: np.ndarray, quant: QParams) -> np.ndarray:
        """Values [N, ...] as the int8 input of a tensor of `quant`; halves to even, saturated, NaN as
        -128."""
        mean, gain, zero = self.steps(quant)
        with np.errstate(over="ignore", invalid="ignore"):
            steps = (self._float(values) - mean) * gain
        steps = np.minimum(np.where(steps > -FAR, steps, -FAR), FAR)
        found: np.ndarray = np.clip(np.rint(steps) + zero, -128, 127).astype(np.int8)
        return found

    def _float(self, values: np.ndarray) -> np.ndarray:
        values = np.asarray(values)
        if values.dtype.kind not in "fiu" or values.shape[-len(self.shape) :] != self.shape:
            raise TfodlError(
                f"values must be numbers [N, {', '.join(map(str, self.shape))}], got {values.dtype} "
                f"{list(values.shape)}."
            )
        return values.astype(np.float32, copy=False)

    def then(self, divisor: Sequence[float], offset: Sequence[float], flip: bool = False) -> SignalContract:
        """This contract for the rest of a model that begins with `x / divisor + offset`. Raises `TfodlError`
        where the channels are reversed as well."""
        _require(not flip, "a model of signals that begins by reversing its channels; reverse them before it")
        d, o = (np.array(values) for values in (self.divisor, self.offset))
        d, o = d * np.array(divisor), o / np.array(divisor) + np.array(offset)
        return dataclasses.replace(self, divisor=tuple(d.tolist()), offset=tuple(o.tolist()))

    def check(self, shape: Sequence[int], scale: float, zero: int) -> None:
        """Raise `TfodlError` unless this can be the contract of an int8 tensor [1, *shape]."""
        if tuple(shape) != self.shape:
            raise TfodlError(
                f"input contract: made for values {list(self.shape)}, the model takes {list(shape)}."
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}
        return plain | {"sound": None if self.sound is None else self.sound.to_dict()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> SignalContract:
        """The contract in `raw`. Raises `TfodlError` for unknown or missing fields and bad values."""
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(raw) - set(names))
        _require(not unknown, f"unknown field(s) {unknown}; allowed: {names}")
        _require("shape" in raw, "field(s) ['shape'] are missing")
        sound = raw.get("sound")
        return cls(**{**raw, "sound": None if sound is None else LogMel.from_dict(sound)})


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise TfodlError(f"input contract: {message}.")


def _numbers(value: object, name: str, channels: int) -> tuple[float, ...]:
    """`value` as one number or one a channel."""
    good = isinstance(value, (list, tuple)) and len(value) in (1, channels)
    good = good and all(isinstance(v, (int, float)) and math.isfinite(v) for v in value)  # type: ignore[attr-defined]
    _require(good, f"{name} must be 1 or {channels} finite numbers, got {value!r}")
    return tuple(float(v) for v in value)  # type: ignore[attr-defined]
