"""Chains of convolutions that run by rows, so that no map between them ever exists whole.

A STREAM op stands for several forward ops (and the ADD that closes a residual block). It computes what they
would; only memory differs. tflm_export/fuse.py makes them.

Attributes: `stages` the convolutions; `residual` the ADD or None; `kept` the GATHER_CHANNELS of stage inputs;
`steps` output rows that every stage computes at a time; `fed` whether rows of the input come one by one.
"""

from __future__ import annotations

import math

from tflm_export.geometry import Geometry
from tflm_export.ir import Graph, Op

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
MAX_STAGES = 8


def ring_rows(step: int, following: Geometry, following_step: int) -> int:
    """Rows between a stage and the `following` one (`ring_rows` of stream.h)."""
    rows = (following_step - 1) * following.stride[0] + following.kernel[0] + step - 1
    return min(rows, following.in_shape[0])


def rings(op: Op, graph: Graph) -> list[tuple[int, int]]:
    """(rows, bytes) of the ring after every stage; (0, 0) where the stage writes the stream's output."""
    maps = [Geometry.of(stage, graph) for stage in op.attrs["stages"]]
    steps, found = op.attrs["steps"], []
    for i, following in enumerate(maps[1:]):
        rows = ring_rows(steps[i], following, steps[i + 1])
        found.append((rows, rows * math.prod(following.in_shape[1:])))
    rows = min(steps[-1], maps[-1].out_shape[0]) if op.attrs["residual"] is not None else 0
    return [*found, (rows, rows * math.prod(maps[-1].out_shape[1:]))]


def input_ring(op: Op, graph: Graph) -> tuple[int, int]:
    """(rows, bytes) of the input that a stream holds which is fed row by row; (0, 0) for any other."""
    if not op.attrs["fed"]:
        return 0, 0
    first = Geometry.of(op.attrs["stages"][0], graph)
    rows = ring_rows(1, first, op.attrs["steps"][0])
    return rows, rows * math.prod(first.in_shape[1:])


def may_overlay(op: Op, graph: Graph) -> bool:
    """Whether the output may lie at the input's address: no row is written before it was last read.

    docs/kernels.md, "Output over input".
    """
    x, y = (graph.tensors[name] for name in (op.inputs[0], op.outputs[0]))
    residual = op.attrs["residual"]
    if residual is not None and (op.inputs[0] not in residual.inputs or x.shape != y.shape):
        return False
    maps, steps = [Geometry.of(stage, graph) for stage in op.attrs["stages"]], op.attrs["steps"]
    first, last = maps[0], maps[-1]
    row_in, row_out = math.prod(first.in_shape[1:]), math.prod(last.out_shape[1:])
    for rows in range(steps[-1], last.out_shape[0] + steps[-1], steps[-1]):
        done = min(rows, last.out_shape[0])
        computed = _computed(maps, steps, done)
        unread = max(0, computed * first.stride[0] - first.pad[0])
        read_on = computed < first.out_shape[0] and unread < first.in_shape[0]
        if read_on and done * row_out > unread * row_in:
            return False
    return y.nbytes <= x.nbytes


def _computed(maps: list[Geometry], steps: tuple[int, ...], done: int) -> int:
    """Rows that the first stage has computed when the last has `done`."""
    for i in range(len(maps) - 1, 0, -1):
        g = maps[i]
        need = min(g.in_shape[0], (done - 1) * g.stride[0] - g.pad[0] + g.kernel[0])
        done = min(g.in_shape[0], -(-need // steps[i - 1]) * steps[i - 1])
    return done
