"""REPEAT_CHANNELS: x [N, H, W, C] int8 -> y [N, H, W, C * times], every channel `times` times in a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.kind import Backward, Emitter, OpKind
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.shared import sum_over
from tflm_export.ops.text import elements, kernel_call, spread_text


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The input before a depthwise layer of a multiplier above 1, so that this reads a channel an output."""
    return Result(np.repeat(operand(graph, values, op.inputs[0]), op.attrs["times"], axis=3))


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """No file has it: `simplify` writes `times`."""
    return dict(op.attrs)


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradients of a channel's copies add up."""
    sum_over(b, op, g, mask, 0, 1)


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("repeat_s8", x, spread_text(e, op, 0), elements(e, op), y)


KIND = OpKind(prepare, forward, call, rule=rule, interval=interval.monotone, reads=channels.repeated)
