"""Take off what a converter leaves around an int8 net: float edges and arithmetic on shapes.

Passes `Graph -> Graph` on ops as the file has them, before their options are resolved.
"""

from __future__ import annotations

import dataclasses

from tflm_export.ir import Graph, Op

SHAPE_DTYPES = ("int32", "int64")
RESHAPES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")


def strip_float_edges(graph: Graph) -> Graph:
    """Take a QUANTIZE from a float input, or a DEQUANTIZE to a float output, off the graph.

    The int8 side becomes the graph's input or output.
    """
    inputs, outputs, kept = list(graph.inputs), list(graph.outputs), []
    for op in graph.ops:
        x, y = op.inputs[0] if op.inputs else "", op.outputs[0] if op.outputs else ""
        if op.kind == "QUANTIZE" and _is_float_edge(graph, x, inputs) and len(graph.consumers(x)) == 1:
            inputs[inputs.index(x)] = y
        elif op.kind == "DEQUANTIZE" and _is_float_edge(graph, y, outputs) and not graph.consumers(y):
            outputs[outputs.index(y)] = x
        else:
            kept.append(op)
    return graph.replace(ops=tuple(kept), inputs=tuple(inputs), outputs=tuple(outputs)).check()


def _is_float_edge(graph: Graph, name: str, edge: list[str]) -> bool:
    return edge.count(name) == 1 and graph.tensors[name].dtype == "float32"


def drop_shape_arithmetic(graph: Graph) -> Graph:
    """Drop the second input of reshapes, and integer ops that then have no reader.

    A flatten of unknown batch is written as SHAPE, STRIDED_SLICE, PACK, RESHAPE; the shape that they
    compute is the output tensor's anyway.
    """
    ops = [dataclasses.replace(op, inputs=op.inputs[:1]) if op.kind in RESHAPES else op for op in graph.ops]
    read = set(graph.outputs)
    kept: list[Op] = []
    for op in reversed(ops):
        shapes = [graph.tensors[name].dtype in SHAPE_DTYPES for name in op.outputs]
        if shapes and all(shapes) and not read & set(op.outputs):
            continue
        read |= set(op.inputs)
        kept.append(op)
    return graph.replace(ops=tuple(reversed(kept)))
