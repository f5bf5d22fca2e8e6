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
from tflm_export.simulate.evaluate import run_forward
from tflm_export.simulate.step import Target, input_scale
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


def reference_gradients(graph: Graph, x: np.ndarray, target: Target = None) -> dict[str, np.ndarray]:
    """Real gradients of every trained tensor (its trained part) for one sample, w.r.t. real parameters.

    graph: from `backward.training_graph`. x: int8 input. target: as `Simulator.train_step` takes it. States
    are what the first step finds.
    """
    return {name: exact.gradient for name, exact in exact_gradients(graph, x, target).items()}


def exact_gradients(graph: Graph, x: np.ndarray, target: Target = None) -> dict[str, Exact]:
    """The same with what int16 gradients resolve: of a bias, part of the sum of its gradients' magnitudes."""
    layers, trained = graph.layers, {v.op.name: v for v in variables(graph)}
    values: dict[str, Any] = {graph.inputs[0]: x}
    values |= {state.tensor: state.initial for state in graph.states}
    found: dict[str, Exact] = {}
    for op in layers.values():
        inputs = [values.get(name, graph.tensors[name].data) if name else None for name in op.inputs]
        call = Call(op, layers[op.owner], graph)
        if op.kind in GRADIENTS:
            values[op.outputs[0]] = GRADIENTS[op.kind].reference(call, *inputs)
        elif op.name == "loss":
            values[op.outputs[0]] = loss_gradient(graph, values[op.inputs[0]], x, target)
        elif op.role == "update":
            found[op.inputs[-1]] = _exact(call, trained[op.name], inputs[:-1])
        else:
            run_forward(op, graph, values)
    return found


def _exact(call: Call, variable: Variable, inputs: list[Any]) -> Exact:
    sums, (g, *others) = UPDATES[call.op.kind].sums, inputs
    gross = float(np.linalg.norm(sums(call, np.abs(g), *others))) if variable.bias else 0.0
    return Exact(sums(call, g, *others) * input_scale(variable, call.graph), RESOLUTION * gross)


def loss_gradient(graph: Graph, logits: np.ndarray, x: np.ndarray, target: Target) -> np.ndarray:
    """Gradient of the loss of a training graph w.r.t. the real logits, float64; `logits` and `x` int8 as
    computed and as given."""
    op = graph.loss
    assert op is not None
    kind = LOSSES[op.kind]
    result: np.ndarray = kind.reference(op, graph, logits, x if kind.target == "input" else target)
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
