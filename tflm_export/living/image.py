"""What an image of a choosing engine holds, byte by byte (docs/choosing.md, "Images")."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.living.pool import Candidate, candidates, total
from tflm_export.living.selection import Axis, Selection
from tflm_export.ops.convolution.update import STATE_BYTES, state_arrays
from tflm_export.plan import PAGE_BYTES, UpdatePlan
from tflm_export.round_up import round_up
from tflm_export.store.arrays import scale_count, store_identity
from tflm_export.variable import Variable, numbered, variables

MAGIC = 0x4D495401
HEAD = struct.Struct("<I8sIIII16xI")
SGD_BYTES, SCALE_BYTES = 16, 4  # tfodl::Sgd, GradScale
STEP_AT = 8  # of Sgd
NONE_THERE = "images: the area holds none of this engine; let the device end an epoch first."
MOST_PAGES = 255  # of a tfodl::FlashArea


@dataclass(frozen=True)
class Part:
    """`nbytes` of the array `symbol` in RAM, at `at`. variable: the tensor it is; None for other state."""

    symbol: str
    at: int
    nbytes: int
    variable: Variable | None = None


@dataclass(frozen=True)
class ImageLayout:
    """tensors: where each candidate's weights and bias (-1: none) lie; parts: what else learning changes.

    measured: where phi and velocity lie, or -1. chosen: where the bits of the chosen channels lie. nbytes: of
    an image, its head too. The part from `measured` or `chosen` on begins a page.
    """

    tensors: tuple[tuple[int, int], ...]
    parts: tuple[Part, ...]
    measured: int
    chosen: int
    nbytes: int

    @property
    def pages(self) -> int:
        """Of one image."""
        return -(-self.nbytes // PAGE_BYTES)


def image_layout(graph: Graph, plan: UpdatePlan) -> ImageLayout:
    """The layout of a training graph's images under a plan with a pool."""
    layers, at = candidates(graph), HEAD.size
    tensors: list[tuple[int, int]] = []
    for c in layers:
        bias = at + round_up(math.prod(c.weights.shape))
        tensors.append((at, bias if c.bias is not None else -1))
        at = bias + (4 * c.channels if c.bias is not None else 0)
    parts = _parts(graph, plan, at)
    begin = round_up(parts[-1].at + round_up(parts[-1].nbytes), PAGE_BYTES)
    measured, count = -1, total(layers)
    chosen = begin
    if plan.pool is not None and plan.pool.rule == "velocity":
        measured, chosen = begin, begin + 8 * count
    return ImageLayout(tuple(tensors), parts, measured, chosen, chosen + round_up(-(-count // 8)))


def written_tensors(graph: Graph, plan: UpdatePlan) -> tuple[Part, ...]:
    """Where a host writes the trained tensors in an image, as a board counts them."""
    layout = image_layout(graph, plan)
    at = {part.variable.tensor: part.at for part in layout.parts if part.variable is not None}
    for c, (weights, bias) in zip(candidates(graph), layout.tensors, strict=True):
        at |= {c.weights.tensor: weights} | ({} if c.bias is None else {c.bias.tensor: bias})
    return tuple(Part(v.tensor, at[v.tensor], v.written_bytes, v) for v in numbered(graph))


def area_bytes(graph: Graph, plan: UpdatePlan) -> int:
    """Flash in which an engine keeps its state, bytes: two images with a pool, its store, or none."""
    return plan.store_bytes if plan.pool is None else 2 * image_layout(graph, plan).pages * PAGE_BYTES


def check_area(graph: Graph, plan: UpdatePlan) -> None:
    """Raise `ExportError` when two images are more pages than a flash area can have."""
    if plan.pool is None:
        return
    pages = area_bytes(graph, plan) // PAGE_BYTES
    if pages > MOST_PAGES:
        raise ExportError(
            f"update plan: two images of what the candidates may learn take {pages} pages of {PAGE_BYTES} "
            f"bytes; allowed: {MOST_PAGES}. Name fewer candidates."
        )


def _parts(graph: Graph, plan: UpdatePlan, at: int) -> tuple[Part, ...]:
    found: list[Part] = []

    def add(symbol: str, nbytes: int, variable: Variable | None = None) -> None:
        nonlocal at
        found.append(Part(symbol, at, nbytes, variable))
        at += round_up(nbytes)

    for v in variables(graph):
        if v.pooled:
            continue
        symbol = f"{'b' if v.bias else 'w'}{v.layer.label}"
        add(symbol, v.nbytes, v)
        for state, on in state_arrays(plan.optimizer, v).items():
            if on:
                add(f"{state}_{symbol}", v.count * STATE_BYTES[state])
    add("scales", SCALE_BYTES * scale_count(graph))
    add("sgd", SGD_BYTES)
    return tuple(found)


def image_identity(graph: Graph, plan: UpdatePlan) -> bytes:
    """8 bytes by which an engine knows its own images."""
    digest = hashlib.sha256(store_identity(graph, plan).engine)
    digest.update(repr((plan.pool, [c.layer.name for c in candidates(graph)])).encode())
    return digest.digest()[:8]


@dataclass(frozen=True)
class Image:
    """weights: whole tensors by name in the model; selection: of the epoch that began with it."""

    weights: dict[str, np.ndarray]
    selection: Selection


def read_image(area: bytes, graph: Graph, plan: UpdatePlan) -> Image:
    """The newest image in a device's area, checked as the device does.

    Raises `ExportError` when there is none of this engine.
    """
    layout = image_layout(graph, plan)
    size = layout.pages * PAGE_BYTES
    if len(area) < 2 * size:
        raise ExportError(f"images: the area has {len(area)} bytes; this engine's has {2 * size}.")
    best: tuple[int, int, bytes] | None = None
    for data in (area[:size], area[size : 2 * size]):
        head = _head(data, layout, image_identity(graph, plan))
        if head is not None and zlib.crc32(data[HEAD.size :]) == head.data_crc:
            best = max(best or (0, 0, b""), (head.sequence, head.epoch, data))
    if best is None:
        raise ExportError(NONE_THERE)
    image = _read(best[2], best[1], layout, graph, _axis(plan))
    _check_holds(image.selection, graph, plan)
    return image


def read_selection(read: Callable[[int, int], bytes], graph: Graph, plan: UpdatePlan) -> Selection:
    """Which channels learn, from a device's area of which `read(at, n)` gives bytes: a few hundred of them.

    Raises `ExportError` when it holds no image of this engine.
    """
    layout, best = image_layout(graph, plan), (0, 0, 0)
    for start in (0, layout.pages * PAGE_BYTES):
        head = _head(read(start, HEAD.size), layout, image_identity(graph, plan))
        if head is not None:
            best = max(best, (head.sequence, head.epoch, start))
    sequence, epoch, start = best
    if not sequence:
        raise ExportError(NONE_THERE)
    step = int.from_bytes(read(start + layout.parts[-1].at + STEP_AT, 4), "little")
    bits = read(start + layout.chosen, layout.nbytes - layout.chosen)
    selection = _selection(bits, epoch, step, candidates(graph), _axis(plan))
    _check_holds(selection, graph, plan)
    return selection


def _check_holds(selection: Selection, graph: Graph, plan: UpdatePlan) -> None:
    """Raise `ExportError` where more channels learn than the pool holds: no engine writes that."""
    most = plan.pool.bytes if plan.pool is not None else 0
    cost = sum(c.cost(plan.optimizer) * len(selection.channels[c.layer.name]) for c in candidates(graph))
    if cost > most:
        raise ExportError(
            f"images: the channels that learn take {cost:,} bytes and the pool has {most:,}; the area is "
            "damaged. Take another copy of it, or format the device's."
        )


@dataclass(frozen=True)
class _Head:
    nbytes: int
    sequence: int
    epoch: int
    data_crc: int


def _head(data: bytes, layout: ImageLayout, identity: bytes) -> _Head | None:
    """The head of an image, None where it is not of this engine."""
    magic, owner, *fields, crc = HEAD.unpack_from(data)
    head = _Head(*fields)
    ours = magic == MAGIC and owner == identity and head.nbytes == layout.nbytes
    return head if ours and zlib.crc32(data[: HEAD.size - 4]) == crc else None


def _axis(plan: UpdatePlan) -> Axis:
    return "out" if plan.pool is None else plan.pool.axis


def _selection(bits: bytes, epoch: int, step: int, layers: tuple[Candidate, ...], axis: Axis) -> Selection:
    mask = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[: total(layers)]
    return Selection(epoch, step, named(layers, mask.astype(bool)), axis)


def _read(data: bytes, epoch: int, layout: ImageLayout, graph: Graph, axis: Axis) -> Image:
    layers, weights = candidates(graph), {}
    for c, (at, bias_at) in zip(layers, layout.tensors, strict=True):
        weights[c.weights.tensor] = _tensor(data, at, c.weights)
        if c.bias is not None:
            weights[c.bias.tensor] = _tensor(data, bias_at, c.bias)
    for part in layout.parts:
        if part.variable is not None:
            stored = np.frombuffer(data, part.variable.dtype, part.nbytes // _width(part.variable), part.at)
            whole = graph.constant(part.variable.tensor)
            weights[part.variable.tensor] = part.variable.put(whole, stored)
    step = int.from_bytes(data[layout.parts[-1].at + STEP_AT :][:4], "little")
    return Image(weights, _selection(data[layout.chosen :], epoch, step, layers, axis))


def named(layers: tuple[Candidate, ...], mask: np.ndarray) -> dict[str, tuple[int, ...]]:
    """Chosen channels by the names of their ops, from bool [C]."""
    return {c.layer.name: tuple(np.flatnonzero(mask[c.span]).tolist()) for c in layers}


def _tensor(data: bytes, at: int, variable: Variable) -> np.ndarray:
    flat = np.frombuffer(data, variable.dtype, math.prod(variable.shape), at)
    return flat.reshape(variable.shape).copy()


def _width(variable: Variable) -> int:
    return np.dtype(variable.dtype).itemsize
