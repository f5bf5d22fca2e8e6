"""Which channel of an input each channel of the output is made from: rules for `OpKind.reads`.

A channel is a place along the last axis. `NONE`: the output's channel takes nothing of that input, or what
all the others take, too, its one channel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tflm_export.ir import Op, Tensor

NONE = -1
Tensors = Mapping[str, Tensor]
Sources = tuple[np.ndarray, ...]  # one an operand: int64 [channels of the output]


def channels(tensor: Tensor) -> int:
    """Length of the last axis; 1 for a scalar."""
    return tensor.shape[-1] if tensor.shape else 1


def channelwise(op: Op, tensors: Tensors) -> Sources | None:
    """Every channel from the same one of every operand that has so many; None where the axis is another."""
    size = channels(tensors[op.outputs[0]])
    if channels(tensors[op.inputs[0]]) != size:
        return None
    return (np.arange(size),)


def elementwise(op: Op, tensors: Tensors) -> Sources:
    """The same channel of both operands; an operand of one channel goes to all."""
    size = channels(tensors[op.outputs[0]])
    own = [channels(tensors[name]) == size for name in op.inputs]
    return tuple(np.arange(size) if have else np.full(size, NONE) for have in own)


def reshaped(op: Op, tensors: Tensors) -> Sources | None:
    """A flattened map holds its channels again and again; None for a last axis that splits them."""
    before, after = (channels(tensors[name]) for name in (op.inputs[0], op.outputs[0]))
    return (np.arange(after) % before,) if after % before == 0 else None


def repeated(op: Op, tensors: Tensors) -> Sources:
    """REPEAT_CHANNELS: `times` of each in a row."""
    return (np.arange(channels(tensors[op.outputs[0]])) // op.attrs["times"],)


def joined(op: Op, tensors: Tensors) -> Sources:
    """CONCATENATION: one operand's after the other's, or of all where it joins along another axis."""
    size, y = channels(tensors[op.outputs[0]]), tensors[op.outputs[0]]
    if op.attrs["axis"] != len(y.shape) - 1:
        return tuple(np.arange(size) for _ in op.inputs)
    sources, start = [], 0
    for name in op.inputs:
        source, count = np.full(size, NONE), channels(tensors[name])
        source[start : start + count] = np.arange(count)
        sources.append(source)
        start += count
    return tuple(sources)


def padded(op: Op, tensors: Tensors) -> Sources | None:
    """PAD around a map; None where it adds channels."""
    return None if any(op.attrs["padding"][-1]) else channelwise(op, tensors)


def reduced(op: Op, tensors: Tensors) -> Sources | None:
    """MEAN over a map; None where it takes channels together."""
    return None if len(tensors[op.inputs[0]].shape) - 1 in op.attrs["axes"] else channelwise(op, tensors)
