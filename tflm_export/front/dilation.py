"""Keras writes a dilated convolution as SPACE_TO_BATCH_ND, a plain one, BATCH_TO_SPACE_ND: one op again.

A pass on ops as the file has them, before their options are resolved.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from tflm_export.front.trim import RESHAPES
from tflm_export.ir import Graph, Op, Tensor

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
MAX_PADDING = 255
PLAIN = {"padding": "VALID", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}


@dataclass(frozen=True)
class _Group:
    """The ops of one layer: to blocks, (in one dimension: to a map), convolution, (back,) from blocks."""

    start: Op
    before: Op | None
    conv: Op
    after: Op | None
    end: Op


def fold_dilation(graph: Graph) -> Graph:
    """Make a PAD and a dilated convolution of every such group; the convolution keeps its name.

    What does not fit the pattern exactly stays as it is.
    """
    for op in graph.ops:
        group = _group(graph, op) if op.kind == "SPACE_TO_BATCH_ND" else None
        if group is not None:
            graph = _folded(graph, group)
    return graph


def _group(graph: Graph, start: Op) -> _Group | None:
    """`start` and the only readers that follow one another."""
    chain = [start] if len(start.outputs) == 1 else []
    while 0 < len(chain) < 5 and chain[-1].kind != "BATCH_TO_SPACE_ND":
        readers = graph.consumers(chain[-1].outputs[0])
        if len(readers) != 1 or chain[-1].outputs[0] in graph.outputs or len(readers[0].outputs) != 1:
            return None
        chain.append(readers[0])
    kinds = [op.kind for op in chain]
    if len(chain) == 3:
        group = _Group(chain[0], None, chain[1], None, chain[2])
    elif len(chain) == 5 and kinds[1] in RESHAPES and kinds[3] in RESHAPES:
        group = _Group(*chain)
    else:
        return None
    ends = group.end.kind == "BATCH_TO_SPACE_ND" and group.conv.kind in CONVOLUTIONS
    needed = [*group.start.inputs, *group.conv.inputs[:2], *group.end.inputs, *group.end.outputs]
    if len(needed) != 9 or not all(needed):
        return None
    return group if ends and PLAIN.items() <= dict(group.conv.attrs).items() else None


def _folded(graph: Graph, group: _Group) -> Graph:
    """The graph with the group rewritten, or as it was."""
    x, y = _map(graph, group.start.inputs[0]), _map(graph, group.end.outputs[0])
    weights = graph.tensors[group.conv.inputs[1]]
    start, end = _blocks(graph, group.start), _blocks(graph, group.end)
    if x is None or y is None or len(weights.shape) != 4 or start is None or end is None:
        return graph
    if _changes_values(graph, group.start) or _changes_values(graph, group.end) or not _lifts(graph, group):
        return graph
    (block, pads), (other, crops) = start, end
    pads = [(before, after - crop) for (before, after), (_, crop) in zip(pads, crops, strict=False)]
    taps = zip(weights.shape[1:3], block, strict=True)
    sizes = [n + (k - 1) * b for n, (k, b) in zip(y.shape[1:3], taps, strict=True)]
    fits = sizes == [n + sum(p) for n, p in zip(x.shape[1:3], pads, strict=True)]
    if block != other or any(before for before, _ in crops) or min(min(p) for p in pads) < 0 or not fits:
        return graph
    return _rewritten(graph, group, x, y, block, pads)


def _lifts(graph: Graph, group: _Group) -> bool:
    """Maps all the way; or rows that are maps of one row between the two reshapes, and nothing else."""
    shapes = [graph.tensors[op.outputs[0]].shape for op in (group.start, group.conv)]
    if group.before is None or group.after is None:
        return all(len(shape) == 4 for shape in shapes)
    inside, outside = (graph.tensors[op.outputs[0]].shape for op in (group.before, group.after))
    rows = ((shapes[0], inside), (outside, shapes[1]))
    return all(len(row) == 3 and (row[0], 1, *row[1:]) == shape for row, shape in rows)


def _map(graph: Graph, name: str) -> Tensor | None:
    """The tensor as a map [1, H, W, C]; a row [1, W, C] has H = 1."""
    tensor = graph.tensors[name]
    if len(tensor.shape) == 3:
        return dataclasses.replace(tensor, shape=(tensor.shape[0], 1, *tensor.shape[1:]))
    return tensor if len(tensor.shape) == 4 else None


def _blocks(graph: Graph, op: Op) -> tuple[list[int], list[tuple[int, int]]] | None:
    """Block sizes and paddings (crops) of height and width."""
    sizes, edges = (graph.tensors[name].data for name in op.inputs[1:])
    rows = len(graph.tensors[op.inputs[0]].shape) - 2
    if sizes is None or edges is None or sizes.size != rows or edges.size != 2 * rows or rows not in (1, 2):
        return None
    if min(sizes.min(), edges.min() + 1) < 1 or max(sizes.max(), edges.max()) > MAX_PADDING:
        return None
    pairs = [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    return [1] * (2 - rows) + [int(n) for n in sizes.reshape(-1)], [(0, 0)] * (2 - rows) + pairs


def _changes_values(graph: Graph, op: Op) -> bool:
    x, y = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    return (x.dtype, x.quant) != (y.dtype, y.quant)


def _rewritten(
    graph: Graph, group: _Group, x: Tensor, y: Tensor, block: list[int], pads: list[tuple[int, int]]
) -> Graph:
    """PAD and dilated convolution, in one dimension between two reshapes, where the group was."""
    tensors = dict(graph.tensors)
    edges = np.array([(0, 0), *pads, (0, 0)], np.int32)
    paddings = Tensor(f"{group.start.name}/paddings", edges.shape, "int32", None, edges)
    padded_shape = tuple(n + int(e.sum()) for n, e in zip(x.shape, edges, strict=True))
    padded = dataclasses.replace(x, name=group.start.outputs[0], shape=padded_shape)
    tensors |= {paddings.name: paddings, padded.name: padded}
    source, target = x.name, y.name
    ops = []
    if group.before is not None and group.after is not None:
        source, target = group.before.outputs[0], group.conv.outputs[0]
        tensors[source] = dataclasses.replace(x, name=source)
        tensors[target] = dataclasses.replace(y, name=target)
        ops = [dataclasses.replace(group.before, inputs=(x.name,))]
    ops.append(group.start.beside("PAD", "", (source, paddings.name), (padded.name,)))
    attrs = {**group.conv.attrs, "dilation_h": block[0], "dilation_w": block[1]}
    inputs = (padded.name, *group.conv.inputs[1:])
    ops.append(dataclasses.replace(group.conv, inputs=inputs, outputs=(target,), attrs=attrs))
    if group.after is not None:
        ops.append(dataclasses.replace(group.after, outputs=(y.name,)))
    old = (group.start, group.before, group.conv, group.after)
    at = graph.ops.index(group.end)
    rest = [op for op in graph.ops[:at] if op not in old]
    return graph.replace(tensors=tensors, ops=(*rest, *ops, *graph.ops[at + 1 :]))
