"""Passes `Graph -> Graph` that leave every value as it is and every map where it is: `simplify` runs them.

They work on graphs as `read_tflite` returns them and change no weights but their layout.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tflm_export.front.trim import RESHAPES
from tflm_export.ir import Graph, Op, QParams, Tensor
from tflm_export.ops.broadcast import spread
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN
from tflm_export.ops.window import spread_taps

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
ELEMENTWISE = ("ADD", "SUB", "MUL", "MINIMUM", "MAXIMUM", "PRELU")
COPIES = {*RESHAPES, "QUANTIZE"}
READS_FLAT = {*RESHAPES, "FULLY_CONNECTED"}


def simplify(graph: Graph) -> Graph:
    """All passes, in order."""
    for each in PASSES:
        graph = each(graph)
    return graph.check()


def drop_identities(graph: Graph) -> Graph:
    """Drop a QUANTIZE to the same scale, and a reshape whose readers only see flat values."""
    readers: dict[str, set[str]] = {}
    for op in graph.ops:
        for name in op.inputs:
            readers.setdefault(name, set()).add(op.kind)
    source: dict[str, str] = {}
    kept = []
    for op in graph.ops:
        op = dataclasses.replace(op, inputs=tuple(source.get(name, name) for name in op.inputs))
        y = op.outputs[0]
        if y not in graph.kept and (_is_copy(op, graph) or _is_flat(op, graph, readers.get(y, set()))):
            source[y] = op.inputs[0]
        else:
            kept.append(op)
    return graph.replace(ops=tuple(kept))


def _is_copy(op: Op, graph: Graph) -> bool:
    x, y = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    return op.kind in COPIES and x.data is None and (x.shape, x.quant) == (y.shape, y.quant)


def _is_flat(op: Op, graph: Graph, readers: set[str]) -> bool:
    """A reshape whose readers take elements in order, whatever the shape."""
    return op.kind in RESHAPES and graph.tensors[op.inputs[0]].data is None and readers <= READS_FLAT


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


def repeat_channels(graph: Graph) -> Graph:
    """Repeat each channel that a depthwise layer makes several outputs of: then every output has its own.

    The repeated map takes RAM, the layer as many instructions as before.
    """
    tensors, ops = dict(graph.tensors), []
    for op in graph.ops:
        times = op.attrs.get("depth_multiplier", 1)
        if times > 1:
            x = tensors[op.inputs[0]]
            wide = dataclasses.replace(
                x, name=f"{op.name}/repeated", shape=(*x.shape[:3], x.shape[3] * times)
            )
            tensors[wide.name] = wide
            ops.append(op.beside("REPEAT_CHANNELS", "r", (x.name,), (wide.name,), {"times": times}))
            attrs = {**op.attrs, "depth_multiplier": 1}
            op = dataclasses.replace(op, inputs=(wide.name, *op.inputs[1:]), attrs=attrs)
        ops.append(op)
    return graph.replace(tensors=tensors, ops=tuple(ops))


def spread_dilated(graph: Graph) -> Graph:
    """Write out the zeros between the taps of a dilated kernel: it then costs what a dense one does."""
    tensors, ops = dict(graph.tensors), []
    for op in graph.ops:
        if op.kind in CONVOLUTIONS and tensors[op.inputs[1]].shape[1:3] != (op.attrs["k_h"], op.attrs["k_w"]):
            weights = tensors[op.inputs[1]]
            assert weights.data is not None
            data = spread_taps(weights.data, op)
            wide = dataclasses.replace(weights, name=f"{op.name}/dilated", shape=data.shape, data=data)
            tensors[wide.name] = wide
            attrs = {**op.attrs, "dilated": True}
            op = dataclasses.replace(op, inputs=(op.inputs[0], wide.name, *op.inputs[2:]), attrs=attrs)
        ops.append(op)
    return graph.replace(tensors=tensors, ops=tuple(ops))


def lift_rows(graph: Graph) -> Graph:
    """PAD and REDUCE_MAX take a row [1, W, C] as the map [1, 1, W, C]: the reshapes cost nothing."""
    tensors, ops = dict(graph.tensors), []
    for op in graph.ops:
        x, y = tensors[op.inputs[0]], tensors[op.outputs[0]]
        if op.kind not in ("PAD", "PADV2", "REDUCE_MAX") or len(x.shape) != 3:
            ops.append(op)
            continue
        lifted = dataclasses.replace(x, name=f"{op.name}/map", shape=_as_map(x.shape))
        tensors[lifted.name] = lifted
        ops.append(op.beside("RESHAPE", "v", (x.name,), (lifted.name,)))
        op = dataclasses.replace(op, inputs=(lifted.name, *op.inputs[1:]))
        if op.kind != "REDUCE_MAX":
            padded = dataclasses.replace(y, name=f"{op.name}/padded", shape=_as_map(y.shape))
            tensors[padded.name] = padded
            first, *others = op.attrs["padding"]
            attrs = {**op.attrs, "padding": (first, (0, 0), *others)}
            ops.append(dataclasses.replace(op, outputs=(padded.name,), attrs=attrs))
            op = op.beside("RESHAPE", "w", (padded.name,), (y.name,))
        ops.append(op)
    return graph.replace(tensors=tensors, ops=tuple(ops))


def _as_map(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], 1, *shape[1:])


def pool_globally(graph: Graph) -> Graph:
    """REDUCE_MAX over a whole map is a MAX_POOL_2D of one window, and a reshape where the axes go."""
    tensors, ops = dict(graph.tensors), []
    for op in graph.ops:
        if op.kind != "REDUCE_MAX":
            ops.append(op)
            continue
        x, y = tensors[op.inputs[0]], tensors[op.outputs[0]]
        pooled = dataclasses.replace(y, name=f"{op.name}/pooled", shape=(1, 1, 1, x.shape[3]))
        tensors[pooled.name] = pooled
        _, h, w, _ = x.shape
        attrs = {"k_h": h, "k_w": w, "stride_h": 1, "stride_w": 1, "act_min": INT8_MIN, "act_max": INT8_MAX}
        attrs |= {"pad_top": 0, "pad_bottom": 0, "pad_left": 0, "pad_right": 0}
        ops.append(op.beside("MAX_POOL_2D", "m", (x.name,), (pooled.name,), attrs))
        ops.append(op.beside("RESHAPE", "", (pooled.name,), op.outputs))
    return graph.replace(tensors=tensors, ops=tuple(ops))


def expand_constants(graph: Graph) -> Graph:
    """Repeat a constant of ADD, MUL and the like over the other operand's map where the kernels cannot.

    They take one value, a value a channel or one a pixel; the copies of others cost flash, H W C bytes.
    """
    tensors, ops = dict(graph.tensors), []
    for op in graph.ops:
        if op.kind in ELEMENTWISE:
            shape = tensors[op.outputs[0]].shape
            op = dataclasses.replace(op, inputs=tuple(_expanded(name, shape, tensors) for name in op.inputs))
        ops.append(op)
    return graph.replace(tensors=tensors, ops=tuple(ops))


def _expanded(name: str, shape: tuple[int, ...], tensors: dict[str, Tensor]) -> str:
    """The name of the constant `name` repeated to `shape`, added to `tensors`; others stay as they are."""
    tensor = tensors[name]
    if tensor.data is None or spread(tensor.shape, shape) is not None:
        return name
    wide = f"{name}@{'x'.join(map(str, shape))}"
    data = np.ascontiguousarray(np.broadcast_to(tensor.data, shape))
    tensors[wide] = dataclasses.replace(tensor, name=wide, shape=shape, data=data)
    return wide


def drop_unread_tensors(graph: Graph) -> Graph:
    """Forget tensors that no op and no edge of the graph names."""
    named = {name for op in graph.ops for name in op.inputs + op.outputs} | {*graph.given, *graph.kept}
    return graph.replace(tensors={name: t for name, t in graph.tensors.items() if name in named})


PASSES = (
    lift_rows,
    drop_identities,
    fold_pad,
    depthwise_to_conv,
    repeat_channels,
    spread_dilated,
    pool_globally,
    expand_constants,
    drop_unread_tensors,
)
