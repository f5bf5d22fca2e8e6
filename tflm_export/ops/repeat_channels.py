"""REPEAT_CHANNELS: x [N, H, W, C] int8 -> y [N, H, W, C * times], every channel `times` times in a row."""

from __future__ import annotations

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops.result import Result, Values, operand


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The input before a depthwise layer of a multiplier above 1, so that this reads a channel an output."""
    return Result(np.repeat(operand(graph, values, op.inputs[0]), op.attrs["times"], axis=3))
