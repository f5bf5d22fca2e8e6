"""What the reader makes of well-formed files, and what it says about the others."""

import dataclasses
import math

import numpy as np
import pytest
from tflite_file import O, T, build, conv_options, fused, oracle

from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import constants, read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.front.write_tflite import patch_constants
from tflm_export.gradients.training_graph import training_graph
from tflm_export.plan import LayerUpdate, UpdatePlan
from tflm_export.simulate.evaluate import run


def conv_tensors(**changes):
    """x [1, 4, 4, 2] -> y [1, 4, 4, 3], 3x3, per channel."""
    rng = np.random.default_rng(0)
    tensors = {
        "x": T("x", (1, 4, 4, 2), scale=0.1, zero=3),
        "w": T(
            "w", (3, 3, 3, 2), scale=(0.01, 0.02, 0.03), data=rng.integers(-127, 128, (3, 3, 3, 2), np.int8)
        ),
        "b": T("b", (3,), "int32", scale=(0.001, 0.002, 0.003), data=np.array([1, -2, 3], np.int32)),
        "y": T("y", (1, 4, 4, 3), scale=0.2, zero=-128),
    }
    return [dataclasses.replace(t, **changes.get(name, {})) for name, t in tensors.items()]


def conv_model(kind="CONV_2D", options=None, **changes):
    """One convolution, with some tensor fields changed."""
    op = O(kind, [0, 1, 2], [3], options or conv_options(activation="RELU6"))
    return build(conv_tensors(**changes), [op], ["x"], ["y"])


def moved(kind, values):
    """[1, 3, 2] to [1, 3, 2] by a constant of int32."""
    constant = T("n", (len(values),), "int32", None, data=np.array(values, np.int32))
    return build([T("x", (1, 3, 2)), constant, T("y", (1, 3, 2))], [O(kind, ["x", "n"], ["y"])], ["x"], ["y"])


def test_attributes_are_resolved():
    op = read_tflite(conv_model()).ops[0]
    assert (op.kind, op.name, op.inputs, op.outputs) == ("CONV_2D", "#0", ("x", "w", "b"), ("y",))
    pads = {k: op.attrs[k] for k in ("pad_top", "pad_left", "pad_bottom", "pad_right", "k_h", "k_w")}
    assert pads == {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1, "k_h": 3, "k_w": 3}
    assert (op.attrs["act_min"], op.attrs["act_max"]) == (-128, -98)  # 0 and 6 at scale 0.2, zero -128
    real = [m * 2.0 ** (n - 31) for m, n in zip(op.attrs["multiplier"], op.attrs["shift"], strict=True)]
    np.testing.assert_allclose(real, [0.1 * s / 0.2 for s in (0.01, 0.02, 0.03)], rtol=1e-6)


def test_names_are_made_unique():
    tensors = [T("t", (1, 4)), T("t", (1, 4)), T("", (1, 4))]
    graph = read_tflite(build(tensors, [O("RELU", [0], [1]), O("RELU", [1], [2])], [0], [2]))
    assert [op.outputs for op in graph.ops] == [("t@1",), ("@2",)]
    assert (graph.inputs, graph.outputs) == (("t",), ("@2",))


def test_absent_options_are_zero():
    """As TFLite Micro takes them: no fused activation, axes go."""
    tensors = [
        T("x", (1, 2, 3), scale=0.5),
        T("y", (1, 2, 3), scale=0.75),
        T("axes", (1,), "int32", None, data=np.array([1], np.int32)),
        T("m", (1, 3), scale=0.75),
    ]
    ops = [O("ADD", ["x", "x"], ["y"], None), O("MEAN", ["y", "axes"], ["m"], None)]
    data = build(tensors, ops, ["x"], ["m"])
    x = np.array([[[-9, 5, 100], [3, -128, 127]]], np.int8)
    graph = read_tflite(data)
    np.testing.assert_array_equal(run(graph, {"x": x})["m"], oracle(data, x)[0])


def test_names_of_the_compiler_are_its_own():
    tensors = [T("#1/mask", (1, 4)), T("loss/grad", (1, 4))]
    graph = read_tflite(build(tensors, [O("RELU", [0], [1])], [0], [1]))
    assert (graph.inputs, graph.outputs) == (("#1/mask@0",), ("loss/grad@1",))


