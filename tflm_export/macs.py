"""Work of a training graph in multiply-accumulates, forward, input gradients and weight gradients apart."""

from __future__ import annotations

from collections.abc import Mapping

from tflm_export.geometry import Geometry
from tflm_export.ir import Graph, Op
from tflm_export.ops import INTERNAL, OPS, WEIGHTED


def layer_macs(layer: Op, graph: Graph) -> int:
    """MACs of one forward pass of a layer; 0 for ops without weights."""
    row = OPS.get(layer.kind) or INTERNAL.get(layer.kind)
    if row is not None and row.macs is not None:
        return row.macs(layer, graph)
    if layer.kind not in WEIGHTED:
        return 0
    g = Geometry.of(layer, graph)
    p, q, o = g.out_shape
    return p * q * o * g.kernel[0] * g.kernel[1] * (1 if g.depthwise else g.in_shape[2])


def op_macs(op: Op, layers: Mapping[str, Op], graph: Graph) -> int:
    """MACs of one op: an input gradient costs as much as its layer, an update its trained share."""
    layer = layers.get(op.owner)
    if layer is None or not op.kind.startswith(layer.kind):
        return 0
    full = layer_macs(layer, graph)
    if op.role != "update":
        return full
    result: int = full * len(op.attrs["channels"]) // graph.tensors[op.inputs[-1]].shape[op.attrs["along"]]
    return result


def count_macs(graph: Graph) -> dict[str, int]:
    """Totals of a step: `forward`, `dx` (input gradients), `dw` (weight gradients)."""
    layers = graph.layers
    totals = {"forward": 0, "dx": 0, "dw": 0}
    kinds = {"forward": "forward", "gradient": "dx", "update": "dw"}
    for op in layers.values():
        totals[kinds[op.role]] += op_macs(op, layers, graph)
    return totals
