"""The call of a STREAM: a block with its stages on the stack, and one kernel."""

from __future__ import annotations

from tflm_export.emit.engine import Engine
from tflm_export.emit.names import ring_symbol
from tflm_export.geometry import Geometry
from tflm_export.ir import Op
from tflm_export.memory.row_fed import is_fed
from tflm_export.memory.stream import input_ring, rings
from tflm_export.ops.add import add_struct
from tflm_export.ops.convolution.layer import conv_struct, layer_kernel
from tflm_export.ops.gather_channels import listed
from tflm_export.ops.text import clip_mask, kernel_call

KINDS = {"conv": "kConv", "pointwise": "kPointwise", "depthwise": "kDepthwise"}


def stream_call(e: Engine, op: Op, masks: bool) -> list[str]:
    """The statements that run a chain of layers by rows."""
    stages, residual = op.attrs["stages"], op.attrs["residual"]
    rows = [f"      {_stage(e, op, i, masks)}," for i in range(len(stages))]
    if is_fed(op):
        rows.insert(0, f"      {_input_stage(e, op)},")
    lines = ["{", "  const tfodl::Stage stages[] = {", *rows, "  };"]
    if residual is not None:
        lines.append(f"  const tfodl::Residual residual = {_residual(e, op, masks)};")
    pointer = "nullptr" if residual is None else "&residual"
    kernel, x = ("stream_fed_s8", "row_source") if is_fed(op) else ("stream_s8", e.at(op.inputs[0], "s8"))
    call = kernel_call(kernel, "stages", len(rows), x, pointer, e.scratch(op))
    return [*lines, f"  {call[0]}", "}"]


def _stage(e: Engine, op: Op, i: int, masks: bool) -> str:
    stage = op.attrs["stages"][i]
    conv, kind = conv_struct(e, stage), KINDS[layer_kernel(e, stage)]
    rows, _ = rings(op, e.graph)[i]
    ring = f"s8(at::{ring_symbol(op, i)})" if rows else e.at(stage.outputs[0], "s8")
    rows = rows or Geometry.of(stage, e.graph).out_shape[0]
    kept = next((k for k in op.attrs["kept"] if masks and k.inputs[0] == stage.outputs[0]), None)
    saved = "nullptr, nullptr, 0"
    if kept is not None:
        saved = ", ".join((e.at(kept.outputs[0], "s8"), *listed(e, kept)))
    head = f"tfodl::StageKind::{kind}, &{conv}, {{{ring}, {rows}}}, {op.attrs['steps'][i]}"
    return f"{{{head}, {clip_mask(e, stage, masks)}, {saved}}}"


def _input_stage(e: Engine, op: Op) -> str:
    """The input, which comes row by row."""
    height, width, channels = e.tensor(op.inputs[0]).shape[1:]
    shape = [f"0, 0, 0, {height}, {width}, {channels}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  // the input's"]
    rows = ["nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, 0,"]
    conv = e.struct("Conv", "input_map", [*shape, *rows])
    ring = f"{{s8(at::rows_x), {input_ring(op, e.graph)[0]}}}"
    return f"{{tfodl::StageKind::kConv, &{conv}, {ring}, 1, nullptr, nullptr, nullptr, 0}}"


def _residual(e: Engine, op: Op, masks: bool) -> str:
    """The ADD of the last stage's output (first operand of the struct) and the skip."""
    add, last = op.attrs["residual"], op.attrs["stages"][-1].outputs[0]
    skip = next(name for name in add.inputs if name != last)
    struct = add_struct(e, add, swapped=add.inputs[0] != last)
    return f"{{&{struct}, {e.at(skip, 's8')}, {e.at(add.outputs[0], 's8')}, {clip_mask(e, add, masks)}}}"
