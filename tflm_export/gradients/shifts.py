"""Where the shift rule starts: a compile-time guess, within a few bits, that the first step corrects."""

from __future__ import annotations

import math

from tflm_export.geometry import Geometry
from tflm_export.ir import Graph, Op

LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
TYPICAL = {
    "MUL_INPUT_GRADIENT": 6,
    "LOGISTIC_INPUT_GRADIENT": 11,
    "LOOKUP_INPUT_GRADIENT": 13,
    "SUM_GRADIENT": 3,
}


def initial_shift(op: Op, layer: Op, graph: Graph) -> int:
    """The first shift of gradient op `op` of forward op `layer`; 0 where no shift rule follows.

    A convolution's sum of K products of 14-bit gradients and 6-bit weights has about 20 + log2(K) / 2 bits,
    less the headroom; low is better than high, which would lose precision in the first step.
    """
    if op.kind != f"{layer.kind}_INPUT_GRADIENT" or layer.kind not in LAYERS:
        return TYPICAL.get(op.kind, 0)
    products = Geometry.of(layer, graph).products
    headroom = max(0, math.ceil(math.log2(products / 256)))
    return max(0, 4 + round(math.log2(products) / 2) - headroom)
