"""Take off what a converter leaves around an int8 net: float edges and arithmetic on shapes.

Passes `Graph -> Graph` on ops as the file has them, before their options are resolved.
"""

from __future__ import annotations

import dataclasses

from tflm_export.ir import Graph, Op

SHAPE_DTYPES = ("int32", "int64")
RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
NO_STEP = 2.0**-10  # of a scale: 255 steps of it stay below half a step


def strip_edges(graph: Graph) -> Graph:
    """Take a QUANTIZE from a float or uint8 input, and what leads to a float or uint8 output, off the graph.

    The int8 side becomes the graph's input or output. A uint8 edge must be the int8 tensor with 128 added; a
    scale may be so little off that requantisation moves no value.
    """
    inputs, outputs, kept = list(graph.inputs), list(graph.outputs), []
    for op in graph.ops:
        x, y = op.inputs[0] if op.inputs else "", op.outputs[0] if op.outputs else ""
        if op.kind == "QUANTIZE" and _is_edge(graph, x, y, inputs) and len(graph.consumers(x)) == 1:
            inputs[inputs.index(x)] = y
        elif (
            op.kind in ("QUANTIZE", "DEQUANTIZE")
            and _is_edge(graph, y, x, outputs)
            and not graph.consumers(y)
        ):
            outputs[outputs.index(y)] = x
        else:
            kept.append(op)
    return graph.replace(ops=tuple(kept), inputs=tuple(inputs), outputs=tuple(outputs)).check()


def _is_edge(graph: Graph, name: str, inner: str, edge: list[str]) -> bool:
    """Whether `name` is an edge of the graph that only says in another type what `inner` says."""
    if edge.count(name) != 1:
        return False
    outside, inside = graph.tensors[name], graph.tensors[inner].quant
    if outside.dtype != "uint8" or outside.quant is None or inside is None:
        return outside.dtype == "float32"
    zeros = tuple(zero - 128 for zero in outside.quant.zero_point)
    same = len(inside.scale) == 1 and abs(outside.quant.scale[0] / inside.scale[0] - 1) < NO_STEP
    return same and zeros == inside.zero_point


def drop_shape_arithmetic(graph: Graph) -> Graph:
    """Drop the second input of reshapes, and integer ops that then have no reader.

    A flatten of unknown batch is written as SHAPE, STRIDED_SLICE, PACK, RESHAPE; the shape that they
    compute is the output tensor's anyway.
    """
    ops = [dataclasses.replace(op, inputs=op.inputs[:1]) if op.kind in RESHAPES else op for op in graph.ops]
    read = set(graph.kept)
    kept: list[Op] = []
    for op in reversed(ops):
        shapes = [graph.tensors[name].dtype in SHAPE_DTYPES for name in op.outputs]
        if shapes and all(shapes) and not read & set(op.outputs):
            continue
        read |= set(op.inputs)
        kept.append(op)
    return graph.replace(ops=tuple(reversed(kept)))
