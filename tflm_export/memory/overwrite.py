"""Depthwise input gradients that are written over the gradient they are made from: one map less.

The shift of an int16 gradient is found while it is written. Where the first guess does not fit, what was read
is lost, and the op before makes it again: attribute `again` of the op is that op.
"""

from __future__ import annotations

from dataclasses import replace

from tflm_export.geometry import Geometry
from tflm_export.ir import Graph, Op
from tflm_export.ops.convolution.scratch import gradient_rows

KIND = "DEPTHWISE_CONV_2D_INPUT_GRADIENT"
PRODUCERS = ("CONV_2D_INPUT_GRADIENT", "FULLY_CONNECTED_INPUT_GRADIENT")


def overwriting(graph: Graph, step: int) -> Graph | None:
    """The graph with the op at `step` in place, behind other readers of its gradient; None if it cannot."""
    op = graph.ops[step]
    if op.kind != KIND or "again" in op.attrs or not _takes(op, graph):
        return None
    producer = graph.producer(op.inputs[0])
    if producer is None or producer.kind not in PRODUCERS or _trains_weights(producer.of, graph):
        return None
    readers = [other for other in graph.ops[step + 1 :] if op.inputs[0] in other.inputs]
    if any(other.kind != "BIAS_UPDATE" for other in readers):
        return None
    late = replace(op, attrs={**op.attrs, "again": producer})
    others = [other for other in graph.ops[step + 1 :] if other not in readers]
    return graph.replace(ops=(*graph.ops[:step], *readers, late, *others))


def overwriting_all(graph: Graph) -> Graph:
    """The graph with every op in place that can be."""
    for name in [op.name for op in graph.ops if op.kind == KIND]:
        step = next(i for i, op in enumerate(graph.ops) if op.name == name)
        graph = overwriting(graph, step) or graph
    return graph


def _takes(op: Op, graph: Graph) -> bool:
    """Whether the kernel does it (gradient.h)."""
    layer = graph.layers[op.of]
    geometry, g = Geometry.of(layer, graph), graph.tensors[op.inputs[0]]
    same = geometry.in_shape == geometry.out_shape and geometry.stride == (1, 1)
    fours, rows = geometry.in_shape[2] % 4 == 0, gradient_rows(geometry) == geometry.in_shape[0]
    return g.dtype == "int16" and same and fours and rows


def _trains_weights(layer: str, graph: Graph) -> bool:
    """Whether the layer's weights are not at the end of the step what they were."""
    return any(op.of == layer and op.role == "update" and op.kind != "BIAS_UPDATE" for op in graph.ops)