def float_edges():
    tensors = [
        T("x", (1, 4), "float32", None),
        T("q", (1, 4), scale=0.1),
        T("r", (1, 4), scale=0.1),
        T("y", (1, 4), "float32", None),
    ]
    ops = [O("QUANTIZE", ["x"], ["q"]), O("RELU", ["q"], ["r"]), O("DEQUANTIZE", ["r"], ["y"])]
    return tensors, ops


def test_float_edges_are_taken_off():
    tensors, ops = float_edges()
    graph = read_tflite(build(tensors, ops, ["x"], ["y"]))
    assert (graph.inputs, graph.outputs) == (("q",), ("r",))
    assert [(op.kind, op.name) for op in graph.ops] == [("RELU", "#1")]


def test_a_float_edge_with_another_reader_is_refused():
    tensors, ops = float_edges()
    ops.insert(0, O("RELU", ["x"], ["y"]))
    with pytest.raises(ExportError, match="is float32"):
        read_tflite(build(tensors[:3] + [T("y", (1, 4), "float32", None)], ops[:3], ["x"], ["r", "y"]))


def test_shape_arithmetic_of_a_flatten_is_dropped():
    one = {"dtype": "int32", "scale": None}
    tensors = [
        T("x", (1, 2, 3)),
        T("shape", (3,), **one),
        T("begin", (1,), data=np.array([0], np.int32), **one),
        T("end", (1,), data=np.array([1], np.int32), **one),
        T("step", (1,), data=np.array([1], np.int32), **one),
        T("batch", (), **one),
        T("rest", (), data=np.array(-1, np.int32), **one),
        T("to", (2,), **one),
        T("y", (1, 6), signature=(-1, 6)),
    ]
    ops = [
        O("SHAPE", ["x"], ["shape"], {"OutType": 2}),
        O("STRIDED_SLICE", ["shape", "begin", "end", "step"], ["batch"], {"ShrinkAxisMask": 1}),
        O("PACK", ["batch", "rest"], ["to"], {"ValuesCount": 2}),
        O("RESHAPE", ["x", "to"], ["y"]),
    ]
    data = build(tensors, ops, ["x"], ["y"])
    graph = read_tflite(data)
    assert [op.name for op in graph.ops] == ["#3"]
    x = np.arange(6, dtype=np.int8).reshape(1, 2, 3)
    np.testing.assert_array_equal(run(graph, {"x": x})["y"], oracle(data, x)[0])


@pytest.mark.parametrize(
    "zero, off, refused",
    [(-5, 0, False), (-4, 0, True), (-5, 1 / 1100, False), (-5, -1 / 1100, False), (-5, 0.01, True)],
)
def test_uint8_edges_are_taken_off(zero, off, refused):
    """A uint8 edge that is the int8 one with 128 added says nothing new, nor with a scale a trifle off."""
    tensors = [
        T("x", (1, 256), "uint8", 0.5 * (1 + off), 123),
        T("q", (1, 256), scale=0.5, zero=zero),
        T("r", (1, 256), scale=0.25, zero=-128),
        T("y", (1, 256), "uint8", 0.25, 0),
    ]
    ops = [O("QUANTIZE", ["x"], ["q"]), O("RELU", ["q"], ["r"]), O("QUANTIZE", ["r"], ["y"])]
    data = build(tensors, ops, ["x"], ["y"])
    if refused:
        with pytest.raises(ExportError, match="tensor 'x' is uint8; allowed: int8"):
            read_tflite(data)
        return
    graph = read_tflite(data)
    assert (graph.inputs, graph.outputs) == (("q",), ("r",)) and [op.kind for op in graph.ops] == ["RELU"]
    x = np.arange(256, dtype=np.uint8)[None]
    got = run(graph, {"q": (x.astype(int) - 128).astype(np.int8)})["r"]
    np.testing.assert_array_equal(got.astype(int) + 128, oracle(data, x)[0])


NAN, INF = math.nan, math.inf


def reduction(kind, axes, out=(1, 1, 1)):
    """A model of one reduction of a [1, 5, 6] tensor."""
    tensors = [
        T("x", (1, 5, 6)),
        T("axes", (len(axes),), "int32", None, data=np.array(axes, np.int32)),
        T("y", out),
    ]
    return build(tensors, [O(kind, ["x", "axes"], ["y"], {"KeepDims": False})], ["x"], ["y"])


