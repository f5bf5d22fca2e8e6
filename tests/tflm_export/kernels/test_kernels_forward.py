"""Forward kernels against TFLite Micro's interpreter, bit for bit; clip masks against their definition in
float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_cases import COMMON, conv_model, draw_geometry, int8, kernel_conv
from kernel_runner import Add, Conv, Pad, Pool, Reduce, Requantize, Rows, call, scratch
from tflite_file import O, T, build, fused, oracle, pool_options

from tflm_export.front.read_tflite import read_tflite
from tflm_export.ir import Graph

RUNS = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
KERNELS = {"CONV_2D": "conv_s8", "DEPTHWISE_CONV_2D": "depthwise_s8", "FULLY_CONNECTED": "fully_connected_s8"}
scales, zeros, sizes, seeds, ACTIVATIONS = COMMON


def zero(graph: Graph, name: str) -> int:
    quant = graph.tensors[name].quant
    assert quant is not None
    return quant.zero_point[0]


def empty_mask(size: int) -> np.ndarray:
    """Bits of `size` outputs, some wrongly set, so that a kernel must clear as well as set."""
    return np.full((size + 7) // 8, 0x5A, np.uint8)


def bits(mask: np.ndarray, size: int) -> np.ndarray:
    return np.unpackbits(mask, bitorder="little")[:size].astype(bool)


def expected_mask(acc: np.ndarray, real_factor: np.ndarray, conv: Conv) -> tuple[np.ndarray, np.ndarray]:
    """docs/arithmetic.md, "Clip mask", in float64; and where rounding twice cannot make a difference."""
    v = acc * real_factor + conv.out_zero
    above = acc > 0 if conv.act_min == conv.out_zero else v >= conv.act_min - 0.5
    sure = np.abs(v - conv.act_max - 0.5) > 0.26
    if conv.act_min != conv.out_zero:
        sure &= np.abs(v - conv.act_min + 0.5) > 0.26
    return above & (v < conv.act_max + 0.5), sure


def check_mask(conv: Conv, acc: np.ndarray, mask: np.ndarray) -> None:
    """`acc` [positions, out_c]: exact sums with the bias."""
    factor = conv.multiplier.astype(np.float64) * 2.0 ** (conv.shift.astype(np.float64) - 31)
    passing, sure = expected_mask(acc, factor, conv)
    np.testing.assert_array_equal(
        bits(mask, acc.size)[sure.reshape(-1)], passing.reshape(-1)[sure.reshape(-1)]
    )


def exact_sums(conv: Conv, x: np.ndarray, weights: np.ndarray, depthwise: bool) -> np.ndarray:
    """The definition of a convolution, a loop over everything. [out_h * out_w, out_c] int64."""
    acc = np.tile(conv.bias.astype(np.int64), (conv.out_h, conv.out_w, 1))
    for oy, ox in np.ndindex(conv.out_h, conv.out_w):
        for ky, kx in np.ndindex(conv.k_h, conv.k_w):
            iy, ix = oy * conv.stride_h + ky - conv.pad_top, ox * conv.stride_w + kx - conv.pad_left
            if 0 <= iy < conv.in_h and 0 <= ix < conv.in_w:
                pixel = x[iy, ix].astype(np.int64) - conv.in_zero
                w = weights[ky, kx] if depthwise else weights[:, ky, kx]
                acc[oy, ox] += pixel * w if depthwise else w.astype(np.int64) @ pixel
    return acc.reshape(-1, conv.out_c)


def run_conv(
    kind: str, conv: Conv, x: np.ndarray, kernel: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Output [out_h, out_w, out_c] and mask; the same output must come without a mask."""
    kernel = kernel or KERNELS[kind]
    y = np.zeros((conv.out_h, conv.out_w, conv.out_c), np.int8)
    mask = empty_mask(y.size)
    nbytes = call(f"{kernel}_scratch_bytes", conv)
    call(kernel, conv, x, y, mask, scratch(nbytes))
    again = np.zeros_like(y)
    call(kernel, conv, x, again, None, scratch(nbytes))
    np.testing.assert_array_equal(again, y)
    return y, mask


