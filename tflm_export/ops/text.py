"""C++ text that several ops share: a kernel call, its clip mask, the `Spread` of an operand."""

from __future__ import annotations

import math

from tflm_export.errors import ExportError
from tflm_export.ir import Op
from tflm_export.ops.broadcast import spread
from tflm_export.ops.check import where
from tflm_export.ops.kind import Emitter

FUSED = {"activation": "FusedActivationFunction"}


def kernel_call(name: str, *arguments: object) -> list[str]:
    """`tfodl::name(arguments);`.

    >>> kernel_call("add_s8", "add3", 16)
    ['tfodl::add_s8(add3, 16);']
    """
    return [f"tfodl::{name}({', '.join(map(str, arguments))});"]


def clip_mask(e: Emitter, op: Op, masks: bool) -> str:
    """Where a forward op keeps its clip mask; nullptr in an inference, and where none is needed."""
    return e.at(op.outputs[1], "bits") if masks and len(op.outputs) > 1 else "nullptr"


def elements(e: Emitter, op: Op) -> int:
    """Size of what the op writes."""
    return e.tensor(op.outputs[0]).size


def same_sizes(e: Emitter, op: Op) -> bool:
    """Whether no operand of ADD, SUB or MUL is broadcast."""
    return {e.tensor(name).size for name in op.inputs} == {elements(e, op)}


def spread_text(e: Emitter, op: Op, position: int) -> str:
    """The `Spread` of an operand of forward op `op`. Raises `ExportError` where the kernels have none."""
    shapes = [e.tensor(name).shape for name in (*op.inputs, op.outputs[0])]
    if "times" in op.attrs:
        return f"{{{op.attrs['times']}, {math.prod(shapes[0])}}}"
    found = spread(shapes[position], shapes[-1])
    if found is None:
        raise ExportError(
            f"{where(op)}: broadcasting {list(shapes[position])} to {list(shapes[-1])} is not supported; "
            "allowed: along the first and along the last axes. Repeat the operand in the model, or "
            "reorder its axes."
        )
    return f"{{{found[0]}, {found[1]}}}"


def operands_text(e: Emitter, op: Op) -> list[str]:
    """Both operands of ADD, SUB or MUL; each with its `Spread` where one is broadcast."""
    operands = [e.at(name, "s8") for name in op.inputs]
    if same_sizes(e, op):
        return operands
    return [text for i, at in enumerate(operands) for text in (at, spread_text(e, op, i))]


def elementwise_call(e: Emitter, op: Op, masks: bool, struct: str) -> list[str]:
    """The call of ADD, SUB or MUL."""
    name = f"{op.kind.lower()}_s8" if same_sizes(e, op) else f"{op.kind.lower()}_broadcast_s8"
    args = (elements(e, op), e.at(op.outputs[0], "s8"), clip_mask(e, op, masks))
    return kernel_call(name, struct, *operands_text(e, op), *args)


def requantize_struct(e: Emitter, op: Op, second: int = 0) -> str:
    """`constexpr tfodl::Requantize requantize4` for MUL, QUANTIZE, RELU, MEAN.

    second: zero point of the second factor.
    """
    a = op.attrs
    low, high = a.get("act_min", -128), a.get("act_max", 127)
    rows = [
        f"{e.zero(op.inputs[0])}, {second}, {e.zero(op.outputs[0])}, {low}, {high},  // zero points, clamp",
        f"{a['multiplier']}, {a['shift']},",
    ]
    return e.struct("Requantize", f"requantize{op.label}", rows)
