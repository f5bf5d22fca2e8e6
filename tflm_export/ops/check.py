"""Shared checks of an operation's tensors; every failure names the op, its output and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Op, QParams, Tensor
from tflm_export.ops.requantize import ACTIVATIONS

Tensors = Mapping[str, Tensor]
MAX_MACS = 2**33


def where(op: Op) -> str:
    """How messages name an op: kind, index and first output."""
    return f"{op.kind} {op.name!r} (output {short(op.outputs[0]) if op.outputs else ''!r})"


def short(name: str) -> str:
    """A tensor's name for messages; converters join the names of fused layers to very long ones."""
    return name if len(name) <= 80 else f"{name[:77]}..."


def require(ok: bool, op: Op, message: str) -> None:
    """Raise `ExportError` about `op` unless `ok`."""
    if not ok:
        raise ExportError(f"{where(op)}: {message}")


def arity(op: Op, least: int, most: int | None = None) -> None:
    """Check the number of inputs (`least`..`most`) and that there is one output."""
    most = least if most is None else most
    count, allowed = len(op.inputs), least if least == most else f"{least} to {most}"
    require(least <= count <= most, op, f"has {count} inputs; allowed: {allowed}.")
    require(all(op.inputs[:least]), op, "a needed input is missing.")
    require(len(op.outputs) == 1 and bool(op.outputs[0]), op, f"has {len(op.outputs)} outputs; allowed: 1.")


def activation(op: Op, tensors: Tensors, name: str) -> tuple[Tensor, QParams]:
    """An int8 tensor with one scale and zero point, and these."""
    tensor = tensors[name]
    require(
        tensor.dtype == "int8",
        op,
        f"tensor {name!r} is {tensor.dtype}; allowed: int8. "
        "Convert with full integer quantisation (int8 inputs and outputs).",
    )
    quant = tensor.quant
    require(quant is not None, op, f"tensor {name!r} has no scale. Convert with full integer quantisation.")
    assert quant is not None
    require(
        len(quant.scale) == 1,
        op,
        f"tensor {name!r} has {len(quant.scale)} scales; activations must have one.",
    )
    return tensor, quant


def constant(op: Op, tensors: Tensors, name: str, dtype: str) -> np.ndarray:
    """The data of a constant of the given dtype."""
    tensor = tensors[name]
    require(tensor.data is not None, op, f"tensor {name!r} must be constant.")
    require(tensor.dtype == dtype, op, f"tensor {name!r} is {tensor.dtype}; allowed: {dtype}.")
    assert tensor.data is not None
    return tensor.data


def same_quant(op: Op, tensors: Tensors, a: str, b: str, tolerance: float = 0.0) -> None:
    """Check that two activations share scale (within `tolerance`) and zero point."""
    (_, qa), (_, qb) = activation(op, tensors, a), activation(op, tensors, b)
    require(
        abs(qa.scale[0] - qb.scale[0]) <= tolerance and qa.zero_point == qb.zero_point,
        op,
        f"{a!r} and {b!r} must have one quantisation, got scale {qa.scale[0]:g} and {qb.scale[0]:g}, "
        f"zero point {qa.zero_point[0]} and {qb.zero_point[0]}. Insert a QUANTIZE or convert again.",
    )


def shape(op: Op, tensor: Tensor, expected: Sequence[int]) -> None:
    """Check the shape that the file states against the one that follows from the inputs."""
    require(
        tensor.shape == tuple(expected),
        op,
        f"tensor {tensor.name!r} has shape {list(tensor.shape)}; expected {list(expected)}.",
    )


def rank(op: Op, tensor: Tensor, expected: int) -> None:
    """Check the number of dimensions."""
    require(
        len(tensor.shape) == expected,
        op,
        f"tensor {tensor.name!r} has shape {list(tensor.shape)}; expected {expected} dimensions.",
    )


def fused(op: Op) -> str:
    """The name of the fused activation, checked."""
    name = op.attrs.get("activation", "NONE")
    require(
        name in ACTIVATIONS, op, f"fused activation {name} is not supported; allowed: {list(ACTIVATIONS)}."
    )
    result: str = name
    return result


def headroom(op: Op, largest: int, shifts: Sequence[int]) -> None:
    """Check that accumulators up to `largest` in magnitude, shifted left as asked, stay in int32."""
    left = max(0, *shifts)
    require(
        largest << min(left, 64) < 2**31,
        op,
        f"accumulators up to {largest} shifted left by {left} leave int32: the scales do not fit together. "
        "The output's is too small; was this layer silent in calibration? Calibrate with more samples "
        "(tfodl finetune and quantize: --calibration N).",
    )