def pair(kind, a, b, y):
    """A model of one op of two operands."""
    tensors = [T("a", a), T("b", b), T("y", y)]
    return build(tensors, [O(kind, ["a", "b"], ["y"], fused("NONE"))], ["a", "b"], ["y"])


def unary(kind, scale=0.5, options=None):
    """A model of one op of one operand; `scale` of the output."""
    return build(
        [T("x", (1, 4)), T("y", (1, 4), scale=scale)], [O(kind, ["x"], ["y"], options or {})], ["x"], ["y"]
    )


def in_float(kind):
    """A model whose middle the converter left in float32."""
    tensors = [T("x", (1, 4)), *(T(n, (1, 4), "float32", None) for n in "fg"), T("y", (1, 4))]
    ops = [O("DEQUANTIZE", ["x"], ["f"]), O(kind, ["f"], ["g"]), O("QUANTIZE", ["g"], ["y"])]
    return build(tensors, ops, ["x"], ["y"])


BAD_MODELS = {
    "zero scale": (conv_model(x={"scale": 0.0}), "tensor 'x' has scale 0"),
    "nan scale": (conv_model(w={"scale": (0.1, NAN, 0.1)}), "tensor 'w' has scale nan"),
    "inf scale": (conv_model(y={"scale": INF}), "tensor 'y' has scale inf"),
    "negative scale": (conv_model(x={"scale": -0.5}), "tensor 'x' has scale -0.5"),
    "no scale": (conv_model(x={"scale": None}), "tensor 'x' has no scale"),
    "zero point": (conv_model(x={"zero": 200}), "zero point outside int8"),
    "asymmetric weights": (conv_model(w={"zero": 1}), "must have zero point 0"),
    "scales of another axis": (conv_model(w={"axis": 1}), "3 scales along axis 1; expected 3 along axis 0"),
    "weights are no constant": (conv_model(w={"data": None}), "'w' is read before it is written"),
    "short buffer": (conv_model(w={"data": b"123"}), "has 3 bytes of data; shape"),
    "channels": (conv_model(x={"shape": (1, 4, 4, 5)}), "weights read 2 channels, the input has 5"),
    "output map": (conv_model(y={"shape": (1, 3, 4, 3)}), r"output map is \(3, 4\); expected \(4, 4\)"),
    "bias length": (
        conv_model(b={"shape": (2,), "data": np.zeros(2, np.int32)}),
        "bias has 2 values; expected 3",
    ),
    "uint8": (conv_model(x={"dtype": "uint8"}), "tensor 'x' is uint8; allowed: int8"),
    "int16": (conv_model(x={"dtype": "int16"}), "tensor 'x' is int16; allowed: int8"),
    "float": (conv_model(x={"dtype": "float32", "scale": None}), "tensor 'x' is float32; allowed: int8"),
    "other dtype": (conv_model(x={"dtype": "bool"}), "tensor 'x' is BOOL; allowed"),
    "batch": (
        conv_model(x={"shape": (2, 4, 4, 2)}, y={"shape": (2, 4, 4, 3)}),
        "allowed: batch 1",
    ),
    "dynamic": (
        conv_model(x={"signature": (-1, -1, 4, 2)}),
        "input 'x' has a dynamic shape; convert with fixed",
    ),
    "huge": (conv_model(x={"shape": (1, 30000, 30000, 2)}), "at most 16777216 elements"),
    "negative dimension": (conv_model(x={"shape": (1, -4, 4, 2)}), "dimensions >= 1"),
    "rank": (conv_model(x={"shape": (4, 4, 2)}), "expected 4 dimensions"),
    "variable": (conv_model(x={"is_variable": True}), "variable or sparse"),
    "stride": (conv_model(options=conv_options(stride=(0, 1))), "stride 0 is not supported"),
    "dilation": (
        conv_model(options=conv_options(DilationHFactor=0)),
        "dilation 0 is not supported; allowed: 1 to 255",
    ),
    "extent": (
        conv_model(options=conv_options(DilationWFactor=200)),
        "kernel size 401 is not supported; allowed: 1 to 255",
    ),
    "activation": (
        conv_model(options=conv_options(FusedActivationFunction=4)),
        "fused activation TANH is not supported; allowed",
    ),
    "no options": (
        build(conv_tensors(), [O("CONV_2D", [0, 1, 2], [3], None)], ["x"], ["y"]),
        "dilation 0 is not supported",
    ),
    "depth multiplier": (
        conv_model(
            "DEPTHWISE_CONV_2D",
            conv_options(DepthMultiplier=0),
            w={"shape": (1, 3, 3, 2), "scale": 0.01, "data": np.ones((1, 3, 3, 2), np.int8)},
            b={"shape": (2,), "data": np.zeros(2, np.int32)},
            y={"shape": (1, 4, 4, 2)},
        ),
        "the depth multiplier is 0, but 2 channels become 2",
    ),
    "uint8 inside": (
        build(
            [T("x", (1, 4), "uint8"), T("n", (2,), "int32", None), T("y", (1, 8), "uint8")],
            [O("TILE", ["x", "n"], ["y"])],
            ["x"],
            ["y"],
        ),
        r"TILE '#0' \(output 'y'\): computes in uint8, the older quantisation",
    ),
    "axes": (moved("TRANSPOSE", [7, 1, 0]), r"\[7, 1, 0\] does not order 3 axes"),
    "multiples": (moved("TILE", [2**30, 2**30, 2**30]), r"tensor 'y' has shape \[1, 3, 2\]; expected"),
    "padding": (conv_model(options=conv_options(Padding=7)), "padding 7 is not supported"),
    "index": (build(conv_tensors(), [O("RELU", [9], [3])], ["x"], ["y"]), r"indices \[9\] are out of range"),
    "absent input": (
        build(conv_tensors(), [O("RELU", [-1], [3])], ["x"], ["y"]),
        "a needed input is missing",
    ),
    "absent part": (
        build(conv_tensors(), [O("CONCATENATION", [0, -1], [3], {"Axis": 3} | fused("NONE"))], ["x"], ["y"]),
        "an input is missing",
    ),
    "no input": (build(conv_tensors(), [O("RELU", [], [3])], ["x"], ["y"]), "has 0 inputs; allowed: 1"),
    "no output": (build(conv_tensors(), [O("RELU", [0], [])], ["x"], ["x"]), "has 0 outputs; allowed: 1"),
    "no ops": (build(conv_tensors(), [], ["x"], ["x"]), "nothing to compile"),
    "order": (
        build(
            [T("x", (1, 4)), T("h", (1, 4)), T("y", (1, 4))],
            [O("RELU", ["h"], ["y"]), O("RELU", ["x"], ["h"])],
            ["x"],
            ["y"],
        ),
        "RELU '#0': input 'h' is read before it is written",
    ),
    "cycle": (
        build([T("x", (1, 4)), T("y", (1, 4))], [O("ADD", ["x", "y"], ["y"], fused("NONE"))], ["x"], ["y"]),
        "ADD '#0': input 'y' is read before it is written",
    ),
    "custom op": (
        build([T("x", (1, 4)), T("block_3/dw", (1, 4))], [O("Blur", ["x"], [1])], ["x"], [1]),
        r"CUSTOM Blur '#0' \(output 'block_3/dw'\): not supported. Replace the layer, .* allowed: ABS, ADD",
    ),
    "builtin op": (
        build([T("x", (1, 4)), T("y", (1, 4))], [O("GELU", ["x"], ["y"])], ["x"], ["y"]),
        r"GELU '#0' \(output 'y'\): not supported",
    ),
    "state": (
        build(
            [T("x", (1, 4)), T("s", (1, 4), is_variable=True), T("y", (1, 4))],
            [O("UNIDIRECTIONAL_SEQUENCE_RNN", ["x", "x", "x", "", "s"], ["y"])],
            ["x"],
            ["y"],
        ),
        r"SEQUENCE_RNN '#0' \(output 'y'\): not supported: it keeps a state from one inference to the",
    ),
    "op in float": (in_float("ELU"), r"ELU '#1' \(output 'g'\): computes in float32, because the converter"),
    "known op in float": (in_float("RELU"), "RELU '#1' .*computes in float32"),
    "op behind shapes": (
        build(
            [T("x", (1, 4)), T("s", (2,), "int32", None), T("y", (1, 4))],
            [O("SHAPE", ["x"], ["s"], {"OutType": 2}), O("TRANSPOSE_CONV", ["s", "x", "x"], ["y"])],
            ["x"],
            ["y"],
        ),
        r"TRANSPOSE_CONV '#1' \(output 'y'\): not supported",
    ),
    "groups": (
        conv_model(w={"shape": (3, 3, 3, 1), "data": np.ones((3, 3, 3, 1), np.int8)}),
        "weights read 1 channels, the input has 2. Grouped convolutions are not supported; use groups=1",
    ),
    "owner of a dtype": (conv_model(w={"dtype": "float16"}), "'w' is FLOAT16.*It belongs to CONV_2D '#0'"),
    "dynamic inside": (
        build(
            [T("x", (1, 4)), T("h", (2, 2), signature=(-1, -1)), T("y", (2, 2))],
            [O("RESHAPE", ["x"], ["h"]), O("RELU", ["h"], ["y"])],
            ["x"],
            ["y"],
        ),
        r"RESHAPE '#0' \(output 'h'\): its output has a dynamic shape; convert with fixed shapes",
    ),
    "blocks alone": (
        build(
            [
                T("x", (1, 4, 4, 2)),
                T("b", (2,), "int32", None, data=np.array([2, 2], np.int32)),
                T("p", (2, 2), "int32", None, data=np.zeros((2, 2), np.int32)),
                T("y", (4, 2, 2, 2)),
            ],
            [O("SPACE_TO_BATCH_ND", ["x", "b", "p"], ["y"])],
            ["x"],
            ["y"],
        ),
        "SPACE_TO_BATCH_ND '#0' .*Replace the layer by one without dilation",
    ),
    "int32 logits": (
        build([T("x", (1, 4)), T("y", (1, 4), "int32")], [O("QUANTIZE", ["x"], ["y"])], ["x"], ["y"]),
        "tensor 'y' is int32; allowed: int8",
    ),
    "axis too large": (reduction("MEAN", [1, 3]), r"axes \[1, 3\] are not supported; allowed: 1 to 2"),
    "axis too small": (reduction("MEAN", [-4]), r"axes \[-4\] are not supported"),
    "batch axis": (reduction("MEAN", [0, 1]), r"axes \[0, 1\] are not supported"),
    "no axis": (reduction("MEAN", []), "dimensions >= 1"),
    "repeated axis": (reduction("MEAN", [1, 1, -2], (1, 5)), r"shape \[1, 5\]; expected \[1, 6\]"),
    "maximum of rows": (reduction("REDUCE_MAX", [2], (1, 5)), "allowed: height and width of a map"),
    "broadcast": (pair("MUL", (1, 4, 3), (1, 2, 3), (1, 4, 3)), "do not broadcast"),
    "broadcast shape": (pair("ADD", (1, 4, 3), (3,), (1, 3, 4)), r"expected \[1, 4, 3\]"),
    "empty": (pair("ADD", (1, 4, 3), (0,), (1, 0, 3)), "dimensions >= 1"),
    "slope": (unary("LEAKY_RELU", options={"Alpha": NAN}), "alpha is nan; allowed: 0 up to 4"),
    "negative slope": (unary("LEAKY_RELU", options={"Alpha": -1.0}), "alpha is -1.0; allowed: 0 up to 4"),
    "tanh scale": (unary("TANH"), "slopes go to 64; allowed: below 4. The output's scale is too large"),
    "fused concatenation": (
        build(
            [T("x", (1, 4)), T("y", (1, 8))],
            [O("CONCATENATION", ["x", "x"], ["y"], {"Axis": 1} | fused("RELU"))],
            ["x"],
            ["y"],
        ),
        "fused RELU is not supported, nor by TFLite Micro; allowed: NONE. Put the RELU behind it",
    ),
    "swish scale": (unary("HARD_SWISH", scale=2.0**-30), "the scales do not fit together"),
    "relu6 scale": (unary("RELU6", scale=0.3), "must have one quantisation"),
    "accumulator": (conv_model(y={"scale": 1e-9}), "leave int32"),
}


