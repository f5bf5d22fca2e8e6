"""The two arithmetics of the backward pass behind one interface; `path_of(graph)` picks by the graph's dtype.

`Int16Path`: int16 values with one power-of-two scale a tensor. `Float32Path`: float32, the reference on the
device. Both bit for bit what the board does (docs/arithmetic.md).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import GRADIENTS, LOSSES, UPDATES
from tflm_export.ops.arithmetic import (
    BIAS_LIMIT,
    WEIGHT_LIMIT,
    Gradient,
    float_units,
    narrow,
    step_units,
)
from tflm_export.ops.call import Call, Sums


class Path(Protocol):
    """What a simulator asks for. `g` is a gradient as the path keeps it."""

    def loss(self, op: Op, graph: Graph, logits: np.ndarray, target: int | np.ndarray) -> Any:
        """The gradient of the loss."""

    def loss_value(self, op: Op, graph: Graph, logits: np.ndarray, target: int | np.ndarray) -> float:
        """The loss itself."""

    def gradient(self, call: Call, inputs: list[Any]) -> Any:
        """The gradient that `call.op` computes."""

    def sums(self, call: Call, g: Any, *others: Any) -> np.ndarray:
        """`A` of an update op: the gradient with respect to the real parameter less a factor of s_x."""

    def real(self, sums: np.ndarray, g: Any) -> np.ndarray:
        """`sums` in real units (of s_x), float64."""

    def units(self, sums: np.ndarray, rate: np.ndarray, g: Any, bias: bool) -> np.ndarray:
        """`U`, int64: the step in 1 / 65536 LSB of the parameter, for a rate lr * c float32."""


class Int16Path:
    """int16 gradients. The shifts of the shift rule are its state."""

    def __init__(self, graph: Graph):
        self._shifts = {
            op.name: first_shift(op, graph) for op in graph.layers.values() if op.kind in GRADIENTS
        }

    def loss(self, op: Op, graph: Graph, logits: np.ndarray, target: int | np.ndarray) -> Gradient:
        """The gradient of the loss."""
        result: Gradient = LOSSES[op.kind].run(op, graph, logits, target)
        return result

    def loss_value(self, op: Op, graph: Graph, logits: np.ndarray, target: int | np.ndarray) -> float:
        """The loss itself."""
        return LOSSES[op.kind].value(op, graph, logits, target)

    def gradient(self, call: Call, inputs: list[Any]) -> Gradient:
        """The gradient that `call.op` computes, by the shift rule where sums come out."""
        result: Gradient | Sums = GRADIENTS[call.op.kind].run(call, *inputs)
        if isinstance(result, Sums):
            name = call.op.name
            result, self._shifts[name] = narrow(result.acc, result.exponent, self._shifts[name])
        return result

    def sums(self, call: Call, g: Gradient, *others: Any) -> np.ndarray:
        """Exact sums."""
        result: np.ndarray = UPDATES[call.op.kind].sums(call, g.values, *others)
        return result

    def real(self, sums: np.ndarray, g: Gradient) -> np.ndarray:
        """`sums * 2**exponent`."""
        result: np.ndarray = np.ldexp(sums, g.exponent)
        return result

    def units(self, sums: np.ndarray, rate: np.ndarray, g: Gradient, bias: bool) -> np.ndarray:
        """`U` by shifts."""
        units = step_units(sums.astype(np.int64), rate, g.exponent, BIAS_LIMIT if bias else WEIGHT_LIMIT)
        return units if bias else np.maximum(units, 1 - WEIGHT_LIMIT)


class Float32Path:
    """float32 gradients in real units. No state."""

    def loss(self, op: Op, graph: Graph, logits: np.ndarray, target: int | np.ndarray) -> np.ndarray:
        """The gradient of the loss."""
        result: np.ndarray = LOSSES[op.kind].run_f32(op, graph, logits, target)
        return result

    def loss_value(self, op: Op, graph: Graph, logits: np.ndarray, target: int | np.ndarray) -> float:
        """The loss itself."""
        kind = LOSSES[op.kind]
        return (kind.value_f32 or kind.value)(op, graph, logits, target)

    def gradient(self, call: Call, inputs: list[Any]) -> np.ndarray:
        """The gradient that `call.op` computes: the reference's function on float32."""
        result: np.ndarray = GRADIENTS[call.op.kind].reference(call, *inputs)
        assert result.dtype == np.float32, call.op
        return result

    def sums(self, call: Call, g: np.ndarray, *others: Any) -> np.ndarray:
        """Sums in the kernels' order."""
        result: np.ndarray = UPDATES[call.op.kind].sums(call, g, *others)
        return result

    def real(self, sums: np.ndarray, g: np.ndarray) -> np.ndarray:
        """As they are."""
        return sums.astype(np.float64)

    def units(self, sums: np.ndarray, rate: np.ndarray, g: np.ndarray, bias: bool) -> np.ndarray:
        """`U` by a float32 product."""
        return float_units(sums, rate, BIAS_LIMIT if bias else WEIGHT_LIMIT)


def gradient_type(graph: Graph) -> str:
    """dtype of a training graph's gradients: "int16" or "float32"; "int16" where there are none."""
    return graph.tensors[graph.loss.outputs[0]].dtype if graph.loss is not None else "int16"


def first_shift(op: Op, graph: Graph) -> int:
    """Where the shift rule of gradient op `op` starts: a guess, that the first step corrects."""
    start = GRADIENTS[op.kind].first_shift
    return start if isinstance(start, int) else start(op, graph)


def path_of(graph: Graph) -> Path:
    """The arithmetic of this training graph."""
    return Float32Path() if gradient_type(graph) == "float32" else Int16Path(graph)
