"""Every forward op against TFLite Micro's interpreter, bit for bit, on random parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tflite_file import O, T, build, conv_options, fused, oracle, pool_options

from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.ir import Graph
from tflm_export.simulate.evaluate import run

RUNS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
ACTIVATIONS = st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
scales = st.floats(2.0**-10, 0.25, width=32)
zeros = st.integers(-128, 127)
sizes = st.integers(1, 9)
paddings = st.sampled_from(["SAME", "VALID"])
seeds = st.integers(0, 2**32 - 1)


def int8(rng, shape):
    """Random int8, the extremes among them."""
    return rng.integers(-128, 128, shape).astype(np.int8)


def check(data: bytes, rng, samples: int = 1) -> None:
    """The graph, simplified or not, computes what the interpreter does, one by one and in a batch."""
    compare(read_tflite(data), data, rng, samples)
    compare(simplify(read_tflite(data)), data, rng, samples)


def compare(graph: Graph, data: bytes, rng, samples: int) -> None:
    xs = [[int8(rng, graph.tensors[name].shape) for name in graph.inputs] for _ in range(samples)]
    expected = [oracle(data, *x, outputs=len(graph.outputs)) for x in xs]
    batch = {name: np.concatenate([x[i] for x in xs]) for i, name in enumerate(graph.inputs)}
    got = run(graph, batch)
    for i, name in enumerate(graph.outputs):
        np.testing.assert_array_equal(got[name], np.concatenate([e[i] for e in expected]))


def out_size(size, k, stride, padding):
    return -(-size // stride) if padding == "SAME" else (size - k) // stride + 1


def weights(rng, draw, shape, axis, per_channel):
    """Symmetric int8 weights and a bias for inputs of scale `sx`."""
    count = shape[axis] if per_channel else 1
    scale = (rng.uniform(0.5, 2.0, count) * draw(st.floats(2.0**-13, 2.0**-6))).astype(np.float32)
    data = rng.integers(-127, 128, shape).astype(np.int8)
    bias = rng.integers(-20000, 20000, shape[axis]).astype(np.int32)
    return T("w", shape, scale=scale, axis=axis, data=data), T("b", (shape[axis],), "int32", 1e-4, data=bias)


@st.composite
def windowed(draw, kind):
    """A model of one convolution."""
    rng = np.random.default_rng(draw(seeds))
    padding, stride = draw(paddings), (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    taps = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (2, 3)]))
    k = tuple((n - 1) * d + 1 for n, d in zip(taps, dilation, strict=True))
    extra = k if padding == "VALID" else (1, 1)
    h, w = draw(st.integers(extra[0], extra[0] + 8)), draw(st.integers(extra[1], extra[1] + 8))
    c, o = draw(sizes), draw(sizes)
    if kind == "DEPTHWISE_CONV_2D":
        o = c * draw(st.integers(1, 3))
        shape, axis = (1, *taps, o), 3
    else:
        shape, axis = (o, *taps, c), 0
    x = T("x", (1, h, w, c), scale=draw(scales), zero=draw(zeros))
    y_shape = (1, *(out_size(n, kk, s, padding) for n, kk, s in zip((h, w), k, stride, strict=True)), o)
    y = T("y", y_shape, scale=draw(scales), zero=draw(zeros))
    wt, bias = weights(rng, draw, shape, axis, draw(st.booleans()))
    names = ["x", "w", "b"][: 3 if draw(st.booleans()) else 2]
    options = conv_options(padding, stride, draw(ACTIVATIONS))
    options |= {"DilationHFactor": dilation[0], "DilationWFactor": dilation[1]}
    if kind == "DEPTHWISE_CONV_2D":
        options["DepthMultiplier"] = o // c
    return build([x, wt, bias, y], [O(kind, names, ["y"], options)], ["x"], ["y"]), rng


@RUNS
@given(windowed("CONV_2D"))
def test_conv_2d(case):
    check(*case, samples=2)


@RUNS
@given(windowed("DEPTHWISE_CONV_2D"))
def test_depthwise_conv_2d(case):
    check(*case, samples=2)


@RUNS
@given(st.data())
def test_fully_connected(data):
    rng = np.random.default_rng(data.draw(seeds))
    shape, outputs = data.draw(st.sampled_from([(1, 12), (1, 2, 3, 2), (1, 1), (1, 5, 4)])), data.draw(sizes)
    rows = 5 if len(shape) == 3 else 1
    depth = int(np.prod(shape)) // rows
    wt, bias = weights(rng, data.draw, (outputs, depth), 0, data.draw(st.booleans()))
    x = T("x", shape, scale=data.draw(scales), zero=data.draw(zeros))
    # TFLite Micro wants the scale of a bias beside a single weight scale to be the product of scales.
    bias.scale = float(np.float32(x.scale) * np.float32(np.ravel(wt.scale)[0]))
    y = T("y", (1, 5, outputs) if rows > 1 else (1, outputs), scale=data.draw(scales), zero=data.draw(zeros))
    names = ["x", "w", "b"] if data.draw(st.booleans()) else ["x", "w", ""]
    op = O("FULLY_CONNECTED", names, ["y"], fused(data.draw(ACTIVATIONS)) | {"KeepNumDims": rows > 1})
    check(build([x, wt, bias, y], [op], ["x"], ["y"]), rng, samples=2)


SHAPES = [
    ((1, 3, 4, 2), (1, 3, 4, 2)),
    ((1, 3, 4, 2), (1, 1, 1, 2)),
    ((1, 1, 1, 5), (1, 2, 2, 1)),
    ((1, 6), (1, 6)),
    ((1, 3, 4, 2), (2,)),
    ((1, 3, 4, 2), (1,)),
    ((1, 3, 4, 2), (1, 3, 4, 1)),
    ((1, 3, 4, 2), (1, 3, 1, 2)),
]


@RUNS
@given(st.data(), st.sampled_from(["ADD", "SUB", "MUL"]), st.sampled_from(SHAPES), st.booleans())
def test_elementwise(data, kind, shapes, constant):
    rng = np.random.default_rng(data.draw(seeds))
    x1 = T("x1", shapes[0], scale=data.draw(scales), zero=data.draw(zeros))
    x2 = T("x2", shapes[1], scale=data.draw(scales), zero=data.draw(zeros))
    constant = constant or len(shapes[1]) < len(shapes[0])
    if constant:
        x2.data = int8(rng, shapes[1])
    y = T("y", np.broadcast_shapes(*shapes), scale=data.draw(scales), zero=data.draw(zeros))
    op = O(kind, ["x1", "x2"], ["y"], fused(data.draw(ACTIVATIONS)))
    check(build([x1, x2, y], [op], ["x1"] if constant else ["x1", "x2"], ["y"]), rng, samples=2)


@RUNS
@given(st.data(), st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
def test_pool(data, kind):
    rng = np.random.default_rng(data.draw(seeds))
    padding, size = data.draw(paddings), (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)))
    stride = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    least = size if padding == "VALID" else (1, 1)
    h, w, c = data.draw(st.integers(least[0], 9)), data.draw(st.integers(least[1], 9)), data.draw(sizes)
    quant = {"scale": data.draw(scales), "zero": data.draw(zeros)}
    y_shape = (1, out_size(h, size[0], stride[0], padding), out_size(w, size[1], stride[1], padding), c)
    options = pool_options(size, padding=padding, stride=stride, activation=data.draw(ACTIVATIONS))
    tensors = [T("x", (1, h, w, c), **quant), T("y", y_shape, **quant)]
    check(build(tensors, [O(kind, ["x"], ["y"], options)], ["x"], ["y"]), rng, samples=2)


@RUNS
@given(
    st.data(),
    st.sampled_from([(1, 2), (2,), (1,), (-1, -2), (3,), (2, 1, 3), (1, 3), (-2, 2)]),
    st.booleans(),
)
def test_mean(data, axes, keep):
    rng = np.random.default_rng(data.draw(seeds))
    shape = (1, data.draw(sizes), data.draw(sizes), data.draw(sizes))
    front = {a % 4 for a in axes}
    out = [1 if i in front else d for i, d in enumerate(shape) if keep or i not in front]
    tensors = [
        T("x", shape, scale=data.draw(scales), zero=data.draw(zeros)),
        T("axes", (len(axes),), "int32", None, data=np.array(axes, np.int32)),
        T("y", out, scale=data.draw(scales), zero=data.draw(zeros)),
    ]
    check(build(tensors, [O("MEAN", ["x", "axes"], ["y"], {"KeepDims": keep})], ["x"], ["y"]), rng, samples=2)


@RUNS
@given(st.data(), st.booleans())
def test_pad(data, v2):
    rng = np.random.default_rng(data.draw(seeds))
    pads = np.array(
        [[0, 0]] + [[data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))] for _ in range(3)]
    )
    shape = (1, data.draw(sizes), data.draw(sizes), data.draw(sizes))
    quant = {"scale": data.draw(scales), "zero": data.draw(zeros)}
    tensors = [
        T("x", shape, **quant),
        T("pads", (4, 2), "int32", None, data=pads.astype(np.int32)),
        T("value", (1,), data=np.array([data.draw(zeros)], np.int8), **quant),
        T("y", [d + a + b for d, (a, b) in zip(shape, pads, strict=True)], **quant),
    ]
    op = O("PADV2", ["x", "pads", "value"], ["y"]) if v2 else O("PAD", ["x", "pads"], ["y"])
    check(build(tensors, [op], ["x"], ["y"]), rng, samples=2)


@RUNS
@given(st.data(), st.integers(1, 3), st.integers(2, 4))
def test_concatenation(data, axis, count):
    rng = np.random.default_rng(data.draw(seeds))
    quant = {"scale": data.draw(scales), "zero": data.draw(zeros)}
    base = [1, data.draw(sizes), data.draw(sizes), data.draw(sizes)]
    lengths = [data.draw(st.integers(1, 4)) for _ in range(count)]
    shapes = [[*base[:axis], n, *base[axis + 1 :]] for n in [*lengths, sum(lengths)]]
    tensors = [T(f"x{i}", s, **quant) for i, s in enumerate(shapes[:-1])] + [T("y", shapes[-1], **quant)]
    names = [t.name for t in tensors[:-1]]
    options = {"Axis": data.draw(st.sampled_from([axis, axis - 4]))} | fused("NONE")
    check(build(tensors, [O("CONCATENATION", names, ["y"], options)], names, ["y"]), rng, samples=2)


@RUNS
@given(st.data(), st.sampled_from(["RELU", "RELU6", "QUANTIZE"]))
def test_pointwise(data, kind):
    rng = np.random.default_rng(data.draw(seeds))
    x = T("x", (1, 5, 5, 3), scale=data.draw(scales), zero=data.draw(zeros))
    y = T("y", x.shape, scale=data.draw(scales), zero=data.draw(zeros))
    if kind == "RELU6":
        y.scale, y.zero = x.scale, x.zero
    check(build([x, y], [O(kind, ["x"], ["y"])], ["x"], ["y"]), rng, samples=2)


@RUNS
@given(
    st.data(),
    st.floats(2.0**-12, 8.0, width=32),
    st.sampled_from([0.4, 0.8, 1.6]) | st.floats(0.25, 3.0, width=32),  # 1 / 0.8 times an even number: a tie
)
@pytest.mark.parametrize("kind", ["HARD_SWISH", "LEAKY_RELU", "QUANTIZE", "RELU", "TANH"])
def test_lookup(kind, data, scale, ratio):
    x = T("x", (1, 256), scale=scale, zero=data.draw(zeros))
    y = T("y", (1, 256), scale=float(np.float32(scale * ratio)), zero=data.draw(zeros))
    if kind == "TANH":
        y.scale, y.zero = 1 / 128, 0
    options = {"Alpha": data.draw(st.floats(0, 1, width=32))} if kind == "LEAKY_RELU" else {}
    model = build([x, y], [O(kind, ["x"], ["y"], options)], ["x"], ["y"])
    np.testing.assert_array_equal(run(read_tflite(model), {"x": EXACT})["y"], oracle(model, EXACT)[0])


def test_relu_n1_to_1():
    """TFLite Micro has no kernel for it; LiteRT's says what it is."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    x, y = T("x", (1, 256), scale=0.02, zero=-7), T("y", (1, 256), scale=0.013, zero=11)
    model = build([x, y], [O("RELU_N1_TO_1", ["x"], ["y"])], ["x"], ["y"])
    lite = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    lite.allocate_tensors()
    lite.set_tensor(lite.get_input_details()[0]["index"], EXACT)
    lite.invoke()
    expected = lite.get_tensor(lite.get_output_details()[0]["index"])
    np.testing.assert_array_equal(run(read_tflite(model), {"x": EXACT})["y"], expected)