@pytest.mark.parametrize("data, message", BAD_MODELS.values(), ids=BAD_MODELS.keys())
def test_bad_models_are_refused(data, message):
    with pytest.raises(ExportError, match=message):
        read_tflite(data)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 64, b"\x18\0\0\0TFL3" + b"\xff" * 64], ids=len)
def test_other_bytes_are_refused(data):
    with pytest.raises(ExportError, match="not a"):
        read_tflite(data)


def test_every_truncation_is_refused():
    data = conv_model()
    for size in range(len(data)):
        with pytest.raises(ExportError):
            read_tflite(data[:size])


def test_patched_constants_are_all_that_changes():
    data = conv_model()
    tensor, _ = constants(data)["w"]
    new = {"w": np.roll(tensor.data, 7), "b": np.array([7, 8, 9], np.int32)}
    patched = patch_constants(data, new)
    graph = read_tflite(patched)
    for name, array in new.items():
        np.testing.assert_array_equal(graph.tensors[name].data, array)
    assert patch_constants(patched, {n: constants(data)[n][0].data for n in new}) == data
    x = np.arange(32, dtype=np.int8).reshape(1, 4, 4, 2)
    expected = run(read_tflite(data), {"x": x, **new})["y"]
    np.testing.assert_array_equal(oracle(patched, x)[0], expected)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"nope": np.zeros(3, np.int8)}, "'nope' is no constant"),
        ({"b": np.zeros(4, np.int32)}, r"got int32 \[4\]; expected int32 \[3\]"),
        ({"b": np.zeros(3, np.int64)}, "got int64"),
    ],
)
def test_bad_patches_are_refused(changes, message):
    with pytest.raises(ExportError, match=message):
        patch_constants(conv_model(), changes)


