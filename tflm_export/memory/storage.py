"""What an engine keeps in RAM besides the arena: trained parameters and what the optimizer remembers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflm_export.gradients import GRADIENTS
from tflm_export.gradients.paths import gradient_type
from tflm_export.ir import Graph, Op
from tflm_export.memory.stream import layer_ops
from tflm_export.plan import Optimizer

SCALE_BYTES = 4  # tfodl::GradScale
SETTINGS_BYTES = 20  # tfodl::Sgd and a flag


@dataclass(frozen=True)
class Variable:
    """One trained tensor as the engine stores it.

    op: its update op; layer: the forward op. count: trained elements, for the optimizer's state.
    nbytes: of the parameter in RAM (a bias and a depthwise weight live there whole).
    whole: every element trains.
    """

    op: Op
    layer: Op
    count: int
    nbytes: int
    whole: bool

    @property
    def bias(self) -> bool:
        """A bias (int32), not a weight (int8)."""
        return self.op.kind == "BIAS_UPDATE"

    @property
    def tensor(self) -> str:
        """Name of the trained tensor in the model."""
        return self.op.inputs[-1]


def variables(graph: Graph) -> tuple[Variable, ...]:
    """The trained tensors of a training graph, in the order of their updates."""
    layers = layer_ops(graph)
    return tuple(_variable(op, layers[op.attrs["op"]], graph) for op in graph.ops if op.role == "update")


def _variable(op: Op, layer: Op, graph: Graph) -> Variable:
    tensor, channels = graph.tensors[op.inputs[-1]], len(op.attrs["channels"])
    depthwise = op.kind.startswith("DEPTHWISE")
    by_input = depthwise or op.attrs.get("axis") == "in"
    size = tensor.shape[-1 if by_input else 0]
    count = tensor.size // size * channels
    resident = tensor.size if depthwise or op.kind == "BIAS_UPDATE" else count
    width = 4 if op.kind == "BIAS_UPDATE" else 1
    return Variable(op, layer, count, resident * width, channels == size)


def state_bytes(variable: Variable, optimizer: Optimizer) -> int:
    """Bytes of optimizer state that go with a trained tensor."""
    accumulator = optimizer.rounding == "accumulator" and not variable.bias
    per_element = 4 * (optimizer.batch > 1) + 4 * (math.floor(optimizer.momentum * 2**15 + 0.5) > 0)
    return variable.count * (per_element + 2 * accumulator)


def static_ram(graph: Graph, optimizer: Optimizer, arena: int) -> int:
    """Static RAM of the engine, bytes: arena, trained parameters, optimizer state, gradient scales, settings;
    the arena alone where nothing trains. The linker may add a few bytes of padding between them.
    """
    held = sum(_round4(v.nbytes) + _round4(state_bytes(v, optimizer)) for v in variables(graph))
    if graph.loss is None:
        return arena
    scales = 0 if gradient_type(graph) == "float32" else 1 + sum(op.kind in GRADIENTS for op in graph.ops)
    return arena + held + SCALE_BYTES * scales + SETTINGS_BYTES


def _round4(nbytes: int) -> int:
    return -(-nbytes // 4) * 4