@RUNS
@given(st.data(), st.booleans())
def test_global_maximum(data, keep):
    rng, shape = np.random.default_rng(data.draw(seeds)), (1, data.draw(sizes), data.draw(sizes), 3)
    quant = {"scale": data.draw(scales), "zero": data.draw(zeros)}
    axes = T("axes", (2,), "int32", None, data=np.array([1, 2], np.int32))
    tensors = [T("x", shape, **quant), axes, T("y", (1, 1, 1, 3) if keep else (1, 3), **quant)]
    op = O("REDUCE_MAX", ["x", "axes"], ["y"], {"KeepDims": keep})
    check(build(tensors, [op], ["x"], ["y"]), rng, samples=2)


@pytest.mark.parametrize("shape", [(1, 24), (1, 2, 3, 2, 2), (1, 4, 6)])
def test_reshape(shape):
    x, y = T("x", (1, 2, 3, 4)), T("y", shape)
    check(build([x, y], [O("RESHAPE", ["x"], ["y"])], ["x"], ["y"]), np.random.default_rng(0), samples=2)


@RUNS
@given(st.data(), st.floats(2.0**-10, 3.0, width=32), st.sampled_from([(1, 2), (1, 10), (1, 3, 4), (1, 300)]))
def test_softmax(data, scale, shape):
    rng = np.random.default_rng(data.draw(seeds))
    tensors = [T("x", shape, scale=scale, zero=data.draw(zeros)), T("y", shape, scale=1 / 256, zero=-128)]
    check(build(tensors, [O("SOFTMAX", ["x"], ["y"], {"Beta": 1.0})], ["x"], ["y"]), rng, samples=2)