def test_shared_bytes_are_not_patched_apart():
    bias = np.zeros(2, np.int32)
    tensors = [
        T("x", (1, 2)),
        T("w", (2, 2), data=np.ones((2, 2), np.int8)),
        T("b1", (2,), "int32", 0.25, data=bias),
        T("b2", (2,), "int32", 0.25, share="b1"),
        T("h", (1, 2)),
        T("y", (1, 2)),
    ]
    ops = [
        O("FULLY_CONNECTED", [a, "w", b], [c], fused("NONE"))
        for a, b, c in (("x", "b1", "h"), ("h", "b2", "y"))
    ]
    data = build(tensors, ops, ["x"], ["y"])
    with pytest.raises(ExportError, match="'b2' shares its bytes"):
        patch_constants(data, {"b1": bias + 1})
    both = patch_constants(data, {"b1": bias + 1, "b2": bias + 1})
    assert constants(both)["b2"][0].data.tolist() == [1, 1]


@pytest.mark.parametrize(
    "name", ["a" * 3000, "x\n#include <evil.h>", "bell\a"], ids=["long", "newline", "bell"]
)
def test_names_that_could_break_generated_code_are_refused(name):
    with pytest.raises(ExportError, match="too long or not printable"):
        read_tflite(conv_model(w={"name": name}))


