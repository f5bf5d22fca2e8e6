"""When every tensor lives: the steps of a graph, what shares a buffer, what each step needs besides.

The order of steps is the graph's own: `backward` already puts every update right behind its gradient. An
elementwise op whose operand dies there works in place; a reshape is a second name for the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tflm_export.ir import Graph, Op, Tensor
from tflm_export.memory.place import Buffer, live_bytes
from tflm_export.memory.scratch import is_prepared, scratch_bytes
from tflm_export.memory.stream import layer_ops, may_overlay, members, rings

VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "RESHAPE_INPUT_GRADIENT")
IN_PLACE: Mapping[str, tuple[int, ...]] = {
    "ADD": (0, 1),
    "SUB": (0, 1),
    "MUL": (0, 1),
    "RELU": (0,),
    "RELU6": (0,),
    "QUANTIZE": (0,),
    "LOGISTIC": (0,),
    "RELU_N1_TO_1": (0,),
    "TANH": (0,),
    "HARD_SWISH": (0,),
    "LEAKY_RELU": (0,),
    "ADD_GRADIENTS": (0, 1),
    "MASK_GRADIENT": (0,),
    "NEGATE_GRADIENT": (0,),
    "MUL_INPUT_GRADIENT": (0,),
    "LOGISTIC_INPUT_GRADIENT": (0,),
    "LOOKUP_INPUT_GRADIENT": (0,),
}


@dataclass(frozen=True)
class Lifetimes:
    """`buffers` for the arena and `views`: tensor -> name of the buffer that holds it."""

    buffers: tuple[Buffer, ...]
    views: Mapping[str, str]


def peak(graph: Graph) -> tuple[int, int]:
    """Maximal live bytes, and the first step that has them."""
    live = live_bytes(lifetimes(graph).buffers)
    return max(live), live.index(max(live))


def lifetimes(graph: Graph) -> Lifetimes:
    """First and last step of every buffer of a training graph.

    The input lives from step 0. The output and the logits live until the last forward op, so that they can be
    read after an inference.
    """
    live = _Live(graph)
    for name in graph.inputs:
        live.write(name, 0)
    for step, op in enumerate(graph.ops):
        live.run(step, op)
    last_forward = max(i for i, op in enumerate(graph.ops) if op.role == "forward")
    for name in (*graph.outputs, *_loss_inputs(graph)):
        live.read(name, last_forward)
    return live.result()


def _loss_inputs(graph: Graph) -> tuple[str, ...]:
    return graph.loss.inputs[:1] if graph.loss is not None else ()


@dataclass
class _Live:
    """Buffers growing while the steps go by."""

    graph: Graph
    spans: dict[str, Buffer] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.last = {name: i for i, op in enumerate(self.graph.ops) for name in op.inputs}
        self.layers = layer_ops(self.graph)

    def write(self, name: str, step: int) -> None:
        tensor = self.graph.tensors[name]
        self.views[name] = name
        self.spans[name] = Buffer(name, tensor.nbytes, step, step)

    def read(self, name: str, step: int) -> None:
        holder = self.views.get(name)
        if holder is not None:  # constants live elsewhere
            span = self.spans[holder]
            self.spans[holder] = Buffer(span.name, span.nbytes, span.first, max(span.last, step))

    def run(self, step: int, op: Op) -> None:
        for name in op.inputs:
            self.read(name, step)
        for name in op.outputs:
            reused = self._reused(op, name, step)
            if reused is None:
                self.write(name, step)
            else:
                self.views[name] = reused
                self.read(name, step)
        self._transient(f"{op.name}/scratch", self._scratch(op), step)
        if op.role == "update":
            self._transient(f"{op.name}/rates", 4 * self._channels(op), step)
        if is_prepared(op, self.graph):
            self._transient(f"{op.name}/factors", 2 * self._channels(op), step)
        if op.kind == "STREAM":
            for i, (_, nbytes) in enumerate(rings(op, self.graph)):
                self._transient(f"{op.name}/ring{i}", nbytes, step)

    def _channels(self, op: Op) -> int:
        """Output channels of the layer that a gradient or update belongs to."""
        return self.graph.tensors[self.layers[op.attrs["op"]].outputs[0]].shape[-1]

    def _scratch(self, op: Op) -> int:
        layers = [self.layers.get(m.attrs.get("op", m.name), m) for m in members(op)]
        return max(scratch_bytes(m, layer, self.graph) for m, layer in zip(members(op), layers, strict=True))

    def _transient(self, name: str, nbytes: int, step: int) -> None:
        if nbytes:
            self.spans[name] = Buffer(name, nbytes, step, step)

    def _reused(self, op: Op, output: str, step: int) -> str | None:
        """The buffer of an operand that `output` may take over, or None."""
        if output != op.outputs[0]:
            return None
        if op.kind in VIEWS:
            return self.views.get(op.inputs[0])
        if op.kind == "STREAM" and may_overlay(op, self.graph):
            holder = self.views.get(op.inputs[0])
            return holder if holder is not None and self._dies(holder, step) else None
        for position in IN_PLACE.get(op.kind, ()):
            holder = self.views.get(op.inputs[position])
            if holder is not None and self._dies(holder, step) and self._same_room(holder, output):
                return holder
        return None

    def _dies(self, holder: str, step: int) -> bool:
        """Whether nothing reads this buffer, under any of its names, after `step`."""
        names = [name for name, other in self.views.items() if other == holder]
        kept = {*self.graph.outputs, *_loss_inputs(self.graph)}
        return all(self.last.get(name, -1) <= step and name not in kept for name in names)

    def _same_room(self, holder: str, output: str) -> bool:
        tensor: Tensor = self.graph.tensors[output]
        return self.spans[holder].nbytes == tensor.nbytes

    def result(self) -> Lifetimes:
        return Lifetimes(tuple(self.spans.values()), dict(self.views))
