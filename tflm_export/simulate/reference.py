"""The float64 reference of the backward pass: same training graph, same forward values, real gradients.

Where the engine rounds gradients to int16, this keeps them in float64; the two are compared tensor by tensor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflm_export.ir import Graph
from tflm_export.ops import GRADIENTS, LOSSES, UPDATES
from tflm_export.ops.call import Call
from tflm_export.ops.result import tensor_quant
from tflm_export.simulate.evaluate import run_forward
from tflm_export.simulate.step import input_scale
from tflm_export.variable import Variable, variables

RESOLUTION = 2.0**-9  # of sums of int16 gradients, beside the sum of their magnitudes


@dataclass(frozen=True)
class Exact:
    """A real gradient, and the length of a difference from it that int16 gradients cannot resolve."""

    gradient: np.ndarray
    resolution: float

    def agreement(self, other: np.ndarray) -> float:
        """How well another gradient agrees: their cosine; 1 where the difference cannot be resolved.

        One number has no direction: for it, the cosine of a vector with its relative error across.

        >>> Exact(np.array([1.0]), 0.0).agreement(np.array([1.04])) > 0.999
        True
        >>> Exact(np.array([1.0, 0.0]), 0.0).agreement(np.array([0.0, 1.0]))
        0.0
        """
        error = float(np.linalg.norm(self.gradient - other))
        if error <= self.resolution:
            return 1.0
        if self.gradient.size > 1:
            return cosine(self.gradient, other)
        length = float(np.linalg.norm(self.gradient))
        return 0.0 if length == 0 else max(0.0, 1 - (error / length) ** 2 / 2)


def reference_gradients(graph: Graph, x: np.ndarray, target: int | np.ndarray) -> dict[str, np.ndarray]:
    """Real gradients of every trained tensor (its trained part) for one sample, w.r.t. real parameters.

    graph: from `backward.training_graph`. x: int8 input. target: a class index, or int8 logits for MSE.
    """
    return {name: exact.gradient for name, exact in exact_gradients(graph, x, target).items()}


def exact_gradients(graph: Graph, x: np.ndarray, target: int | np.ndarray) -> dict[str, Exact]:
    """The same with what int16 gradients resolve: of a bias, part of the sum of its gradients' magnitudes."""
    layers, trained = graph.layers, {v.op.name: v for v in variables(graph)}
    values: dict[str, Any] = {graph.inputs[0]: x}
    found: dict[str, Exact] = {}
    for op in graph.ops:
        inputs = [values.get(name, graph.tensors[name].data) if name else None for name in op.inputs]
        call = Call(op, layers[op.owner], graph)
        if op.kind in GRADIENTS:
            values[op.outputs[0]] = GRADIENTS[op.kind].reference(call, *inputs)
        elif op.name == "loss":
            values[op.outputs[0]] = loss_gradient(graph, values[op.inputs[0]], target)
        elif op.role == "update":
            found[op.inputs[-1]] = _exact(call, trained[op.name], inputs[:-1])
        else:
            run_forward(op, graph, values)
    return found


def _exact(call: Call, variable: Variable, inputs: list[Any]) -> Exact:
    sums, (g, *others) = UPDATES[call.op.kind].sums, inputs
    gross = float(np.linalg.norm(sums(call, np.abs(g), *others))) if variable.bias else 0.0
    return Exact(sums(call, g, *others) * input_scale(variable, call.graph), RESOLUTION * gross)


def loss_gradient(graph: Graph, logits: np.ndarray, target: int | np.ndarray) -> np.ndarray:
    """Gradient of the loss of a training graph w.r.t. the real logits, float64; `logits` int8 as computed."""
    op = graph.loss
    assert op is not None
    quant = tensor_quant(graph, op.inputs[0])
    real = quant.scale[0] * (logits.astype(np.float64) - quant.zero_point[0])
    if not LOSSES[op.kind].by_label:
        goal = quant.scale[0] * (np.asarray(target, np.float64).reshape(real.shape) - quant.zero_point[0])
        return 2 * (real - goal) / real.size
    powers = np.exp((real - real.max()) * op.attrs.get("beta", 1.0))
    gradient = powers / powers.sum()
    gradient.reshape(-1)[target] -= 1
    result: np.ndarray = gradient
    return result


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two arrays as vectors; 1 when both are zero, 0 when one is.

    >>> round(cosine(np.array([1.0, 0.0]), np.array([1.0, 1.0])) ** 2, 6)
    0.5
    """
    a, b = a.astype(np.float64).reshape(-1), b.astype(np.float64).reshape(-1)
    lengths = math.sqrt(float(a @ a) * float(b @ b))
    if lengths == 0:
        return float(not a.any() and not b.any())
    return float(a @ b) / lengths