@RUNS
@given(st.data(), st.sampled_from(list(KERNELS)))
def test_convolutions(data, kind):
    rng = np.random.default_rng(data.draw(seeds))
    model = conv_model(data.draw, rng, kind, draw_geometry(data.draw, kind))
    graph = read_tflite(model)
    conv, weights = kernel_conv(graph)
    x = int8(rng, graph.tensors["x"].shape)
    y, mask = run_conv(kind, conv, x)
    np.testing.assert_array_equal(y.reshape(-1), oracle(model, x)[0].reshape(-1))
    kept = x.reshape(conv.in_h, conv.in_w, conv.in_c)
    depthwise = kind == "DEPTHWISE_CONV_2D"
    check_mask(conv, exact_sums(conv, kept, weights, depthwise), mask)


@RUNS
@given(st.data())
def test_pointwise(data):
    rng = np.random.default_rng(data.draw(seeds))
    geometry = draw_geometry(data.draw, "CONV_2D", kernel=(1, 1), stride=(1, 1), channels=st.integers(1, 40))
    model = conv_model(data.draw, rng, "CONV_2D", geometry)
    graph = read_tflite(model)
    conv, weights = kernel_conv(graph)
    x = int8(rng, graph.tensors["x"].shape)
    y, mask = run_conv("CONV_2D", conv, x, "pointwise_s8")
    np.testing.assert_array_equal(y.reshape(-1), oracle(model, x)[0].reshape(-1))
    check_mask(conv, exact_sums(conv, x[0], weights, False), mask)


