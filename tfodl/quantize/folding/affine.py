"""`Affine`: the scaling with which a model begins, layer by layer, for the input's quantisation to take up.

Rescaling, Normalization, arithmetic with constants and a reversal of the channels (`x[..., ::-1]`, or what
`keras.applications` does for BGR).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Affine:
    """`y = x * scale + offset`, one value or one a channel; `x` with its channels reversed where `flip`.

    >>> Affine((2.0,), (1.0,)).then(Affine((10.0,), (0.0,)))
    Affine(scale=(20.0,), offset=(10.0,), flip=False)
    """

    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)
    flip: bool = False

    @property
    def identity(self) -> bool:
        """Whether nothing changes."""
        return set(self.scale) == {1.0} and set(self.offset) == {0.0} and not self.flip

    def then(self, after: Affine) -> Affine:
        """This, then `after`."""
        step = -1 if after.flip else 1
        scale, offset = (np.array(v, np.float64)[::step] for v in (self.scale, self.offset))
        offset = offset * np.array(after.scale) + np.array(after.offset)
        flip = self.flip != after.flip
        return Affine(tuple((scale * np.array(after.scale)).tolist()), tuple(offset.tolist()), flip)

    def apply(self, x: Any) -> np.ndarray:
        """`x` [N, ..., C] scaled, float32."""
        x = np.asarray(x, np.float32)[..., :: -1 if self.flip else 1]
        found: np.ndarray = x * np.array(self.scale, np.float32) + np.array(self.offset, np.float32)
        return found


def affine_before(tensor: Any) -> tuple[Any, Affine] | None:
    """The symbolic tensor that `tensor` is an affine function of, and the function; None where a layer of
    another kind makes it."""
    layer, call = producer(tensor)
    find = _FINDERS.get(type(layer).__name__)
    step = find(layer, call) if find is not None else None
    return step if step is None or step[0].shape == tensor.shape else None  # a constant may widen it


def producer(tensor: Any) -> tuple[Any, Any]:
    """The layer that made a symbolic tensor, and its call."""
    layer, node_index, *_ = tensor._keras_history
    return layer, layer._inbound_nodes[node_index]


def parents(call: Any) -> list[Any]:
    """The symbolic tensors that a call read."""
    found = call.input_tensors if hasattr(call, "input_tensors") else call.keras_inputs
    return list(found) if isinstance(found, (list, tuple)) else [found]


def layer_affine(layer: Any) -> Affine | None:
    """The function of a Rescaling or Normalization layer; None for others, and where it is not by channel."""
    if type(layer).__name__ == "Rescaling":
        return _by_channel(layer.scale, layer.offset)
    if type(layer).__name__ == "Normalization" and not layer.invert:
        deviation = np.maximum(np.sqrt(np.asarray(layer.variance, np.float64)), 1e-7)
        return _by_channel(1 / deviation, -np.asarray(layer.mean, np.float64) / deviation)
    return None


def _of_layer(layer: Any, call: Any) -> tuple[Any, Affine] | None:
    rule = layer_affine(layer)
    return None if rule is None else (parents(call)[0], rule)


def _by_channel(scale: Any, offset: Any) -> Affine | None:
    """The function of values that are one, or one for each of the last axis."""
    values = [np.asarray(v, np.float64) for v in (scale, offset)]
    if any(v.size != (v.shape[-1] if v.ndim else 1) for v in values) or not values[0].all():
        return None
    gains, shifts = (tuple(v.reshape(-1).tolist()) for v in values)
    return Affine(gains, shifts)


_Made = Callable[[Any, bool], "tuple[Any, Any] | None"]
_ARITHMETIC: dict[str, _Made] = {  # (constant, whether it is the left operand) -> scale, offset
    "Add": lambda c, left: (np.ones_like(c), c),
    "Subtract": lambda c, left: (np.full_like(c, -1), c) if left else (np.ones_like(c), -c),
    "Multiply": lambda c, left: (c, np.zeros_like(c)),
    "TrueDivide": lambda c, left: None if left else (1 / c, np.zeros_like(c)),
    "Divide": lambda c, left: None if left else (1 / c, np.zeros_like(c)),
}


def _of_arithmetic(operation: Any, call: Any) -> tuple[Any, Affine] | None:
    """The function of an operation of one tensor and one constant; None for two tensors."""
    operands = list(getattr(getattr(call, "arguments", None), "args", ()))
    symbolic = [hasattr(value, "_keras_history") for value in operands]
    if len(operands) != 2 or sum(symbolic) != 1:
        return None
    tensor, constant = operands if symbolic[0] else operands[::-1]
    made = _ARITHMETIC[type(operation).__name__](np.asarray(constant, np.float64), not symbolic[0])
    rule = None if made is None else _by_channel(*made)
    return None if rule is None else (tensor, rule)


def _of_reversal(operation: Any, call: Any) -> tuple[Any, Affine] | None:
    """`x[..., ::-1]`."""
    tensor, key = call.arguments.args
    reverse = _of_channels(tensor, key) == slice(None, None, -1)
    return (tensor, Affine(flip=tensor.shape[-1] > 1)) if reverse else None


def _of_stack(operation: Any, call: Any) -> tuple[Any, Affine] | None:
    """`stack([x[..., 2], x[..., 1], x[..., 0]], axis=-1)`."""
    made = [producer(tensor) for tensor in parents(call)]
    if operation.axis != -1 or any(type(layer).__name__ != "GetItem" for layer, _ in made):
        return None
    sources, keys = zip(*(node.arguments.args for _, node in made), strict=True)
    channels = sources[0].shape[-1]
    taken = [_of_channels(source, key) for source, key in zip(sources, keys, strict=True)]
    reverse = taken == list(reversed(range(channels))) and _all_same(sources)
    return (sources[0], Affine(flip=channels > 1)) if reverse else None


def _of_channels(tensor: Any, key: Any) -> Any:
    """What `tensor[key]` takes of the last axis, all others whole; None for another key. A key is a list in a
    model from a file."""
    *others, last = key if isinstance(key, (tuple, list)) else (key,)
    whole = others == [Ellipsis] or others == [slice(None)] * (len(tensor.shape) - 1)
    return last if whole else None


def _all_same(tensors: Sequence[Any]) -> bool:
    return all(tensor is tensors[0] for tensor in tensors)


_FINDERS: dict[str, Callable[[Any, Any], tuple[Any, Affine] | None]] = {
    "Rescaling": _of_layer,
    "Normalization": _of_layer,
    "GetItem": _of_reversal,
    "Stack": _of_stack,
    **dict.fromkeys(_ARITHMETIC, _of_arithmetic),
}
