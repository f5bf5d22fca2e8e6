"""How far the outputs of a layer with weights can go: `OpKind.interval` of the three kinds.

Letters: T taps of the kernel, C input channels, O output channels. A dense layer has one tap.
"""

from __future__ import annotations

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import window
from tflm_export.ops.convolution import layer
from tflm_export.ops.interval import Forward, Interval, Intervals
from tflm_export.ops.result import tensor_quant


def interval(forward: Forward, op: Op, graph: Graph, given: Intervals) -> Interval:
    """Extremes of every channel's sums over the sets of taps that lie inside the map, then as in `forward`.

    A positive weight takes the input's lowest value for the lowest sum, a negative one its highest; a tap in
    the padding adds 0. An input channel counts as free at every pixel within its extremes over the map.
    """
    inside, shape = taps_inside(op, graph).astype(np.float64), graph.tensors[op.outputs[0]].shape
    ends = []
    for by_tap, extreme in zip(_by_tap(op, graph, given[op.inputs[0]]), (np.min, np.max), strict=True):
        values = layer.finish(op, graph, {}, inside @ by_tap).value
        ends.append(np.broadcast_to(extreme(values, axis=0), shape))
    return Interval(*ends)


def _by_tap(op: Op, graph: Graph, x: Interval) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest share of every tap in every output's sum, float64 [T, O]: exact below 2^53."""
    weights, zero = graph.constant(op.inputs[1]).astype(np.float64), tensor_quant(graph, op.inputs[0])
    columns = weights.shape[-1] if op.kind != "DEPTHWISE_CONV_2D" else x.low.shape[-1]
    low = x.low.reshape(-1, columns).min(axis=0) - float(zero.zero_point[0])
    high = x.high.reshape(-1, columns).max(axis=0) - float(zero.zero_point[0])
    if op.kind == "DEPTHWISE_CONV_2D":
        times = op.attrs["depth_multiplier"]
        ends = [window.spread_taps(weights, op) * np.repeat(end, times) for end in (low, high)]
        shares = np.stack(ends).reshape(2, -1, weights.shape[-1])
        return shares.min(axis=0), shares.max(axis=0)
    if op.kind == "CONV_2D":
        weights = window.spread_taps(weights, op)
    taps = weights.reshape(len(weights), -1, columns)
    rising, falling = np.maximum(taps, 0), np.minimum(taps, 0)
    return (rising @ low + falling @ high).T, (rising @ high + falling @ low).T


def taps_inside(op: Op, graph: Graph) -> np.ndarray:
    """The distinct sets of taps that meet the map and not its padding, bool [sets, T]."""
    if op.kind == "FULLY_CONNECTED":
        return np.ones((1, 1), bool)
    (_, h, w, _), (_, p, q, _) = (graph.tensors[name].shape for name in (op.inputs[0], op.outputs[0]))
    rows, columns = _inside(op, "h", h, p, "pad_top"), _inside(op, "w", w, q, "pad_left")
    both: np.ndarray = rows[:, None, :, None] & columns[None, :, None, :]
    return both.reshape(len(rows) * len(columns), -1)


def _inside(op: Op, letter: str, size: int, outputs: int, before: str) -> np.ndarray:
    """Along one axis: distinct sets of taps inside a map of this size, bool [sets, k]."""
    a = op.attrs
    start = np.arange(outputs)[:, None] * a[f"stride_{letter}"] - a[before]
    at = start + np.arange(a[f"k_{letter}"])
    return np.unique((at >= 0) & (at < size), axis=0)