@RUNS
@given(st.data(), st.sampled_from(["conv_s8", "pointwise_s8", "fully_connected_s8"]), st.booleans())
def test_trained_rows_and_columns(data, kernel, by_columns):
    """Weights that live in RAM give what the same weights in flash give."""
    rng = np.random.default_rng(data.draw(seeds))
    kind = "FULLY_CONNECTED" if kernel == "fully_connected_s8" else "CONV_2D"
    one = {"kernel": (1, 1), "stride": (1, 1)} if kernel == "pointwise_s8" else {}
    model = conv_model(data.draw, rng, kind, draw_geometry(data.draw, kind, **one))
    conv, weights = kernel_conv(read_tflite(model))
    x = int8(rng, (1, conv.in_h, conv.in_w, conv.in_c))
    expected = run_conv(kind, conv, x, kernel)
    axis, length = (3, conv.in_c) if by_columns else (0, conv.out_c)
    chosen = np.sort(rng.choice(length, rng.integers(1, length + 1), replace=False)).astype(np.int16)
    conv.trained = np.ascontiguousarray(np.take(weights, chosen, axis))
    rest = weights.copy()
    if by_columns:
        conv.columns, conv.n_columns = chosen, len(chosen)
        rest[..., chosen] = -99
    else:
        conv.slot = np.full(length, -1, np.int16)
        conv.slot[chosen] = np.arange(len(chosen))
        rest[chosen] = 99
    conv.weights = rest
    for got, wanted in zip(run_conv(kind, conv, x, kernel), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


@RUNS
@given(st.data(), st.sampled_from(["conv", "pointwise", "depthwise"]))
def test_rows_through_ring_buffers(data, name):
    """Row ranges, with only the rows of the input that they read, give the whole map's bits."""
    rng = np.random.default_rng(data.draw(seeds))
    kind = "DEPTHWISE_CONV_2D" if name == "depthwise" else "CONV_2D"
    one = {"kernel": (1, 1), "stride": (1, 1)} if name == "pointwise" else {}
    conv, _ = kernel_conv(
        read_tflite(conv_model(data.draw, rng, kind, draw_geometry(data.draw, kind, **one)))
    )
    x = int8(rng, (conv.in_h, conv.in_w, conv.in_c))
    whole, whole_mask = run_conv(kind, conv, x, f"{name}_s8")
    y, mask = np.zeros_like(whole), empty_mask(whole.size)
    nbytes = call(f"{name}_s8_scratch_bytes", conv)
    at = 0
    while at < conv.out_h:
        end = min(conv.out_h, at + data.draw(st.integers(1, 3)))
        top, bottom = at * conv.stride_h - conv.pad_top, (end - 1) * conv.stride_h - conv.pad_top + conv.k_h
        rows = range(max(top, 0), min(bottom, conv.in_h))
        ring_rows = max(len(rows), 1) + data.draw(st.integers(0, 2))
        ring = np.full((ring_rows, conv.in_w, conv.in_c), 77, np.int8)
        for row in rows:
            ring[row % ring_rows] = x[row]
        out = Rows(y, conv.out_h)
        call(f"{name}_rows_s8", conv, Rows(ring, ring_rows), out, at, end, mask, scratch(nbytes))
        at = end
    np.testing.assert_array_equal(y, whole)
    np.testing.assert_array_equal(bits(mask, y.size), bits(whole_mask, y.size))


@RUNS
@given(st.data(), st.sampled_from(["ADD", "SUB"]), st.booleans())
def test_add_and_sub(data, kind, in_place):
    rng, shape = np.random.default_rng(data.draw(seeds)), (1, 3, 5, 2)
    tensors = [T(name, shape, scale=data.draw(scales), zero=data.draw(zeros)) for name in ("a", "b", "y")]
    model = build(tensors, [O(kind, ["a", "b"], ["y"], fused(data.draw(ACTIVATIONS)))], ["a", "b"], ["y"])
    graph = read_tflite(model)
    attrs = graph.ops[0].attrs
    names = ("input1_multiplier", "input2_multiplier", "output_multiplier")
    shifts = ("input1_shift", "input2_shift", "output_shift")
    p = Add(
        *(zero(graph, name) for name in ("a", "b", "y")), attrs["act_min"], attrs["act_max"],
        *(attrs[name] for name in names), *(attrs[name] for name in shifts),
    )  # fmt: skip
    a, b = int8(rng, shape), int8(rng, shape)
    expected = oracle(model, a, b)[0].reshape(-1)
    sums = tensors[0].scale * (a.astype(float) - p.a_zero)
    other = tensors[1].scale * (b.astype(float) - p.b_zero)
    real = (sums + (other if kind == "ADD" else -other)).reshape(-1) / tensors[2].scale
    unmasked = np.zeros_like(a)
    call(kind.lower() + "_s8", p, a, b, a.size, unmasked, None)
    np.testing.assert_array_equal(unmasked.reshape(-1), expected)
    y, mask = a if in_place else np.zeros_like(a), empty_mask(a.size)
    call(kind.lower() + "_s8", p, a, b, a.size, y, mask)
    np.testing.assert_array_equal(y.reshape(-1), expected)
    as_conv = Conv(*[0] * 13, p.out_zero, p.act_min, p.act_max, None, None, None, None)
    passing, sure = expected_mask(real, np.float64(1), as_conv)
    sure &= np.abs(real) > 1e-3
    np.testing.assert_array_equal(bits(mask, a.size)[sure], passing[sure])


def test_add_range_writes_its_part_only():
    p = Add(0, 0, 0, -128, 127, 1 << 30, 1 << 30, 1 << 30, 0, 0, -18)
    a, b = np.arange(20, dtype=np.int8), np.arange(20, dtype=np.int8)
    y, mask = np.zeros(20, np.int8), np.zeros(3, np.uint8)
    call("add_s8", p, a, b, 20, y, mask)
    part, part_mask = np.full(6, 9, np.int8), np.zeros(3, np.uint8)
    call("add_range_s8", p, a[5:11].copy(), b[5:11].copy(), 5, 6, part, part_mask)
    np.testing.assert_array_equal(part, y[5:11])
    np.testing.assert_array_equal(np.flatnonzero(bits(part_mask, 20)), np.arange(5, 11))


@RUNS
@given(st.data(), st.sampled_from(["MUL", "RELU", "RELU6", "QUANTIZE"]))
def test_one_factor_ops(data, kind):
    rng, shape = np.random.default_rng(data.draw(seeds)), (1, 4, 3, 3)
    tensors = [T(name, shape, scale=data.draw(scales), zero=data.draw(zeros)) for name in ("a", "b", "y")]
    if kind == "RELU6":
        tensors[2].scale, tensors[2].zero = tensors[0].scale, tensors[0].zero
    inputs = ["a", "b"] if kind == "MUL" else ["a"]
    if kind != "MUL":
        del tensors[1]
    options = fused(data.draw(ACTIVATIONS)) if kind == "MUL" else {}
    model = build(tensors, [O(kind, inputs, ["y"], options)], inputs, ["y"])
    graph = read_tflite(model)
    attrs = graph.ops[0].attrs
    b_zero = zero(graph, "b") if kind == "MUL" else 0
    p = Requantize(
        zero(graph, "a"), b_zero, zero(graph, "y"), attrs["act_min"], attrs["act_max"],
        attrs["multiplier"], attrs["shift"],
    )  # fmt: skip
    xs = [int8(rng, shape) for _ in inputs]
    y, mask = np.zeros(shape, np.int8), empty_mask(36)
    kernel = {"MUL": "mul_s8", "QUANTIZE": "requantize_s8"}.get(kind, "relu_s8")
    call(kernel, p, *xs, 36, y, mask)
    np.testing.assert_array_equal(y, oracle(model, *xs)[0])
    acc = (xs[0].astype(np.int64) - p.in_zero) * (xs[1].astype(np.int64) - b_zero if kind == "MUL" else 1)
    as_conv = Conv(*[0] * 13, p.out_zero, p.act_min, p.act_max, None, None, None, None)
    passing, sure = expected_mask(acc.reshape(-1), np.float64(p.multiplier * 2.0 ** (p.shift - 31)), as_conv)
    np.testing.assert_array_equal(bits(mask, 36)[sure], passing[sure])


@RUNS
@given(st.data(), st.sampled_from(["average_pool_s8", "max_pool_s8"]))
def test_pools(data, kernel):
    rng = np.random.default_rng(data.draw(seeds))
    geometry = draw_geometry(data.draw, "DEPTHWISE_CONV_2D", channels=st.integers(1, 20))
    quant = {"scale": data.draw(scales), "zero": data.draw(zeros)}
    options = pool_options(
        geometry.kernel, padding=geometry.padding, stride=geometry.stride, activation=data.draw(ACTIVATIONS)
    )
    tensors = [T("x", (1, *geometry.in_shape), **quant), T("y", (1, *geometry.out_shape), **quant)]
    kind = "AVERAGE_POOL_2D" if kernel == "average_pool_s8" else "MAX_POOL_2D"
    model = build(tensors, [O(kind, ["x"], ["y"], options)], ["x"], ["y"])
    attrs = read_tflite(model).ops[0].attrs
    (h, w, c), (oh, ow, _) = geometry.in_shape, geometry.out_shape
    pads = attrs["pad_top"], attrs["pad_left"], attrs["act_min"], attrs["act_max"]
    p = Pool(h, w, c, oh, ow, *geometry.kernel, *geometry.stride, *pads)
    x, y = int8(rng, (1, h, w, c)), np.zeros((1, oh, ow, c), np.int8)
    call(kernel, p, x, y)
    np.testing.assert_array_equal(y, oracle(model, x)[0])


@RUNS
@given(st.data())
def test_mean(data):
    rng = np.random.default_rng(data.draw(seeds))
    h, w, c = data.draw(sizes), data.draw(sizes), data.draw(sizes)
    x = T("x", (1, h, w, c), scale=data.draw(scales), zero=data.draw(zeros))
    y = T("y", (1, c), scale=data.draw(scales), zero=data.draw(zeros))
    axes = T("axes", (2,), "int32", None, data=np.array([1, 2], np.int32))
    model = build([x, axes, y], [O("MEAN", ["x", "axes"], ["y"], {"KeepDims": False})], ["x"], ["y"])
    attrs = read_tflite(model).ops[0].attrs
    p = Requantize(x.zero, 0, y.zero, -128, 127, attrs["multiplier"], attrs["shift"])
    values, out = int8(rng, (1, h, w, c)), np.zeros((1, c), np.int8)
    call("mean_s8", p, Reduce(1, h * w, 1, 1, c), values, out)
    np.testing.assert_array_equal(out, oracle(model, values)[0])


@RUNS
@given(st.data(), st.floats(2.0**-10, 3.0, width=32), st.sampled_from([1, 2, 10, 300]))
def test_softmax(data, scale, n):
    rng = np.random.default_rng(data.draw(seeds))
    tensors = [T("x", (1, n), scale=scale, zero=data.draw(zeros)), T("y", (1, n), scale=1 / 256, zero=-128)]
    model = build(tensors, [O("SOFTMAX", ["x"], ["y"], {"Beta": 1.0})], ["x"], ["y"])
    table = np.array(read_tflite(model).ops[0].attrs["exp"], np.int32)
    x, y = int8(rng, (1, n)), np.zeros((1, n), np.int8)
    call("softmax_s8", table, x, 1, n, y)
    np.testing.assert_array_equal(y, oracle(model, x)[0])


@RUNS
@given(st.data(), st.floats(2.0**-10, 30.0, width=32), st.sampled_from([1, 2, 10, 300]))
def test_log_softmax(data, scale, n):
    rng = np.random.default_rng(data.draw(seeds))
    tensors = [T("x", (1, n), scale=scale, zero=data.draw(zeros)), T("y", (1, n), scale=1 / 16, zero=127)]
    model = build(tensors, [O("LOG_SOFTMAX", ["x"], ["y"])], ["x"], ["y"])
    attrs = read_tflite(model).ops[0].attrs
    tables = [np.array(attrs[name], np.int32) for name in ("exp", "argument")]
    x, y = rng.integers(data.draw(st.integers(-128, 126)), 128, (1, n), np.int8), np.zeros((1, n), np.int8)
    call("log_softmax_s8", *tables, x, 1, n, y)
    np.testing.assert_array_equal(y, oracle(model, x)[0])


def test_logistic():
    tensors = [T("x", (1, 256), scale=0.04, zero=3), T("y", (1, 256), scale=1 / 256, zero=-128)]
    model = build(tensors, [O("LOGISTIC", ["x"], ["y"])], ["x"], ["y"])
    table = np.array(read_tflite(model).ops[0].attrs["table"], np.int8)
    x, y = np.arange(-128, 128).astype(np.int8).reshape(1, 256), np.zeros((1, 256), np.int8)
    call("logistic_s8", table, x, 256, y)
    np.testing.assert_array_equal(y, oracle(model, x)[0])


@RUNS
@given(st.data())
def test_pad_concatenate_gather(data):
    rng = np.random.default_rng(data.draw(seeds))
    shape = tuple(data.draw(sizes) for _ in range(3))
    pads = [(data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))) for _ in range(3)]
    x = int8(rng, shape)
    expected = np.pad(x, pads, constant_values=-5)
    y = np.zeros_like(expected)
    call("pad_s8", Pad(*shape, *y.shape, *(before for before, _ in pads), -5), x, y)
    np.testing.assert_array_equal(y, expected)

    parts = [int8(rng, (*shape[:2], n)) for n in (shape[2], 3)]
    joined, at = np.zeros((*shape[:2], shape[2] + 3), np.int8), 0
    for part in parts:
        outer, inner = shape[0] * shape[1], part.shape[2]
        call("concatenation_s8", part, outer, inner, joined.shape[2], at, joined)
        at += inner
    np.testing.assert_array_equal(joined, np.concatenate(parts, axis=2))

    chosen = np.sort(rng.choice(shape[2], rng.integers(1, shape[2] + 1), replace=False)).astype(np.int16)
    kept = np.zeros((*shape[:2], len(chosen)), np.int8)
    call("gather_channels_s8", x, shape[0] * shape[1], shape[2], chosen, len(chosen), kept)
    np.testing.assert_array_equal(kept, x[..., chosen])
    call("gather_channels_s8", x, shape[0] * shape[1], shape[2], None, len(chosen), kept)
    np.testing.assert_array_equal(kept, x[..., : len(chosen)])


def test_a_write_outside_is_seen():
    """The sanitizers are really on: an output one element short stops the runner."""
    x, table = np.zeros(8, np.int8), np.zeros(256, np.int8)
    with pytest.raises(AssertionError, match="heap-buffer-overflow"):
        call("lookup_s8", table, x, 8, np.zeros(7, np.int8))
