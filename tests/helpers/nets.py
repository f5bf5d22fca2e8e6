"""Whole small nets as `.tflite` files, with every op family in them."""

import numpy as np
from tflite_file import O, T, build, conv_options, fused, pool_options


def residual_net(seed: int = 0, classes: int = 4, softmax: bool = True) -> bytes:
    """pad, conv, depthwise, pointwise, add, concatenation, pools, mean, dense, softmax: [1, 8, 8, 3] in."""
    rng = np.random.default_rng(seed)

    def weights(name, shape, axis=0):
        data = rng.integers(-127, 128, shape, np.int8)
        return T(name, shape, scale=rng.uniform(2e-3, 8e-3, shape[axis]), axis=axis, data=data)

    def bias(name, count):
        return T(name, (count,), "int32", 1e-4, data=rng.integers(-500, 500, count, np.int32))

    pads = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    half = {"scale": 0.05, "zero": -128}
    tensors = [
        T("x", (1, 8, 8, 3), scale=1 / 127.5, zero=-1, signature=(-1, 8, 8, 3)),
        T("pads", (4, 2), "int32", None, data=pads),
        T("padded", (1, 10, 10, 3), scale=1 / 127.5, zero=-1),
        weights("stem/w", (6, 3, 3, 3)),
        bias("stem/b", 6),
        T("stem", (1, 4, 4, 6), **half),
        weights("dw/w", (1, 3, 3, 6), axis=3),
        bias("dw/b", 6),
        T("dw", (1, 4, 4, 6), **half),
        weights("pw/w", (6, 1, 1, 6)),
        bias("pw/b", 6),
        T("pw", (1, 4, 4, 6), scale=0.04, zero=3),
        T("sum", (1, 4, 4, 6), scale=0.06, zero=-20),
        T("max", (1, 2, 2, 6), scale=0.06, zero=-20),
        T("avg", (1, 2, 2, 6), scale=0.06, zero=-20),
        T("cat", (1, 2, 2, 12), scale=0.06, zero=-20),
        T("axes", (2,), "int32", None, data=np.array([1, 2], np.int32)),
        T("mean", (1, 12), scale=0.05, zero=-30),
        weights("head/w", (classes, 12)),
        bias("head/b", classes),
        T("logits", (1, classes), scale=0.1, zero=5),
        T("p", (1, classes), scale=1 / 256, zero=-128),
    ]
    two = pool_options((2, 2), padding="VALID", stride=(2, 2))
    ops = [
        O("PAD", ["x", "pads"], ["padded"]),
        O("CONV_2D", ["padded", "stem/w", "stem/b"], ["stem"], conv_options("VALID", (2, 2), "RELU6")),
        O(
            "DEPTHWISE_CONV_2D",
            ["stem", "dw/w", "dw/b"],
            ["dw"],
            conv_options(activation="RELU6", DepthMultiplier=1),
        ),
        O("CONV_2D", ["dw", "pw/w", "pw/b"], ["pw"], conv_options()),
        O("ADD", ["stem", "pw"], ["sum"], fused("NONE")),
        O("MAX_POOL_2D", ["sum"], ["max"], two),
        O("AVERAGE_POOL_2D", ["sum"], ["avg"], two),
        O("CONCATENATION", ["max", "avg"], ["cat"], {"Axis": 3} | fused("NONE")),
        O("MEAN", ["cat", "axes"], ["mean"], {"KeepDims": False}),
        O("FULLY_CONNECTED", ["mean", "head/w", "head/b"], ["logits"], fused("NONE")),
        O("SOFTMAX", ["logits"], ["p"], {"Beta": 1.0}),
    ]
    return build(tensors, ops, ["x"], ["p"]) if softmax else build(tensors, ops[:-1], ["x"], ["logits"])


