"""`prune`: a graph without its dead channels, bit for bit the same where anything is left to see."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from tflm_export.front.dead_channels import (
    Constant,
    dead_channels,
    is_mixing,
    needed_channels,
    weight_blocks,
)
from tflm_export.ir import Graph, Op, QParams, Tensor
from tflm_export.ops import op_kind
from tflm_export.ops.result import tensor_quant

PER_CHANNEL = ("multiplier", "shift")
Needed = Mapping[str, np.ndarray]


def prune(graph: Graph, trained: Collection[str] = ()) -> Graph:
    """A simplified graph without the channels that no output depends on; `graph` itself where there are none.

    trained: names of ops that train. They, what they read and all that depends on them stay whole: gradients
    pass there, and the update's random numbers count positions in the file's tensors.
    """
    constants = dead_channels(graph, trained)
    needed = needed_channels(graph, constants, _touched_by_training(graph, trained))
    cut = {name for op in graph.ops for name in _activations(op, graph) if not needed[name].all()}
    if not cut:
        return graph
    tensors = dict(graph.tensors) | {name: _cut(graph.tensors[name], needed[name]) for name in cut}
    ops = tuple(_pruned(op, graph, constants, needed, tensors) for op in graph.ops)
    return graph.replace(tensors=tensors, ops=ops).check()


def _touched_by_training(graph: Graph, trained: Collection[str]) -> set[str]:
    found: set[str] = set()
    for op in graph.ops:
        if op.name in trained:
            found |= {op.inputs[0], op.outputs[0]}
        if found & set(op.inputs):
            found |= set(op.outputs)
    return found


def _activations(op: Op, graph: Graph) -> tuple[str, ...]:
    """What of an op's tensors has channels to cut: not a layer's weights, nor sizes and axes."""
    inputs = op.inputs[:1] if op_kind(op).axes else op.inputs
    return tuple(name for name in (*inputs, *op.outputs) if name and graph.tensors[name].dtype == "int8")


def _cut(tensor: Tensor, needed: np.ndarray) -> Tensor:
    """The needed channels of a tensor: its last axis."""
    data = None if tensor.data is None else np.ascontiguousarray(tensor.data[..., needed])
    return dataclasses.replace(tensor, shape=(*tensor.shape[:-1], int(needed.sum())), data=data)


def _pruned(
    op: Op, graph: Graph, constants: Mapping[str, Constant], needed: Needed, tensors: dict[str, Tensor]
) -> Op:
    """`op` on what is left of its tensors; a layer's weights and bias, cut, go to `tensors`."""
    if not op_kind(op).axes or all(needed[name].all() for name in (op.inputs[0], op.outputs[0])):
        return op
    rows = needed[op.outputs[0]]
    weights = graph.tensors[op.inputs[1]]
    if is_mixing(op):
        tensors[weights.name] = _cut_weights(op, graph, needed)
        op = _with_bias(op, graph, _folded_bias(op, graph, constants, needed), tensors)
    else:
        tensors[weights.name] = dataclasses.replace(_cut(weights, rows), quant=_cut_scales(weights, rows))
        op = _with_bias(op, graph, _bias(op, graph, rows), tensors)
    attrs: dict[str, Any] = {**op.attrs}
    for name in PER_CHANNEL:
        attrs[name] = tuple(np.broadcast_to(attrs[name], rows.shape)[rows].tolist())
    return dataclasses.replace(op, attrs=attrs)


def _cut_weights(op: Op, graph: Graph, needed: Needed) -> Tensor:
    """Rows of needed outputs, columns of needed inputs."""
    weights, blocks = graph.tensors[op.inputs[1]], weight_blocks(op, graph)
    rows, columns = needed[op.outputs[0]], needed[op.inputs[0]]
    if blocks is None:
        assert columns.all(), op.name
        blocks = graph.constant(op.inputs[1]).reshape(len(rows), 1, -1)
        columns = np.ones(blocks.shape[2], bool)
    data = blocks[rows][:, :, columns]
    shape = (len(data), *weights.shape[1:-1], data.size // len(data) // _positions(weights))
    data = np.ascontiguousarray(data).reshape(shape)
    return dataclasses.replace(weights, shape=shape, data=data, quant=_cut_scales(weights, rows))


def _positions(weights: Tensor) -> int:
    """Taps of a kernel; 1 for a dense layer."""
    return int(np.prod(weights.shape[1:-1], dtype=int))


def _cut_scales(weights: Tensor, rows: np.ndarray) -> QParams | None:
    """Scales of the needed output channels, where each has its own."""
    quant = weights.quant
    if quant is None or len(quant.scale) != len(rows):
        return quant
    kept = np.flatnonzero(rows).tolist()
    zeros = tuple(quant.zero_point[i] for i in kept) if len(quant.zero_point) > 1 else quant.zero_point
    return QParams(tuple(quant.scale[i] for i in kept), zeros, quant.axis)


def _bias(op: Op, graph: Graph, rows: np.ndarray) -> np.ndarray:
    """The bias of the needed outputs, int64; zeros where there is none."""
    bias = graph.constant(op.bias).reshape(-1) if op.bias else np.zeros(len(rows))
    needed: np.ndarray = bias.astype(np.int64)[rows]
    return needed


def _folded_bias(op: Op, graph: Graph, constants: Mapping[str, Constant], needed: Needed) -> np.ndarray:
    """The bias and the constant share of the inputs that go: `sum w (value - z_x)`."""
    rows, columns = needed[op.outputs[0]], needed[op.inputs[0]]
    bias = _bias(op, graph, rows)
    if columns.all():
        return bias
    blocks, constant = weight_blocks(op, graph), constants[op.inputs[0]]
    assert blocks is not None
    share = np.where(columns, 0, constant.value - tensor_quant(graph, op.inputs[0]).zero_point[0])
    result: np.ndarray = bias + blocks[rows].sum(axis=1, dtype=np.int64) @ share
    return result


def _with_bias(op: Op, graph: Graph, bias: np.ndarray, tensors: dict[str, Tensor]) -> Op:
    """`op` with this bias, int32; without one where it had none and needs none."""
    if not op.bias and not bias.any():
        return op
    given = graph.tensors[op.bias] if op.bias else Tensor(f"{op.name}/bias", (), "int32")
    tensors[given.name] = dataclasses.replace(given, shape=bias.shape, data=bias.astype(np.int32), quant=None)
    return dataclasses.replace(op, inputs=(*op.inputs[:2], given.name))
