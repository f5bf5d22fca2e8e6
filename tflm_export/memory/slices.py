"""Layers that run some channels at a time, so that no wide map of a bottleneck ever exists whole.

A SLICES op stands for several ops and computes what they would; only memory and cycles differ. Forward it
is a 1x1 convolution and the depthwise layer behind it. Backward it is the input gradients of a bottleneck's
three layers (1x1, depthwise, 1x1) and the updates that read them, which make the gradients once more: the
shifts of int16 gradients are known when all slices were made (arduino/src/tfodl/slices.h).

Attributes: `members` the ops, in order; `channels` of the wide maps, `pixels` of the last layer at a time;
`sums`: whether what biases learn from is kept from the first pass, which saves the second; `over`: whether
the gradient of the last layer's output is prepared in its place, for nothing reads it later (`pixels` 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tflm_export.geometry import Geometry
from tflm_export.ir import Graph, Op
from tflm_export.ops.convolution import scratch, sliced_scratch
from tflm_export.variable import variables

KIND = "SLICES"
CHANNELS = (64, 32, 24, 16, 8)
PIXELS = (16, 8, 4)  # of the narrow maps
BANDS = (8, 4, 2, 1)  # pixels of a 1x1 convolution outside of slices


@dataclass(frozen=True)
class Bottleneck:
    """The forward layers of a backward SLICES op."""

    expand: Op
    depthwise: Op
    project: Op


@dataclass(frozen=True, order=True)
class Size:
    """How an op is sliced: the attributes of a SLICES op."""

    sums: bool
    channels: int
    pixels: int

    @classmethod
    def of(cls, op: Op) -> Size:
        """That of a SLICES op."""
        return cls(op.attrs["sums"], op.attrs["channels"], op.attrs["pixels"])

    def put(self, op: Op) -> Op:
        """The op with these."""
        sizes = {"sums": self.sums, "channels": self.channels, "pixels": self.pixels}
        return replace(op, attrs={**op.attrs, **sizes})


def sliced(graph: Graph, step: int) -> Iterator[Graph]:
    """The graph with the op at `step` in slices, together with those that it takes; the fastest way first."""
    op = graph.ops[step]
    if op.kind == KIND:
        sizes = sizes_of(op, graph)
        for size in sizes[sizes.index(Size.of(op)) + 1 :]:
            yield resized(graph, op.name, size)
    elif op.kind == "STREAM":
        yield from _unstreamed(graph, step)
    else:
        found = _forward(graph, step) if op.role == "forward" else _backward(graph, step)
        for g, name in found:
            yield from (resized(g, name, size) for size in sizes_of(_named(g, name), g))


def banded(graph: Graph, step: int, least: int = 1) -> Iterator[Graph]:
    """The graph with the 1x1 convolution at `step`, or its input gradient, some pixels at a time, at least
    `least`."""
    op = graph.ops[step]
    now = op.attrs.get("pixels", 1 << 16)
    for pixels in (n for n in BANDS if least <= n < now and _takes_bands(op, graph)):
        late = replace(op, attrs={**op.attrs, "pixels": pixels})
        yield graph.replace(ops=(*graph.ops[:step], late, *graph.ops[step + 1 :]))


def _takes_bands(op: Op, graph: Graph) -> bool:
    """Whether there is a kernel for it that is not slow, as one pixel with trained columns is. What another
    op may have to run again stays as it is."""
    if op.role == "forward":
        return _is_pointwise(op, graph) and scratch.trained_columns(op, graph) == 0
    if op.kind != "CONV_2D_INPUT_GRADIENT" or graph.tensors[op.outputs[0]].dtype != "int16":
        return False
    again = {other.attrs["again"].name for other in graph.ops if "again" in other.attrs}
    return _is_pointwise(graph.layers[op.of], graph) and op.name not in again


def resized(graph: Graph, name: str, size: Size) -> Graph:
    """The graph with other slices for one op."""
    ops = (size.put(op) if op.kind == KIND and op.name == name else op for op in graph.ops)
    return graph.replace(ops=tuple(ops))


def sizes_of(op: Op, graph: Graph) -> list[Size]:
    """The sizes of a SLICES op's slices, the fastest first; each takes less memory than those before."""
    if op.role == "forward":
        return [Size(False, n, 0) for n in CHANNELS[1:]]
    kept = (True, False) if not sliced_columns(op) else (False,)
    bands = (0,) if op.attrs["over"] else PIXELS
    channels = CHANNELS if kept[0] else CHANNELS[1:]  # rows of columns that an update takes at a time
    sizes = [Size(sums, n, pixels) for sums in kept for n in channels for pixels in bands]
    layers = _geometries(op, graph)
    found: list[Size] = []
    least = 1 << 30
    for size in sorted(sizes, key=lambda size: _price(layers, size)):
        nbytes = sum(sliced_buffers(size.put(op), graph).values())
        if nbytes < least:
            found, least = [*found, size], nbytes
    return found