@RUNS
@given(st.floats(2.0**-20, 8.0, width=32), zeros)
def test_logistic(scale, zero):
    tensors = [T("x", (1, 256), scale=scale, zero=zero), T("y", (1, 256), scale=1 / 256, zero=-128)]
    data = build(tensors, [O("LOGISTIC", ["x"], ["y"])], ["x"], ["y"])
    every = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    np.testing.assert_array_equal(run(read_tflite(data), {"x": every})["y"], oracle(data, every)[0])


# Scales chosen so that a factor or a clamp taken in the other precision (float32 for double or the
# reverse) gives another int8: random scales hardly ever tell.
EXACT = np.arange(-128, 128).astype(np.int8).reshape(1, 256)


def tied_scales(count):
    """Pairs whose product is 1 in float32 only, so that half of it ties in float32 only."""
    rng, pairs = np.random.default_rng(1), []
    while len(pairs) < count:
        a = np.float32(rng.uniform(0.1, 1))
        b = np.float32(1) / a
        if np.float32(a * b) == 1 and float(a) * float(b) != 1:
            pairs.append((float(a), float(b)))
    return pairs


@pytest.mark.parametrize("sx, sw", tied_scales(6))
def test_factors_are_taken_in_double(sx, sw):
    w, b = T("w", (9, 1), scale=sw, data=np.zeros((9, 1), np.int8)), np.arange(-8, 9, 2).astype(np.int32) + 1
    bias = T("b", (9,), "int32", float(np.float32(sx) * np.float32(sw)), data=b)
    tensors = [T("x", (1, 1), scale=sx), w, bias, T("y", (1, 9), scale=2.0)]
    data = build(tensors, [O("FULLY_CONNECTED", ["x", "w", "b"], ["y"], fused("NONE"))], ["x"], ["y"])
    check(data, np.random.default_rng(0))


