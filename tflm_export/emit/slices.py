"""The calls of a SLICES op: what it stands for as structs, and one kernel or two."""

from __future__ import annotations

from tflm_export.cpp import literal
from tflm_export.emit.engine import Engine
from tflm_export.emit.names import op_symbol, part_symbol
from tflm_export.ir import Op
from tflm_export.memory.slices import bottleneck, sliced_columns
from tflm_export.ops.convolution.gradient import conv_scale
from tflm_export.ops.convolution.layer import channel_table, conv_struct
from tflm_export.ops.convolution.rates import rate_factor
from tflm_export.ops.convolution.update import state_arrays
from tflm_export.ops.text import clip_mask, kernel_call

NO_UPDATE = "{{}, 0.0f, false, nullptr}"


def slices_call(e: Engine, op: Op, masks: bool) -> list[str]:
    """The statements that run layers, or their gradients and updates, some channels at a time."""
    return _forward(e, op, masks) if op.role == "forward" else _backward(e, op)


def slices_checks(e: Engine, op: Op) -> list[tuple[str, str]]:
    """(buffer, the kernels' own word on how many bytes it has)."""
    n = op.attrs["channels"]
    if op.role == "forward":
        expand, depthwise = (conv_struct(e, layer) for layer in op.members)
        return [("scratch", f"slices_s8_scratch_bytes({expand}, {depthwise}, {n})")]
    found = bottleneck(op, e.graph)
    expand, depthwise, project = (conv_struct(e, m) for m in (found.expand, found.depthwise, found.project))
    sizes = f"{n}, {op.attrs['pixels']}, {sliced_columns(op)}"
    return [
        ("scratch", f"sliced_grad_scratch_bytes({expand}, {depthwise}, {project}, {sizes})"),
        ("slices", f"sliced_grad_slices_bytes({depthwise}, {n})"),
        ("sums", f"sliced_grad_sums_bytes({expand})"),
    ]


def _forward(e: Engine, op: Op, masks: bool) -> list[str]:
    expand, depthwise = op.members
    x, y = e.at(expand.inputs[0], "s8"), e.at(depthwise.outputs[0], "s8")
    ends = (x, clip_mask(e, expand, masks), y, clip_mask(e, depthwise, masks), e.scratch(op))
    structs = (conv_struct(e, layer) for layer in (expand, depthwise))
    return kernel_call("slices_s8", *structs, op.attrs["channels"], *ends)


def _backward(e: Engine, op: Op) -> list[str]:
    """Two calls; what they are about lies in flash."""
    project, depthwise, expand = (m for m in op.members if m.role == "gradient")
    i, n = op.label, op.attrs["channels"]
    rows = [f"{_layer(e, member)}," for member in (expand, depthwise, project)]
    layers = e.struct("Bottleneck", f"bottleneck{i}", [*rows, f"{n}, {op.attrs['pixels']},"], constant=False)
    memory = e.struct("SlicedMemory", f"slices{i}", [_memory(e, op)], constant=False)
    g = (e.at(project.inputs[0], "s16"), e.exponent(project.inputs[0]))
    calls = kernel_call("sliced_input_grad_s16", layers, *g, e.at(expand.outputs[0], "s16"), memory)
    note = f"// and of {project.of} and {depthwise.of} before it, {n} channels at a time"
    return [note, *calls, *_updates(e, op, layers, g, memory)]


def _address(symbol: str, ctype: str) -> str:
    """A place in the arena as an initialiser that the compiler puts into flash."""
    return f"reinterpret_cast<{ctype}*>(arena + at::{symbol})"


def _layer(e: Engine, op: Op) -> str:
    """The SlicedLayer of an input gradient."""
    layer, scale, mask = e.layer(op), conv_scale(e.layer(op), e.graph), op.inputs[1]
    numbers = f"{scale.multiplier}, {scale.shift}, {scale.exponent}, {scale.headroom}"
    bits = _address(e.symbols[mask], "const uint8_t") if mask else "nullptr"
    return f"{{&{conv_struct(e, layer)}, {numbers}, {bits}, &{e.scale(op)}}}"


def _memory(e: Engine, op: Op) -> str:
    """The fields of SlicedMemory."""
    scratch, slices = f"arena + at::scratch_{op_symbol(op)}", f"arena + at::{part_symbol('slices', op)}"
    sums = _address(part_symbol("sums", op), "int32_t")
    kept = _address(part_symbol("bias_sums", op), "int32_t") if op.attrs["sums"] else "nullptr"
    return f"{sums}, {scratch}, {slices}, {sliced_columns(op)}, {kept},"


def _updates(e: Engine, op: Op, layers: str, g: tuple[str, str], memory: str) -> list[str]:
    members = {(m.of, m.kind == "BIAS_UPDATE"): m for m in op.members if m.role == "update"}
    if not members:
        return []
    found = bottleneck(op, e.graph)
    kinds = ((found.depthwise.name, True), (found.expand.name, True), (found.expand.name, False))
    rows = [f"{_update(e, members[kind]) if kind in members else NO_UPDATE}," for kind in kinds]
    updates = e.struct("SlicedUpdates", f"updates{op.label}", rows, constant=False)
    columns = members.get((found.expand.name, False))
    x = "nullptr" if columns is None else e.at(columns.inputs[2], "s8")
    return kernel_call("sliced_updates", layers, updates, *g, x, "sgd", memory)


def _update(e: Engine, op: Op) -> str:
    """The SlicedUpdate of an update."""
    variable = e.variable(op.inputs[-1])
    assert variable is not None, op.name
    symbol = f"{'b' if variable.bias else 'w'}{op.label}"
    kept = state_arrays(e.plan.optimizer, variable).items()
    arrays = ", ".join(f"{kind}_{symbol}" if on else "nullptr" for kind, on in kept)
    channels = f"{channel_table(e, variable)}, {len(variable.channels)}"
    factor, inverse = rate_factor(op, e.layer(op), e.graph, e.plan.optimizer.qas)
    rates = f"{literal('float', float(factor))}, {str(inverse).lower()}"
    return f"{{{{nullptr, {arrays}, {op.attrs['tensor']}, {channels}}}, {rates}, {symbol}}}"
