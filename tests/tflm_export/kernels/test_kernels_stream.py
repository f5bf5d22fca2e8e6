"""Row-by-row execution: bit for bit what the same layers give one after the other on whole maps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_cases import Geometry, int8, random_conv
from kernel_runner import Add, Conv, Rows, call, scratch

RUNS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = ("conv", "pointwise", "depthwise")  # in the order of StageKind


@dataclass
class Stage:
    """`tfodl::Stage`, with its Conv by value."""

    kind: int
    conv: Conv
    ring: Rows
    step: int
    mask: np.ndarray | None
    saved: np.ndarray | None
    channels: np.ndarray | None
    n_saved: int


@dataclass
class Residual:
    """`tfodl::Residual`, with its Add by value."""

    add: Add
    skip: np.ndarray
    y: np.ndarray
    mask: np.ndarray | None


ADD = Add(3, -5, 7, -128, 127, 1 << 30, 1 << 30, 1 << 30, 0, 0, -18)


def draw_chain(draw, rng, length: int, same_shape: bool = False) -> list[tuple[str, Conv]]:
    """Layers that fit together."""
    shape = (draw(st.integers(3, 12)), draw(st.integers(2, 9)), draw(st.integers(1, 6)))
    chain = []
    for _ in range(length):
        kind = draw(st.sampled_from(KINDS))
        k = (1, 1) if kind == "pointwise" else (draw(st.integers(1, 4)), draw(st.integers(1, 3)))
        free = kind != "pointwise" and not same_shape
        stride = (draw(st.integers(1, 3)), draw(st.integers(1, 2))) if free else (1, 1)
        padding = draw(st.sampled_from(["SAME", "VALID"])) if free else "SAME"
        if padding == "VALID" and (k[0] > shape[0] or k[1] > shape[1]):
            padding = "SAME"
        out_c = shape[2] if kind == "depthwise" or same_shape else draw(st.integers(1, 6))
        chain.append((kind, random_layer(rng, kind, shape, out_c, k, stride, padding)))
        conv = chain[-1][1]
        shape = (conv.out_h, conv.out_w, conv.out_c)
    for (_, a), (_, b) in zip(chain, chain[1:], strict=False):
        b.in_zero = a.out_zero
    return chain


def random_layer(rng, kind, shape, out_c, k, stride, padding) -> Conv:
    valid = [(n - i) // s + 1 for n, i, s in zip(shape, k, stride, strict=False)]
    same = [-(-n // s) for n, s in zip(shape, stride, strict=False)]
    h, w = same if padding == "SAME" else valid
    conv, weights = random_conv(rng, Geometry(shape, (h, w, out_c), k, stride, padding), kind == "depthwise")
    conv.out_zero = int(rng.integers(-128, 100))
    conv.act_min = conv.out_zero
    conv.bias = rng.integers(-3000, 3000, out_c).astype(np.int32)
    conv.multiplier = rng.integers(2**30, 2**31 - 1, out_c).astype(np.int32)
    products = weights.size // out_c
    conv.shift = np.full(out_c, -7 - products.bit_length() // 2, np.int8)
    return conv


def whole(chain, x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Output and mask of every layer."""
    maps = []
    for kind, conv in chain:
        y = np.zeros((conv.out_h, conv.out_w, conv.out_c), np.int8)
        mask = np.zeros((y.size + 7) // 8, np.uint8)
        call(f"{kind}_s8", conv, x, y, mask, scratch(call(f"{kind}_s8_scratch_bytes", conv)))
        maps.append((y, mask))
        x = y
    return maps


def rows_read(chain) -> list[int]:
    """How many rows of every layer's output anything reads."""
    needed = [chain[-1][1].out_h]
    for _, conv in reversed(chain[1:]):
        end = (needed[0] - 1) * conv.stride_h - conv.pad_top + conv.k_h
        needed.insert(0, max(0, min(conv.in_h, end)))
    return needed


def ring_rows(step: int, following: Conv, next_step: int) -> int:
    """`tfodl::ring_rows`, from docs/kernels.md."""
    return min(following.in_h, (next_step - 1) * following.stride_h + following.k_h + step - 1)


def stages_of(draw, rng, chain, last: np.ndarray, steps: list[int], last_rows: int) -> list[Stage]:
    """Rings of the least height; masks and saved channels here and there."""
    stages = []
    for i, (kind, conv) in enumerate(chain):
        row, size = conv.out_w * conv.out_c, conv.out_h * conv.out_w * conv.out_c
        if i + 1 < len(chain):
            rows = ring_rows(steps[i], chain[i + 1][1], steps[i + 1])
            ring = Rows(np.full(rows * row, 55, np.int8), rows)
        else:
            ring = Rows(last, last_rows)
        mask = np.zeros((size + 7) // 8, np.uint8) if draw(st.booleans()) else None
        n = draw(st.integers(0, conv.out_c))
        channels = np.sort(rng.choice(conv.out_c, n, replace=False)).astype(np.int16)
        saved = np.zeros((conv.out_h, conv.out_w, n), np.int8) if n else None
        stages.append(
            Stage(
                KINDS.index(kind),
                conv,
                ring,
                steps[i],
                mask,
                saved,
                channels if draw(st.booleans()) else None,
                n,
            )
        )
    return stages


def run(stages: list[Stage], x: np.ndarray, residual: Residual | None) -> None:
    nbytes = max(call(f"{KINDS[s.kind]}_s8_scratch_bytes", s.conv) for s in stages)
    tail = [0] if residual is None else [1, residual]
    call("stream_s8", len(stages), *stages, x, *tail, scratch(nbytes))


def check_side_outputs(stages, maps, chain) -> None:
    """Masks and saved channels of every row that is read."""
    for stage, (y, mask), rows in zip(stages, maps, rows_read(chain), strict=True):
        if stage.mask is not None:
            bits = [
                np.unpackbits(m, bitorder="little")[: y.size].reshape(y.shape) for m in (stage.mask, mask)
            ]
            np.testing.assert_array_equal(bits[0][:rows], bits[1][:rows])
        if stage.saved is not None:
            channels = slice(stage.n_saved) if stage.channels is None else stage.channels
            np.testing.assert_array_equal(stage.saved[:rows], y[:rows, :, channels])


@RUNS
@given(st.data(), st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_a_chain_is_its_layers(data, seed, length):
    rng = np.random.default_rng(seed)
    chain = draw_chain(data.draw, rng, length)
    x = int8(rng, (chain[0][1].in_h, chain[0][1].in_w, chain[0][1].in_c))
    maps = whole(chain, x)
    y = np.zeros_like(maps[-1][0])
    steps = [data.draw(st.integers(1, 3)) for _ in chain]
    stages = stages_of(data.draw, rng, chain, y, steps, y.shape[0])
    run(stages, x, None)
    np.testing.assert_array_equal(y, maps[-1][0])
    check_side_outputs(stages, maps, chain)


@RUNS
@given(st.data(), st.integers(0, 2**32 - 1), st.integers(1, 4), st.booleans())
def test_a_residual_block_in_place(data, seed, length, in_place):
    """Layers and an ADD of their input, the sum written over the input, the last layer's ring one row."""
    rng = np.random.default_rng(seed)
    chain = draw_chain(data.draw, rng, length, same_shape=True)
    x = int8(rng, (chain[0][1].in_h, chain[0][1].in_w, chain[0][1].in_c))
    maps = whole(chain, x)
    wanted, wanted_mask = np.zeros_like(x), np.zeros((x.size + 7) // 8, np.uint8)
    call("add_s8", ADD, maps[-1][0], x, x.size, wanted, wanted_mask)
    steps = [data.draw(st.integers(1, 3)) for _ in chain]
    ring = np.zeros(steps[-1] * x.shape[1] * x.shape[2], np.int8)
    stages = stages_of(data.draw, rng, chain, ring, steps, steps[-1])
    lead = input_rows_ahead(chain)
    y = x if in_place and lead >= 1 else np.zeros_like(x)
    mask = np.zeros_like(wanted_mask)
    run(stages, x, Residual(ADD, x, y, mask))
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(mask, wanted_mask)
    check_side_outputs(stages, maps, chain)


def input_rows_ahead(chain) -> int:
    """After output row y of a chain without strides, no input row before y + this is read again."""
    return 1 + sum(0 if kind == "pointwise" else -conv.pad_top for kind, conv in chain[:1])


def test_the_last_output_may_lie_over_the_input():
    """Expand, depthwise, project: the output of half the width replaces the input row by row."""
    rng = np.random.default_rng(3)
    expand = random_layer(rng, "pointwise", (9, 7, 8), 24, (1, 1), (1, 1), "SAME")
    depthwise = random_layer(rng, "depthwise", (9, 7, 24), 24, (3, 3), (1, 1), "SAME")
    project = random_layer(rng, "pointwise", (9, 7, 24), 4, (1, 1), (1, 1), "SAME")
    chain = [("pointwise", expand), ("depthwise", depthwise), ("pointwise", project)]
    depthwise.in_zero, project.in_zero = expand.out_zero, depthwise.out_zero
    x = int8(rng, (9, 7, 8))
    wanted = whole(chain, x)[-1][0]
    rings = [Rows(np.zeros(3 * 7 * 24, np.int8), 3), Rows(np.zeros(7 * 24, np.int8), 1), Rows(x, 9)]
    stages = [
        Stage(KINDS.index(kind), conv, ring, 1, None, None, None, 0)
        for (kind, conv), ring in zip(chain, rings, strict=True)
    ]
    run(stages, x, None)
    np.testing.assert_array_equal(x.reshape(-1)[: wanted.size], wanted.reshape(-1))


def test_too_small_a_ring_is_noticed():
    """The height that docs/kernels.md asks for is the least: one row fewer gives another result."""
    rng = np.random.default_rng(4)
    first = random_layer(rng, "pointwise", (6, 5, 3), 3, (1, 1), (1, 1), "SAME")
    second = random_layer(rng, "depthwise", (6, 5, 3), 3, (3, 3), (1, 1), "SAME")
    second.in_zero = first.out_zero
    chain = [("pointwise", first), ("depthwise", second)]
    x = int8(rng, (6, 5, 3))
    wanted = whole(chain, x)[-1][0]
    for rows, same in ((3, True), (2, False)):
        y = np.zeros_like(wanted)
        stages = [
            Stage(1, replace(first), Rows(np.zeros(rows * 15, np.int8), rows), 1, None, None, None, 0),
            Stage(2, replace(second), Rows(y, 6), 1, None, None, None, 0),
        ]
        run(stages, x, None)
        assert np.array_equal(y, wanted) is same


@pytest.mark.parametrize("in_h", [1, 2])
def test_maps_lower_than_the_kernel(in_h):
    rng = np.random.default_rng(5)
    conv = random_layer(rng, "conv", (in_h, 3, 2), 2, (3, 3), (1, 1), "SAME")
    chain = [("conv", conv), ("conv", random_layer(rng, "conv", (in_h, 3, 2), 2, (3, 3), (1, 1), "SAME"))]
    x = int8(rng, (in_h, 3, 2))
    wanted = whole(chain, x)[-1][0]
    y = np.zeros_like(wanted)
    rings = [Rows(np.zeros(in_h * 6, np.int8), in_h), Rows(y, in_h)]
    stages = [
        Stage(0, layer, ring, 1, None, None, None, 0) for (_, layer), ring in zip(chain, rings, strict=True)
    ]
    run(stages, x, None)
    np.testing.assert_array_equal(y, wanted)
