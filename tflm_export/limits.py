"""What the kernels' parameter structs hold (arduino/src/tfodl/types.h); larger models are refused."""

from __future__ import annotations

from collections.abc import Iterator

from tflm_export.errors import ExportError
from tflm_export.geometry import Geometry
from tflm_export.ir import Graph, Op
from tflm_export.ops.check import require

INT16, UINT8 = 2**15 - 1, 2**8 - 1
MAX_ARENA_BYTES = 2**30
MAX_OVERLAP = 2**13  # elements of pool windows that overlap: gradients of a pixel are summed in int32
MAX_SQUARES = (2**32 - 1) // 255**2  # that the mean squared error sums in uint32
LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
POOLS = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
PADS = ("PAD", "PADV2")
MAPS = (*LAYERS, *POOLS, *PADS, "RESIZE_BILINEAR")

Field = tuple[str, int, int]  # what it is, its value, the largest that the struct holds


def check_limits(graph: Graph) -> Graph:
    """`graph`, when every op's shapes fit the kernels' parameters. Raises `ExportError` naming the op."""
    for op in graph.ops:
        for what, value, most in _fields(op, graph):
            require(value <= most, op, f"{what} is {value:,}; allowed: at most {most:,}. Use a smaller map.")
    return graph


def check_arena(arena: int) -> int:
    """`arena` bytes, when offsets into it fit. Raises `ExportError`."""
    if arena > MAX_ARENA_BYTES:
        raise ExportError(
            f"the tensors need {arena:,} B of RAM at once; allowed: at most {MAX_ARENA_BYTES:,}."
        )
    return arena


def _fields(op: Op, graph: Graph) -> Iterator[Field]:
    if op.kind in MAPS:
        yield from _sides(op, graph)
    if op.kind in LAYERS:
        geometry = Geometry.of(op, graph)
        yield "the kernel's side", max(geometry.kernel), UINT8
        yield "the stride", max(geometry.stride), UINT8
        yield "the padding", max(op.attrs.get(side, 0) for side in ("pad_top", "pad_left")), INT16
    elif op.kind in POOLS:
        a, outputs = op.attrs, graph.tensors[op.outputs[0]].shape[1:3]
        yield "the window's side", max(a["k_h"], a["k_w"]), INT16
        yield "the stride", max(a["stride_h"], a["stride_w"]), INT16
        if any(a[f"stride_{s}"] < a[f"k_{s}"] and n > 1 for s, n in zip("hw", outputs, strict=True)):
            yield "the size of overlapping windows", a["k_h"] * a["k_w"], MAX_OVERLAP
    elif op.kind == "MEAN_SQUARED_ERROR":
        yield "the number of outputs in the loss", graph.tensors[op.inputs[0]].size, MAX_SQUARES


def _sides(op: Op, graph: Graph) -> Iterator[Field]:
    """Height, width and depth of the input and output map."""
    x, y = (graph.tensors[name].shape[1:] for name in (op.inputs[0], op.outputs[0]))
    if op.kind in LAYERS:
        x, y = Geometry.of(op, graph).in_shape, Geometry.of(op, graph).out_shape
    for place, shape in (("input", x), ("output", y)):
        for name, size in zip(("height", "width", "depth"), shape, strict=False):
            yield f"the {place}'s {name}", size, INT16
