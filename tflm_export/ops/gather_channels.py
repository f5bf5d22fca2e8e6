"""GATHER_CHANNELS: x [N, H, W, C] int8 -> y [N H W, n] int8, the input channels that an update reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.kind import Emitter, OpKind
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.text import kernel_call


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """No file has it: the backward pass writes `channels` and `depth`, how many there are."""
    return dict(op.attrs)


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The channels, side by side."""
    return Result(gather(op, operand(graph, values, op.inputs[0])))


def gather(op: Op, x: np.ndarray) -> np.ndarray:
    """`[positions, n]` of x."""
    return x.reshape(-1, op.attrs["depth"])[:, list(op.attrs["channels"])]


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel; its table of channels is the update's."""
    depth = op.attrs["depth"]
    positions = e.tensor(op.inputs[0]).size // depth
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("gather_channels_s8", x, positions, depth, *listed(e, op), y)


def listed(e: Emitter, op: Op) -> tuple[str, str]:
    """The table of the channels, and how many: of a candidate those that learn now."""
    if "pooled" in op.attrs:
        return f"update_w{op.label}.channels", f"update_w{op.label}.n"
    channels = op.attrs["channels"]
    return e.tables.add("int16_t", f"channels{op.label}", channels), str(len(channels))


KIND = OpKind(prepare, forward, call)
