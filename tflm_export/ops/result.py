"""What a forward op returns, and the clip mask that training takes from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tflm_export.ir import Graph, Op, QParams

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Result:
    """`value` int8 [N, ...]. Ops that clamp also keep `acc`, the accumulators before requantisation, and
    `raw`, the requantised values before the clamp: int64 of the same shape."""

    value: np.ndarray
    acc: np.ndarray | None = None
    raw: np.ndarray | None = None


def clamped(op: Op, acc: np.ndarray, raw: np.ndarray) -> Result:
    """The result of an op that clamps to its `act_min`..`act_max`."""
    value = np.clip(raw, op.attrs["act_min"], op.attrs["act_max"]).astype(np.int8)
    return Result(value, acc, raw)


def passing(op: Op, graph: Graph, result: Result) -> np.ndarray | None:
    """Where a gradient passes the clamp of `op`, bool [N, ...]; None for ops without one.

    docs/arithmetic.md, "Clip mask".
    """
    if result.acc is None or result.raw is None:
        return None
    low, high = op.attrs["act_min"], op.attrs["act_max"]
    above = result.acc > 0 if low == output_quant(op, graph).zero_point[0] else result.raw >= low
    inside: np.ndarray = above & (result.raw <= high)
    return inside


def output_quant(op: Op, graph: Graph) -> QParams:
    """Scale and zero point of the op's output."""
    return tensor_quant(graph, op.outputs[0])


def tensor_quant(graph: Graph, name: str) -> QParams:
    """Scale and zero point of a quantised tensor."""
    quant = graph.tensors[name].quant
    assert quant is not None, name
    return quant


def operand(graph: Graph, values: Values, name: str) -> np.ndarray:
    """The present value of a tensor: from `values`, else the constant of the model."""
    if name in values:
        return values[name]
    data = graph.tensors[name].data
    assert data is not None, name
    return data


def centred(graph: Graph, values: Values, name: str) -> np.ndarray:
    """`q - zero_point` of an activation, int64."""
    return operand(graph, values, name).astype(np.int64) - tensor_quant(graph, name).zero_point[0]
