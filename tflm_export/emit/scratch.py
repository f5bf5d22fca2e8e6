"""The checks of engine.cpp: the kernels' own word on the scratch that the plan gives them."""

from __future__ import annotations

from tflm_export.emit.engine import Engine
from tflm_export.emit.slices import slices_checks
from tflm_export.ir import Op
from tflm_export.memory.stream import CONVOLUTIONS
from tflm_export.ops import WEIGHTED
from tflm_export.ops.convolution.layer import conv_constant, layer_kernel
from tflm_export.ops.convolution.update import weights_kernel


def scratch_checks(e: Engine) -> str:
    """A `static_assert` for every scratch buffer of the plan."""
    lines = []
    for op in e.graph.ops:
        if op.kind == "SLICES":
            sizes = {b.name: b.nbytes for b in e.memory.buffers}
            for what, needs in slices_checks(e, op):
                lines.append(f'static_assert(tfodl::{needs} == {sizes[f"{op.name}/{what}"]}, "{what}");')
            continue
        buffer = next((b for b in e.memory.buffers if b.name == f"{op.name}/scratch"), None)
        if buffer is None:
            continue
        for inner in op.members:
            if inner.kind in CONVOLUTIONS or inner is op:
                exact = "<=" if op.kind == "STREAM" else "=="
                needs = _scratch_function(e, inner)
                lines.append(f'static_assert({needs} {exact} {buffer.nbytes}, "scratch");')
    return "\n".join(lines)


def _scratch_function(e: Engine, op: Op) -> str:
    layer = e.layer(op)
    conv = conv_constant(e, layer) if layer.kind in WEIGHTED else f"conv{layer.label}"
    if op.role == "gradient" and e.gradients == "float32":
        kernel = "depthwise" if layer_kernel(e, layer) == "depthwise" else "conv"
        return f"tfodl::{kernel}_input_grad_f32_scratch_bytes({conv})"
    variable = e.variable(op.inputs[-1]) if op.role == "update" else None
    if variable is not None:
        kernel = weights_kernel(e, op, variable)
        gathered = f" + {e.tensor(layer.inputs[0]).size}" if variable.pooled and variable.depthwise else ""
        return _update_scratch(kernel, conv, variable.room) + gathered
    if "pixels" in op.attrs:
        kernel = "pointwise_pixels_s8" if op.role == "forward" else "pointwise_pixels_input_grad_s16"
        return f"tfodl::{kernel}_scratch_bytes({conv}, {op.attrs['pixels']})"
    suffix = "s8" if op.role == "forward" else "input_grad_s16"
    return f"tfodl::{layer_kernel(e, layer)}_{suffix}_scratch_bytes({conv})"


def _update_scratch(kernel: str, conv: str, channels: int) -> str:
    if kernel == "conv_columns":
        return f"tfodl::conv_columns_update_s8_scratch_bytes({conv}, {channels})"
    return f"tfodl::{kernel}_weights_update_s8_scratch_bytes({conv})"
