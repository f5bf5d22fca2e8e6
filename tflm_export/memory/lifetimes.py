"""When every tensor lives: the steps of a graph, what shares a buffer, what each step needs besides.

The order of steps is the graph's own: `backward` already puts every update right behind its gradient. An
elementwise op whose operand dies there works in place; a reshape is a second name for the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tflm_export.ir import Graph, Op, Tensor
from tflm_export.memory.place import Buffer, live_bytes
from tflm_export.memory.row_fed import is_fed
from tflm_export.memory.slices import KIND as SLICES
from tflm_export.memory.slices import sliced_buffers
from tflm_export.memory.stream import input_ring, may_overlay, rings
from tflm_export.ops import GRADIENTS, UPDATES, op_kind
from tflm_export.ops.kind import GradientKind, OpKind


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

    The input lives from step 0, if it exists as a whole. The output and the logits live until the last
    forward op, so that they can be read after an inference; a state lives always.
    """
    live = _Live(graph)
    for name in graph.given[is_fed(graph.ops[0]) :]:
        live.write(name, 0)
    for step, op in enumerate(graph.ops):
        live.run(step, op)
    last_forward = max(i for i, op in enumerate(graph.ops) if op.role == "forward")
    for name in (*graph.outputs, *_loss_inputs(graph)):
        live.read(name, last_forward)
    for state in graph.states:
        live.read(state.tensor, len(graph.ops) - 1)
    return live.result()


def movable(op: Op) -> OpKind | GradientKind | None:
    """The row that says whether the op is a view or works in place; None for what has none."""
    if op.kind in GRADIENTS:
        return GRADIENTS[op.kind]
    return op_kind(op) if op.role == "forward" and op.kind not in ("STREAM", SLICES) else None


def scratch_bytes(op: Op, layer: Op, graph: Graph) -> int:
    """Scratch of `op`; `layer` is the forward op that it belongs to (itself for a forward op)."""
    row = UPDATES[op.kind] if op.role == "update" else movable(op)
    return 0 if row is None or row.scratch is None else row.scratch(op, layer, graph)


def _is_prepared(op: Op, graph: Graph) -> bool:
    """Whether the gradient's kernel reads Q15 factors that the device computes before it."""
    row = GRADIENTS.get(op.kind)
    return row is not None and row.prepared and graph.tensors[op.inputs[0]].dtype != "float32"


def _reads(op: Op) -> tuple[str, ...]:
    """What must be there when `op` runs, for itself and for the op that it may have to run again."""
    return (*op.inputs, *op.attrs["again"].inputs) if "again" in op.attrs else op.inputs


def _loss_inputs(graph: Graph) -> tuple[str, ...]:
    return graph.loss.inputs[:1] if graph.loss is not None else ()


@dataclass
class _Live:
    """Buffers growing while the steps go by."""

    graph: Graph
    spans: dict[str, Buffer] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.last = {name: i for i, op in enumerate(self.graph.ops) for name in _reads(op)}
        self.layers = self.graph.layers

    def write(self, name: str, step: int) -> None:
        tensor = self.graph.tensors[name]
        self.views[name] = name
        self.spans[name] = Buffer(name, tensor.nbytes, step, step)

    def read(self, name: str, step: int) -> None:
        holder = self.views.get(name)
        if holder is not None:  # constants live elsewhere
            span = self.spans[holder]
            if span.last < step:
                self.spans[holder] = replace(span, last=step)

    def run(self, step: int, op: Op) -> None:
        for name in _reads(op):
            self.read(name, step)
        if "again" in op.attrs:
            for what in ("scratch", "factors"):
                self._prolong(f"{op.attrs['again'].name}/{what}", step)
        for name in op.outputs:
            reused = self._reused(op, name, step)
            if reused is None:
                self.write(name, step)
            else:
                self.views[name] = reused
                self.read(name, step)
                self._shrink(reused, name, step)
        extra = sliced_buffers(op, self.graph) if op.kind == SLICES else {"scratch": self._scratch(op)}
        for what, nbytes in extra.items():
            self._transient(f"{op.name}/{what}", nbytes, step)
        if op.role == "update":
            self._transient(f"{op.name}/rates", 4 * self._channels(op), step)
        if _is_prepared(op, self.graph):
            self._transient(f"{op.name}/factors", 2 * self._channels(op), step)
        if op.kind == "STREAM":
            self._transient(f"{op.name}/rows", input_ring(op, self.graph)[1], step)
            for i, (_, nbytes) in enumerate(rings(op, self.graph)):
                self._transient(f"{op.name}/ring{i}", nbytes, step)

    def _shrink(self, holder: str, output: str, step: int) -> None:
        """After a stream has put its smaller output over its input, the rest is free."""
        span, left = self.spans[holder], self.graph.tensors[output].nbytes
        if left < span.bytes_at(step):
            self.spans[holder] = replace(span, shrinks=(*span.shrinks, (step + 1, left)))

    def _channels(self, op: Op) -> int:
        """Output channels of the layer that a gradient or update belongs to."""
        return self.graph.tensors[self.layers[op.of].outputs[0]].shape[-1]

    def _scratch(self, op: Op) -> int:
        return max(scratch_bytes(m, self.layers.get(m.owner, m), self.graph) for m in op.members)

    def _transient(self, name: str, nbytes: int, step: int) -> None:
        if nbytes:
            self.spans[name] = Buffer(name, nbytes, step, step)

    def _prolong(self, name: str, step: int) -> None:
        """Scratch of an earlier op that may run again."""
        if name in self.spans:
            self.spans[name] = replace(self.spans[name], last=step)

    def _reused(self, op: Op, output: str, step: int) -> str | None:
        """The buffer of an operand that `output` may take over, or None."""
        if output != op.outputs[0]:
            return None
        if op.kind == "STREAM" and may_overlay(op, self.graph):
            holder = self.views.get(op.inputs[0])
            return holder if holder is not None and self._dies(holder, step) else None
        row = movable(op)
        if row is None:
            return None
        if isinstance(row, OpKind) and row.over >= 0:
            return self._written_over(self.views[op.inputs[row.over]], step)
        if row.view:
            return self.views.get(op.inputs[0])
        for position in (0,) if "again" in op.attrs else row.in_place:
            holder = self.views.get(op.inputs[position])
            if holder is not None and self._dies(holder, step) and self._same_room(holder, output, step):
                return holder
        return None

    def _written_over(self, state: str, step: int) -> str:
        """The state; the passes that made it saw to it: nothing needs its old value after `step`."""
        names = {name for name, holder in self.views.items() if holder == state}
        assert not names & set(self.graph.outputs) and all(self.last.get(n, 0) <= step for n in names), state
        return state

    def _dies(self, holder: str, step: int) -> bool:
        """Whether nothing reads this buffer, under any of its names, after `step`."""
        names = [name for name, other in self.views.items() if other == holder]
        kept = {*self.graph.given[len(self.graph.inputs) :], *self.graph.outputs, *_loss_inputs(self.graph)}
        return all(self.last.get(name, -1) <= step and name not in kept for name in names)

    def _same_room(self, holder: str, output: str, step: int) -> bool:
        tensor: Tensor = self.graph.tensors[output]
        return self.spans[holder].bytes_at(step) == tensor.nbytes

    def result(self) -> Lifetimes:
        return Lifetimes(tuple(self.spans.values()), dict(self.views))