def test_a_steep_prelu_infers_and_passes_no_gradient():
    tensors = [
        T("x", (1, 2, 2, 3), scale=0.1, zero=3),
        T("w", (3, 1, 1, 3), scale=0.02, data=np.arange(-4, 5, dtype=np.int8).reshape(3, 1, 1, 3) * 13),
        T("h", (1, 2, 2, 3), scale=0.1, zero=-2),
        T("alpha", (1, 1, 1, 3), scale=0.05, data=np.array([[[[100, -90, 7]]]], np.int8)),
        T("p", (1, 2, 2, 3), scale=0.4, zero=5),
        T("hw", (4, 12), scale=0.01, data=np.arange(48, dtype=np.int8).reshape(4, 12)),
        T("y", (1, 4), scale=0.5),
    ]
    ops = [
        O("CONV_2D", ["x", "w", ""], ["h"], conv_options()),
        O("PRELU", ["h", "alpha"], ["p"]),
        O("FULLY_CONNECTED", ["p", "hw", ""], ["y"], fused("NONE")),
    ]
    data = build(tensors, ops, ["x"], ["y"])
    graph = read_tflite(data)
    x = np.random.default_rng(0).integers(-128, 128, (1, 2, 2, 3), np.int8)
    np.testing.assert_array_equal(run(graph, {"x": x})["y"], oracle(data, x)[0])
    assert training_graph(simplify(graph), UpdatePlan(head=True)).loss is not None
    with pytest.raises(ExportError, match="PRELU '#1' .*slopes go to 5; allowed: below 4"):
        training_graph(simplify(graph), UpdatePlan((LayerUpdate("#0", "out", (0,)),)))
