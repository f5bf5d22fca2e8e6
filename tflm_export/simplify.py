"""Passes `Graph -> Graph` that leave every value as it is and every map where it is: `simplify` runs them.

They work on graphs as `read_tflite` returns them and change no weights but their layout.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op, QParams

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
READS_FLAT = ("FULLY_CONNECTED", "RESHAPE", "SQUEEZE", "EXPAND_DIMS")


def simplify(graph: Graph) -> Graph:
    """All passes, in order."""
    for each in (drop_identities, fold_pad, depthwise_to_conv, drop_unread_tensors):
        graph = each(graph)
    return graph.check()


def drop_identities(graph: Graph) -> Graph:
    """Drop a QUANTIZE to the same scale, and a reshape whose readers only see flat values."""
    for op in reversed(graph.ops):
        if op.outputs[0] not in graph.outputs and (_is_copy(op, graph) or _is_flat_reshape(op, graph)):
            graph = _without(graph, op)
    return graph


def _is_copy(op: Op, graph: Graph) -> bool:
    x, y = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    same = x.shape == y.shape and x.quant == y.quant and x.data is None
    return same and op.kind in ("QUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS")


def _is_flat_reshape(op: Op, graph: Graph) -> bool:
    """Readers that take elements in order, whatever the shape; a dense layer over rows keeps its rows."""
    if op.kind not in READS_FLAT[1:] or graph.tensors[op.inputs[0]].data is not None:
        return False
    return all(reader.kind in READS_FLAT for reader in graph.consumers(op.outputs[0]))


def _without(graph: Graph, op: Op) -> Graph:
    """The graph without `op`; readers of its output read its input."""
    (source, *_), (target,) = op.inputs, op.outputs
    ops = tuple(
        dataclasses.replace(o, inputs=tuple(source if name == target else name for name in o.inputs))
        for o in graph.ops
        if o.name != op.name
    )
    return graph.replace(ops=ops)


def fold_pad(graph: Graph) -> Graph:
    """Fold a PAD of H and W with the zero point into the convolutions that read it.

    A padded pixel adds nothing to a sum over `x - zero_point`, so paddings add up. The PAD goes when no
    other op reads it.
    """
    for op in reversed(graph.ops):  # the last of two PADs first
        if op.kind in ("PAD", "PADV2") and _pads_with_zero(op, graph):
            ops = tuple(_padded(o, op) for o in graph.ops)
            graph = graph.replace(ops=ops)
            if op.outputs[0] not in graph.outputs and not graph.consumers(op.outputs[0]):
                graph = graph.replace(ops=tuple(o for o in graph.ops if o.name != op.name))
    return graph


def _pads_with_zero(op: Op, graph: Graph) -> bool:
    pads, quant = op.attrs["padding"], graph.tensors[op.inputs[0]].quant
    assert quant is not None
    return len(pads) == 4 and not any(pads[0] + pads[3]) and op.attrs["value"] == quant.zero_point[0]


def _padded(op: Op, pad: Op) -> Op:
    """`op` reading the input of `pad` with its padding added to its own, when it is a convolution of it."""
    if op.kind not in CONVOLUTIONS or op.inputs[0] != pad.outputs[0]:
        return op
    (top, bottom), (left, right) = pad.attrs["padding"][1:3]
    added = {"pad_top": top, "pad_bottom": bottom, "pad_left": left, "pad_right": right}
    attrs: dict[str, Any] = dict(op.attrs) | {name: op.attrs[name] + n for name, n in added.items()}
    return dataclasses.replace(op, inputs=(pad.inputs[0], *op.inputs[1:]), attrs=attrs)


def depthwise_to_conv(graph: Graph) -> Graph:
    """A depthwise layer of one channel is a convolution: weights [1, k_h, k_w, O] -> [O, k_h, k_w, 1]."""
    tensors, ops = dict(graph.tensors), []
    for op in graph.ops:
        if op.kind == "DEPTHWISE_CONV_2D" and op.attrs["depth_multiplier"] > 1:
            weights = tensors[op.inputs[1]]
            one_channel = graph.tensors[op.inputs[0]].shape[3] == 1
            if one_channel and len(graph.consumers(weights.name)) == 1:
                assert weights.data is not None and weights.quant is not None
                data = np.ascontiguousarray(
                    np.moveaxis(weights.data, 3, 0).reshape(-1, *weights.shape[1:3], 1)
                )
                quant = QParams(weights.quant.scale, weights.quant.zero_point, weights.quant.axis and 0)
                tensors[weights.name] = dataclasses.replace(weights, shape=data.shape, data=data, quant=quant)
                attrs = {k: v for k, v in op.attrs.items() if k != "depth_multiplier"}
                op = dataclasses.replace(op, kind="CONV_2D", attrs=attrs)
        ops.append(op)
    return graph.replace(tensors=tensors, ops=tuple(ops))


def drop_unread_tensors(graph: Graph) -> Graph:
    """Forget tensors that no op and no edge of the graph names."""
    named = {name for op in graph.ops for name in op.inputs + op.outputs} | {*graph.inputs, *graph.outputs}
    return graph.replace(tensors={name: t for name, t in graph.tensors.items() if name in named})
