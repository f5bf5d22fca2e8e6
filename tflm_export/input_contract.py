"""`InputContract`: what a picture's pixels are to a model, so that they mean the same from the folder to the
board.

A pixel p in 0..255 of channel c reaches the model as `x = p / divisor[c] + offset[c]`, and an int8 model as
`q = round(x / scale) + zero`.

>>> contract = InputContract.parse("0..1", (2, 2, 1))
>>> contract.apply(np.full((1, 2, 2, 1), 255, np.uint8)).max()
np.float32(1.0)
>>> InputContract.from_json(contract.to_json()) == contract
True
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.ir import QParams

ORDERS = {1: ("grey",), 3: ("rgb", "bgr")}
RESIZES = ("bilinear",)
USUAL: dict[str, tuple[tuple[float, ...], tuple[float, ...], str]] = {  # name: divisor, offset, order
    "-1..1": ((127.5,), (-1.0,), "rgb"),
    "0..1": ((255.0,), (0.0,), "rgb"),
    "0..255": ((1.0,), (0.0,), "rgb"),
    "torch": ((58.395, 57.12, 57.375), (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225), "rgb"),
    "caffe": ((1.0,), (-103.939, -116.779, -123.68), "bgr"),
}
FORMS = f"{', '.join(USUAL)}, LOW..HIGH, or MEAN,STD of the pixels (two numbers, or three of each)"


@dataclass(frozen=True)
class InputContract:
    """How a picture becomes a model's input.

    shape: (height, width, channels) of one picture.
    divisor, offset: one value, or one a channel in the model's order: `x = pixel / divisor + offset`.
    order: of the model's channels: `"grey"`, `"rgb"` or `"bgr"`; pictures come as grey or RGB.
    dtype: of the pixels. resize: how pictures of another size are brought to `shape`: `"bilinear"` with
        antialiasing, to height and width whatever the picture's shape.
    source: where the rule was found, for people.

    Raises `TfodlError` for anything else.
    """

    shape: tuple[int, int, int]
    divisor: tuple[float, ...] = (127.5,)
    offset: tuple[float, ...] = (-1.0,)
    order: Literal["grey", "rgb", "bgr"] = "rgb"
    dtype: Literal["uint8"] = "uint8"
    resize: Literal["bilinear"] = "bilinear"
    source: str = "given"

    def __post_init__(self) -> None:
        shape = _picture_shape(self.shape)
        object.__setattr__(self, "shape", shape)
        for name in ("divisor", "offset"):
            object.__setattr__(self, name, _numbers(getattr(self, name), name, shape[2]))
        _require(all(self.divisor), f"divisor must not be 0, got {list(self.divisor)}")
        allowed = ORDERS[shape[2]]
        _require(
            self.order in allowed, f"order of {shape[2]} channel(s) must be in {allowed}, got {self.order!r}"
        )
        _require(self.dtype == "uint8", f"dtype must be 'uint8', got {self.dtype!r}")
        _require(self.resize in RESIZES, f"resize must be in {RESIZES}, got {self.resize!r}")
        _require(isinstance(self.source, str), f"source must be text, got {self.source!r}")

    @classmethod
    def parse(cls, text: str, shape: Sequence[int], source: str = "--input") -> InputContract:
        """The contract that `text` names: a key of `USUAL`, `LOW..HIGH` or `MEAN,STD` in pixels.

        >>> InputContract.parse("127.5,127.5", (8, 8, 1)).range
        (-1.0, 1.0)
        """
        channels = _picture_shape(shape)[2]
        divisor, offset, order = _scaling(text.strip(), channels)
        order = order if channels == 3 else "grey"
        return cls(tuple(shape), divisor, offset, order, source=source)  # type: ignore[arg-type]

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest value that a pixel has at the model, over all channels."""
        ends = self._real(np.array([0, 255], np.uint8)[:, None])
        return float(ends.min()), float(ends.max())

    @property
    def text(self) -> str:
        """One line for people.

        >>> InputContract.parse("caffe", (8, 8, 3)).text
        '8x8x3 bgr, pixels as -123.68..151.061 (--input)'
        """
        low, high = self.range
        shape = "x".join(map(str, self.shape))
        return f"{shape} {self.order}, pixels as {low:.6g}..{high:.6g} ({self.source})"

    def apply(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures uint8 [N, H, W, C], grey or RGB, as the model takes them: float32 [N, H, W, C]."""
        pictures = np.asarray(pictures)
        if pictures.dtype != np.uint8 or pictures.shape[-3:] != self.shape:
            height, width, _ = self.shape
            raise TfodlError(
                f"pictures must be uint8 [N, {', '.join(map(str, self.shape))}], got {pictures.dtype} "
                f"{list(pictures.shape)}; resize them ({self.resize}, antialiased) to {height}x{width}."
            )
        return self._real(pictures[..., ::-1] if self.order == "bgr" else pictures)

    def quantize(self, pictures: np.ndarray, quant: QParams) -> np.ndarray:
        """Pictures uint8 [N, H, W, C] as the int8 input [N, H, W, C] of a tensor of `quant`."""
        return quant.quantize(self.apply(pictures))

    def table(self, quant: QParams) -> np.ndarray:
        """The int8 input [256, 1 or C] of every pixel, by the model's channel: what `quantize` gives."""
        return quant.quantize(self._real(np.arange(256, dtype=np.uint8)[:, None]))

    def then(self, divisor: Sequence[float], offset: Sequence[float], flip: bool = False) -> InputContract:
        """This contract for the rest of a model that begins with `x / divisor + offset`, after a flip of the
        channel order where `flip`."""
        step = -1 if flip else 1
        d, o = (np.array(values)[::step] for values in (self.divisor, self.offset))
        d, o = d * np.array(divisor), o / np.array(divisor) + np.array(offset)
        order = {"rgb": "bgr", "bgr": "rgb"}[self.order] if flip else self.order
        return InputContract.from_dict(
            self.to_dict() | {"divisor": d.tolist(), "offset": o.tolist(), "order": order}
        )

    def check(self, shape: Sequence[int], scale: float, zero: int) -> None:
        """Raise `TfodlError` unless this can be the contract of an int8 tensor [1, *shape] with `scale` and
        `zero`: at least an eighth of the pixels' range lies in the tensor's, which is not much wider."""
        if tuple(shape) != self.shape:
            raise TfodlError(
                f"input contract: made for pictures {list(self.shape)}, the model takes {list(shape)}."
            )
        low, high = self.range
        least, most = scale * (-128 - zero), scale * (127 - zero)
        inside = min(high, most) - max(low, least)
        if inside < (high - low) / 8 or high - low < (most - least) / 16:
            raise TfodlError(
                f"input contract: pixels reach the model as {low:.4g}..{high:.4g} ({self.source}), but its "
                f"input holds {least:.4g}..{most:.4g}; give --input as the model was trained ({FORMS})."
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}

    @classmethod
    def from_dict(cls, raw: object) -> InputContract:
        """The contract in `raw`. Raises `TfodlError` for unknown or missing fields and bad values."""
        _require(isinstance(raw, Mapping), f"expected an object, got {type(raw).__name__}")
        assert isinstance(raw, Mapping)
        names = [field.name for field in dataclasses.fields(cls)]
        unknown, missing = sorted(set(raw) - set(names)), sorted({"shape"} - set(raw))
        _require(not unknown, f"unknown field(s) {unknown}; allowed: {names}")
        _require(not missing, f"field(s) {missing} are missing")
        return cls(**raw)

    def to_json(self) -> str:
        """Indented JSON."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> InputContract:
        """Parse and validate. Raises `TfodlError`."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise TfodlError(f"input contract: not JSON ({error}).") from error
        return cls.from_dict(raw)

    def _real(self, pixels: np.ndarray) -> np.ndarray:
        divisor, offset = (np.array(v, np.float32) for v in (self.divisor, self.offset))
        return pixels.astype(np.float32) / divisor + offset


def usual(shape: Sequence[int]) -> dict[str, InputContract]:
    """The usual scalings of pictures of `shape`, by name."""
    channels = _picture_shape(shape)[2]
    names = [name for name, (_, offset, _) in USUAL.items() if len(offset) in (1, channels)]
    return {name: InputContract.parse(name, shape, "usual") for name in names}


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise TfodlError(f"input contract: {message}.")


def _picture_shape(shape: object) -> tuple[int, int, int]:
    whole = isinstance(shape, (list, tuple)) and all(
        isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in shape
    )
    good = whole and len(shape) == 3 and shape[2] in ORDERS  # type: ignore[arg-type, index]
    _require(good, f"shape must be (height, width, 1 or 3 channels) of a picture, got {shape!r}")
    return tuple(shape)  # type: ignore[arg-type, return-value]


def _numbers(value: object, name: str, channels: int) -> tuple[float, ...]:
    """`value` as one number or one a channel."""
    good = isinstance(value, (list, tuple)) and len(value) in (1, channels)
    good = good and all(isinstance(v, (int, float)) and math.isfinite(v) for v in value)  # type: ignore[attr-defined]
    _require(good, f"{name} must be 1 or {channels} finite numbers, got {value!r}")
    return tuple(float(v) for v in value)  # type: ignore[attr-defined]


def _scaling(text: str, channels: int) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Divisor, offset and order that `text` stands for."""
    if text in USUAL and (channels == 3 or len(USUAL[text][1]) == 1):
        return USUAL[text]
    try:
        if ".." in text:
            low, high = map(float, text.split(".."))
            return (255 / (high - low),), (low,), "rgb"
        numbers = [float(part) for part in text.split(",")]
    except (ValueError, ZeroDivisionError):
        numbers = []
    half = len(numbers) // 2
    if len(numbers) not in (2, 2 * channels) or not all(numbers[half:]):
        raise TfodlError(f"--input {text!r} is no scaling of {channels} channel(s); allowed: {FORMS}.")
    mean, std = numbers[:half], numbers[half:]
    return tuple(std), tuple(-m / s for m, s in zip(mean, std, strict=True)), "rgb"