@pytest.mark.parametrize("k", range(20))
@pytest.mark.parametrize("kind", ["RELU6", "QUANTIZE", "RELU"])
def test_six_is_quantised_in_float32(k, kind):
    six = np.float32(6) / np.float32(k + 10.5)  # 6 / scale is nearly a tie
    for scale in (np.nextafter(six, np.float32(0)), six, np.nextafter(six, np.float32(9))):
        x = T("x", (1, 256), scale=float(scale), zero=-128)
        y = T("y", (1, 256), scale=float(scale if kind == "RELU6" else np.float32(0.5) * scale), zero=-128)
        data = build([x, y], [O(kind, ["x"], ["y"])], ["x"], ["y"])
        np.testing.assert_array_equal(run(read_tflite(data), {"x": EXACT})["y"], oracle(data, EXACT)[0])


@RUNS
@given(st.data(), st.sampled_from(["ADD", "SUB"]))
def test_sums_of_many_values(data, kind):
    rng = np.random.default_rng(data.draw(seeds))
    a, b = data.draw(scales), data.draw(scales)
    shape = (1, 4096)
    y = T("y", shape, scale=max(a, b) * data.draw(st.floats(0.3, 1.5)), zero=data.draw(zeros))
    tensors = [
        T("a", shape, scale=a, zero=data.draw(zeros)),
        T("b", shape, scale=b, zero=data.draw(zeros)),
        y,
    ]
    check(build(tensors, [O(kind, ["a", "b"], ["y"], fused("NONE"))], ["a", "b"], ["y"]), rng, samples=2)