def gated_net(seed: int = 0) -> bytes:
    """Dilation, depth multiplier, tables, gates that broadcast, means over odd axes: [1, 8, 8, 4] in."""
    rng = np.random.default_rng(seed)

    def weights(name, shape, axis=0):
        scales = rng.uniform(4e-3, 2e-2, shape[axis])
        return T(name, shape, scale=scales, axis=axis, data=rng.integers(-127, 128, shape, np.int8))

    def bias(name, count):
        return T(name, (count,), "int32", 1e-4, data=rng.integers(-300, 300, count, np.int32))

    def axes(name, *values):
        return T(name, (len(values),), "int32", None, data=np.array(values, np.int32))

    def act(name, *shape):
        return T(name, (1, *shape), scale=0.04, zero=-4)

    unit, signed = {"scale": 1 / 256, "zero": -128}, {"scale": 1 / 128, "zero": 0}
    tensors = [
        act("x", 8, 8, 4),
        weights("dilated/w", (6, 3, 3, 4)),
        bias("dilated/b", 6),
        act("dilated", 8, 8, 6),
        act("swish", 8, 8, 6),
        weights("wide/w", (1, 3, 3, 12), axis=3),
        bias("wide/b", 12),
        act("wide", 4, 4, 12),
        act("leaky", 4, 4, 12),
        axes("hw", 1, 2),
        axes("c", 3),
        axes("w", 2),
        act("squeezed", 1, 1, 12),
        weights("excite/w", (12, 1, 1, 12)),
        bias("excite/b", 12),
        act("excite", 1, 1, 12),
        T("gate", (1, 1, 1, 12), **unit),
        act("gated", 4, 4, 12),
        act("pixels", 4, 4, 1),
        T("attention", (1, 4, 4, 1), **signed),
        act("attended", 4, 4, 12),
        T("shift", (1, 1, 1, 12), data=rng.integers(-99, 99, (1, 1, 1, 12), np.int8), scale=0.02),
        act("shifted", 4, 4, 12),
        act("rows", 4, 12),
        act("flat", 48),
        act("largest", 12),
        act("both", 60),
        weights("head/w", (3, 60)),
        bias("head/b", 3),
        T("logits", (1, 3), scale=0.1, zero=5),
    ]
    dilation = conv_options(DilationHFactor=2, DilationWFactor=2)
    ops = [
        O("CONV_2D", ["x", "dilated/w", "dilated/b"], ["dilated"], dilation),
        O("HARD_SWISH", ["dilated"], ["swish"]),
        O(
            "DEPTHWISE_CONV_2D",
            ["swish", "wide/w", "wide/b"],
            ["wide"],
            conv_options(stride=(2, 2), DepthMultiplier=2),
        ),
        O("LEAKY_RELU", ["wide"], ["leaky"], {"Alpha": 0.2}),
        O("MEAN", ["leaky", "hw"], ["squeezed"], {"KeepDims": True}),
        O("CONV_2D", ["squeezed", "excite/w", "excite/b"], ["excite"], conv_options()),
        O("LOGISTIC", ["excite"], ["gate"]),
        O("MUL", ["leaky", "gate"], ["gated"], fused("NONE")),
        O("MEAN", ["gated", "c"], ["pixels"], {"KeepDims": True}),
        O("TANH", ["pixels"], ["attention"]),
        O("MUL", ["attention", "gated"], ["attended"], fused("NONE")),
        O("SUB", ["attended", "shift"], ["shifted"], fused("NONE")),
        O("MEAN", ["shifted", "w"], ["rows"], {"KeepDims": False}),
        O("RESHAPE", ["rows"], ["flat"]),
        O("REDUCE_MAX", ["shifted", "hw"], ["largest"], {"KeepDims": False}),
        O("CONCATENATION", ["flat", "largest"], ["both"], {"Axis": 1} | fused("NONE")),
        O("FULLY_CONNECTED", ["both", "head/w", "head/b"], ["logits"], fused("NONE")),
    ]
    return build(tensors, ops, ["x"], ["logits"])


def block_net(roundabout: bool = True, seed: int = 0) -> bytes:
    """A dilated convolution, then a dense layer on the map's pixels: [1, 9, 8, 3] in, 4 out.

    roundabout: as the converter writes Keras layers, in blocks and on rows of unknown number; else plainly.
    """
    rng = np.random.default_rng(seed)

    def ints(name, *values):
        return T(name, np.shape(values), "int32", None, data=np.array(values, np.int32))

    tensors = [
        T("x", (1, 9, 8, 3), scale=0.04, zero=-4),
        ints("block", 2, 3),
        ints("paddings", (1, 2), (2, 2)),
        ints("crops", (0, 0), (0, 0)),
        T("blocks", (6, 6, 4, 3), scale=0.04, zero=-4),
        T("conv/w", (5, 3, 2, 3), scale=0.01, data=rng.integers(-127, 128, (5, 3, 2, 3), np.int8)),
        T("conv/b", (5,), "int32", 4e-4, data=rng.integers(-300, 300, 5, np.int32)),
        T("conv", (6, 4, 3, 5), scale=0.05, zero=3),
        T("map", (1, 8, 9, 5), scale=0.05, zero=3),
        ints("to_rows", -1, 5),
        T("rows", (72, 5), scale=0.05, zero=3, signature=(-1, -1) if roundabout else None),
        T("dense/w", (2, 5), scale=0.01, data=rng.integers(-127, 128, (2, 5), np.int8)),
        T("dense", (72, 2), scale=0.03, zero=-9, signature=(-1, 2)),
        ints("pads", (0, 0), (1, 2), (2, 2), (0, 0)),
        T("padded", (1, 12, 12, 3), scale=0.04, zero=-4),
        ints("to_flat", 1, 144),
        T("flat", (1, 144), scale=0.03, zero=-9),
        T("head/w", (4, 144), scale=0.001, data=rng.integers(-127, 128, (4, 144), np.int8)),
        T("logits", (1, 4), scale=0.1, zero=5),
    ]
    dilation = conv_options("VALID", DilationHFactor=2, DilationWFactor=3)
    plain = [
        O("PAD", ["x", "pads"], ["padded"]),
        O("CONV_2D", ["padded", "conv/w", "conv/b"], ["map"], dilation),
    ]
    blocks = [
        O("SPACE_TO_BATCH_ND", ["x", "block", "paddings"], ["blocks"]),
        O("CONV_2D", ["blocks", "conv/w", "conv/b"], ["conv"], conv_options("VALID")),
        O("BATCH_TO_SPACE_ND", ["conv", "block", "crops"], ["map"]),
    ]
    ops = [
        *(blocks if roundabout else plain),
        O("RESHAPE", ["map", "to_rows"], ["rows"]),
        O("FULLY_CONNECTED", ["rows", "dense/w", ""], ["dense"], fused("RELU")),
        O("RESHAPE", ["dense", "to_flat"], ["flat"]),
        O("FULLY_CONNECTED", ["flat", "head/w", ""], ["logits"], fused("NONE")),
    ]
    return build(tensors, ops, ["x"], ["logits"])
