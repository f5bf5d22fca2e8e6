"""Run the forward ops of a training graph in numpy, with what they keep for the backward pass."""

from __future__ import annotations

from typing import Any

from tflm_export.gradients.conv import gather
from tflm_export.ir import Graph, Op
from tflm_export.memory.stream import members
from tflm_export.ops import forward
from tflm_export.ops.result import passing


def run_forward(op: Op, graph: Graph, values: dict[str, Any]) -> None:
    """Compute a forward op, a GATHER_CHANNELS or all that a stream stands for, into `values`.

    Clip masks are bool arrays of the output's shape.
    """
    for member in members(op):
        if member.kind == "GATHER_CHANNELS":
            values[member.outputs[0]] = gather(member, values[member.inputs[0]])
            continue
        result = forward(member, graph, values)
        values[member.outputs[0]] = result.value
        if len(member.outputs) > 1:
            values[member.outputs[1]] = passing(member, graph, result)
