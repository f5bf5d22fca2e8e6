"""What an engine keeps in RAM besides the arena: trained parameters and what the optimizer remembers."""

from __future__ import annotations

from tflm_export.gradients.paths import gradient_type
from tflm_export.ir import Graph
from tflm_export.ops import GRADIENTS
from tflm_export.ops.convolution.update import state_bytes as parameter_state_bytes
from tflm_export.plan import Optimizer
from tflm_export.round_up import round_up
from tflm_export.variable import Variable, variables

SCALE_BYTES = 4  # tfodl::GradScale
BEGUN_BYTES = 8  # whether the net's states have their first values, before an arena of that alignment
SETTINGS_BYTES = 20  # tfodl::Sgd and a flag
STACK_BYTES = 2_560  # the deepest painted stack of our engines on the emulated board is 2,400
SLICES_STACK_BYTES = 32  # more for engines with slices: 2,592 were painted
PADDING_BYTES = 16  # the linker's, between the engine's variables


def state_bytes(variable: Variable, optimizer: Optimizer) -> int:
    """Bytes of optimizer state that go with a trained tensor; those of a candidate lie in the pool."""
    if variable.pooled:
        return 0
    return variable.count * parameter_state_bytes(optimizer, variable.bias)


def static_ram(graph: Graph, optimizer: Optimizer, arena: int) -> int:
    """Static RAM of the engine, bytes: arena, trained parameters, optimizer state, gradient scales, settings;
    the arena alone where nothing trains. The linker may add a few bytes of padding between them.
    """
    held = sum(round_up(v.nbytes) + round_up(state_bytes(v, optimizer)) for v in variables(graph))
    if graph.loss is None:
        return arena + BEGUN_BYTES * bool(graph.states)
    backward = sum(op.kind in GRADIENTS for op in graph.layers.values())
    scales = 0 if gradient_type(graph) == "float32" else 1 + backward
    return arena + held + SCALE_BYTES * scales + SETTINGS_BYTES


def engine_ram(static: int) -> int:
    """RAM that an engine takes at most, bytes: static data, the linker's padding, the stack."""
    return static + PADDING_BYTES + STACK_BYTES