def _price(layers: list[Geometry], size: Size) -> float:
    """Cycles of a backward SLICES op, about: products, gradients that every slice prepares, weights that
    every band of pixels widens, blocks of the first layer."""
    expand, depthwise, project = layers
    (p, q, o), (h, w, c), wide = project.out_shape, expand.in_shape, depthwise.in_shape[2]
    slices, bands = -(-wide // size.channels), -(-p * q // size.pixels) if size.pixels else 1
    products = 1.2 * p * q * o * wide + 5 * p * q * wide * math.prod(depthwise.kernel)
    prepared = 6.5 * p * q * o if size.pixels else 0
    pass_ = products + slices * (prepared + 3000) + 1.3 * wide * o * bands
    first = wide * c * h * w + slices * c / 4 * -(-h * w // 16) * 500
    return (1 if size.sums else 2) * pass_ + first


def sliced_buffers(op: Op, graph: Graph) -> dict[str, int]:
    """What a SLICES op needs besides tensors: bytes by the name of the buffer."""
    n, layers = op.attrs["channels"], _geometries(op, graph)
    if op.role == "forward":
        columns = scratch.trained_columns(op.members[0], graph)
        return {"scratch": sliced_scratch.forward(layers[0], layers[1], n, columns)}
    kept = {"bias_sums": 8 * layers[0].out_shape[2]} if op.attrs["sums"] else {}
    return kept | {
        "scratch": sliced_scratch.backward(layers, n, op.attrs["pixels"], sliced_columns(op)),
        "slices": sliced_scratch.slices(layers[1], n),
        "sums": sliced_scratch.sums(layers[0]),
    }


def sliced_columns(op: Op) -> int:
    """Trained input channels of the first layer of a backward SLICES op."""
    columns = (m for m in op.members if m.role == "update" and m.kind != "BIAS_UPDATE")
    return sum(len(m.attrs["channels"]) for m in columns)


def _geometries(op: Op, graph: Graph) -> list[Geometry]:
    """Of the layers of a SLICES op, in forward order."""
    if op.role == "forward":
        return [Geometry.of(member, graph) for member in op.members]
    found = bottleneck(op, graph)
    return [Geometry.of(layer, graph) for layer in (found.expand, found.depthwise, found.project)]


def _named(graph: Graph, name: str) -> Op:
    return next(op for op in graph.ops if op.name == name)


def _unstreamed(graph: Graph, step: int) -> Iterator[Graph]:
    """The layers of a stream one after the other again, some of them in slices, the others in bands."""
    parts = graph.ops[step].members
    if "fed" in parts[0].attrs:
        return
    apart = graph.replace(ops=(*graph.ops[:step], *parts, *graph.ops[step + 1 :]))
    for i in range(max(0, step - 1), step + len(parts)):
        for found, name in _forward(apart, i):
            for other in range(len(found.ops) - 1, -1, -1):
                if found.ops[other] in parts:
                    found = [found, *banded(found, other)][-1]
            yield from (resized(found, name, size) for size in sizes_of(_named(found, name), found))


def bottleneck(op: Op, graph: Graph) -> Bottleneck:
    """The layers of a backward SLICES op."""
    project, depthwise, expand = (m for m in op.members if m.role == "gradient")
    layers = graph.layers
    return Bottleneck(*(layers[m.of] for m in (expand, depthwise, project)))


def _is_pointwise(op: Op, graph: Graph) -> bool:
    return op.kind == "CONV_2D" and Geometry.of(op, graph).pointwise and _eights(op.outputs[0], graph)


def _eights(tensor: str, graph: Graph) -> bool:
    return graph.tensors[tensor].shape[-1] % 8 == 0


def _slices(members: tuple[Op, ...], last: Op, graph: Graph) -> Op:
    members = tuple(plain(op) for op in members)
    written = {name for op in members for name in op.outputs}
    read = dict.fromkeys(n for op in members for n in op.inputs if n and n not in written)
    inputs = tuple(n for n in read if graph.tensors[n].data is None)
    attrs = {"members": members, "channels": 8, "pixels": 0, "sums": False}
    seen = tuple(o for op in members for o in op.outputs if op is last or graph.tensors[o].dtype == "bit")
    outputs = (*last.outputs[:1], *(o for o in seen if o not in last.outputs[:1]))
    return replace(last, kind=KIND, inputs=inputs, outputs=outputs, attrs=attrs)


def plain(op: Op) -> Op:
    """The op without what says how it runs by itself."""
    if not {"pixels", "again"} & op.attrs.keys():
        return op
    return replace(op, attrs={k: v for k, v in op.attrs.items() if k not in ("pixels", "again")})


def _forward(graph: Graph, step: int) -> Iterator[tuple[Graph, str]]:
    """An expanding layer and its depthwise one, of which the op at `step` is one."""
    for i in (step, step - 1):
        if 0 <= i < len(graph.ops) - 1 and _widens(graph, *graph.ops[i : i + 2]):
            op = _slices(graph.ops[i : i + 2], graph.ops[i + 1], graph)
            yield graph.replace(ops=(*graph.ops[:i], op, *graph.ops[i + 2 :])), op.name


def _widens(graph: Graph, expand: Op, depthwise: Op) -> bool:
    """Whether the map between the two ops is theirs alone, and the kernel takes them."""
    between = expand.outputs[0]
    if depthwise.kind != "DEPTHWISE_CONV_2D" or depthwise.inputs[0] != between:
        return False
    alone = [op.name for op in graph.layers.values() if between in op.inputs] == [depthwise.name]
    own = not any(v.pooled for v in variables(graph) if v.layer.name in (expand.name, depthwise.name))
    return _is_pointwise(expand, graph) and "fed" not in expand.attrs and alone and own


def _backward(graph: Graph, step: int) -> Iterator[tuple[Graph, str]]:
    """A bottleneck's gradients, of which the op at `step` is one."""
    for middle in graph.ops:
        members = _members(graph, middle) if middle.kind == "DEPTHWISE_CONV_2D_INPUT_GRADIENT" else ()
        names = {op.name for op in members}
        if graph.ops[step].name in names:
            expand = members[2]
            at = next(i for i, op in enumerate(graph.ops) if op.name == expand.name)
            before = [op for op in graph.ops[: at + 1] if op.name not in names]
            after = [op for op in graph.ops[at + 1 :] if op.name not in names]
            op = _slices(members, expand, graph)
            op = replace(op, attrs={**op.attrs, "over": _dies(members[0], after, graph)})
            yield graph.replace(ops=(*before, op, *after)), expand.name


def _dies(project: Op, after: list[Op], graph: Graph) -> bool:
    """Whether nothing reads the gradient of the last layer's output any more, under any name, and there is an
    even number of pixels: then it is prepared in its place."""
    g = project.inputs[0]
    producer = graph.producer(g)
    viewed = producer is None or producer.kind == "RESHAPE_INPUT_GRADIENT"
    p, q, _ = Geometry.of(graph.layers[project.of], graph).out_shape
    return not viewed and p * q % 2 == 0 and not any(g in op.inputs for op in after)


def _members(graph: Graph, middle: Op) -> tuple[Op, ...]:
    """What a SLICES op around the depthwise gradient `middle` stands for; () where the kernel cannot."""
    middle = plain(middle)
    outer, inner = middle.inputs[0], middle.outputs[0]
    project = graph.producer(outer)
    readers = [op for op in graph.consumers(outer) if op.name != middle.name], graph.consumers(inner)
    expand = next((op for op in readers[1] if op.kind == "CONV_2D_INPUT_GRADIENT"), None)
    if project is None or project.kind != "CONV_2D_INPUT_GRADIENT" or expand is None:
        return ()
    updates = (*readers[0], *(op for op in readers[1] if op is not expand))
    layers = [graph.layers[op.of] for op in (project, middle, expand)]
    if graph.tensors[inner].dtype != "int16" or not _fit(graph, layers):
        return ()
    trained = {op.of for op in graph.layers.values() if op.role == "update" and op.kind != "BIAS_UPDATE"}
    if trained & {project.of, middle.of} or not all(_takes(op, graph) for op in updates):
        return ()
    return (project, middle, expand, *updates)


def _fit(graph: Graph, layers: list[Op]) -> bool:
    project, depthwise, expand = (Geometry.of(layer, graph) for layer in layers)
    sides = project.pointwise and expand.pointwise
    eights = project.out_shape[2] % 8 == 0 and depthwise.in_shape[2] % 8 == 0
    return sides and eights and expand.in_shape[2] % 4 == 0


def _takes(op: Op, graph: Graph) -> bool:
    """Whether an update may be part of a SLICES op: all biases of a layer, or columns."""
    if op.role != "update" or "pooled" in op.attrs:
        return False
    whole = len(op.attrs["channels"]) == graph.tensors[op.inputs[-1]].shape[op.attrs["along"]]
    return whole if op.kind == "BIAS_UPDATE" else op.kind == "CONV_2D_COLUMNS_UPDATE" and not whole
