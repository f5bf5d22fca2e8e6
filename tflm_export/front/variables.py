"""Resource variables of streaming nets become states of the graph: what an inference leaves for the next one.

A pass on ops as the file has them. Of VAR_HANDLE, CALL_ONCE, READ_ and ASSIGN_VARIABLE it leaves reads, which
are views of the state, and one assignment a variable, once nothing reads the old value any more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tflm_export.front.schema import VARIABLES
from tflm_export.front.trim import RESHAPES
from tflm_export.ir import Graph, Op, State, Tensor
from tflm_export.ops.check import require, short

TURNED = ("QUANTIZE", "DEQUANTIZE", "TRANSPOSE", "PACK", "UNPACK")  # later passes may make views of them
VIEWS = (*RESHAPES, *TURNED, "READ_VARIABLE")
Key = tuple[str, str]  # container and name


def settle_variables(graph: Graph, once: Mapping[int, Graph]) -> Graph:
    """The graph with states for variables; itself where it has none.

    once: the subgraphs that CALL_ONCE names. Raises `ExportError` for one that computes, and for a variable
    that is read before it has a value, or that has several shapes.
    """
    if not any(op.kind in VARIABLES for op in graph.ops):
        return graph
    variables = _Variables(graph)
    for op in graph.ops:
        variables.take(op, once)
    return variables.result()


@dataclass
class _Variables:
    """The graph while its variables are followed from op to op.

    keys: which variable a handle means. initial: first values. now: the tensor that a read gives.
    assigned: the last assignment of a variable and how many ops stand before it.
    """

    graph: Graph
    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    initial: dict[Key, Tensor] = field(default_factory=dict)
    states: dict[Key, str] = field(default_factory=dict)
    now: dict[Key, str] = field(default_factory=dict)
    assigned: dict[Key, tuple[int, Op]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tensors |= self.graph.tensors

    def take(self, op: Op, once: Mapping[int, Graph]) -> None:
        """The next op of the file."""
        if op.kind == "CALL_ONCE":
            require(not self.now, op, "it comes after variables are used; it must set their first values.")
            self.initial |= dict(_initial(once[op.attrs["subgraph"]]))
        elif op.kind == "VAR_HANDLE":
            self.keys |= dict.fromkeys(op.outputs, _key(op))
        elif op.kind == "READ_VARIABLE":
            self._read(op)
        elif op.kind == "ASSIGN_VARIABLE":
            self._assign(op)
        else:
            self.ops.append(op)

    def _read(self, op: Op) -> None:
        key = _variable(op, self.keys, 1, 1)
        if key not in self.now:
            self._begin(op, key)
        _same(op, self.tensors[self.now[key]], self.tensors[op.outputs[0]])
        self.ops.append(dataclasses.replace(op, inputs=(self.now[key],)))

    def _begin(self, op: Op, key: Key) -> None:
        """A value that comes from the last inference."""
        named = f"variable {short(key[1])!r} is read before it has a value"
        require(key in self.initial, op, f"{named}; set it in a subgraph that CALL_ONCE calls.")
        _same(op, self.initial[key], self.tensors[op.outputs[0]])
        name = f"{op.name}/state"
        self.tensors[name] = dataclasses.replace(self.tensors[op.outputs[0]], name=name)
        self.states[key] = self.now[key] = name

    def _assign(self, op: Op) -> None:
        key = _variable(op, self.keys, 2, 0)
        before = self.initial.get(key) or self.tensors.get(self.now.get(key, ""))
        if before is not None:
            _same(op, before, self.tensors[op.inputs[1]])
        self.now[key] = op.inputs[1]
        self.assigned[key] = (len(self.ops), op)

    def result(self) -> Graph:
        """The graph, what it reads of variables in views, assignments where no old value is read after."""
        values = [op.inputs[1] for key, (_, op) in self.assigned.items() if key in self.states]
        self._copy({*self.graph.outputs, *values})
        states, last = [], []
        for key, name in self.states.items():
            initial = self.initial[key].data
            assert initial is not None
            following = ""
            if key in self.assigned:
                place, op = self.assigned[key]
                following = f"{op.name}/next"
                self.tensors[following] = dataclasses.replace(self.tensors[name], name=following)
                op = dataclasses.replace(op, inputs=(op.inputs[1], name), outputs=(following,))
                last.append((max(place, self._readers_end(name)), op))
            states.append(State(name, following, initial))
        for place, op in sorted(last, key=lambda item: -item[0]):
            self.ops.insert(place, op)
        handles = self.keys.keys() - {*self.graph.inputs, *self.graph.outputs}
        tensors = {name: t for name, t in self.tensors.items() if name not in handles}
        return self.graph.replace(tensors=tensors, ops=tuple(self.ops), states=tuple(states))

    def _copy(self, kept: set[str]) -> None:
        """Reads of an old value that is still wanted when a new one has taken its place."""
        for i in reversed(range(len(self.ops))):
            op = self.ops[i]
            if op.kind not in VIEWS or not kept & set(op.outputs):
                continue
            if op.inputs[0] in self.states.values():
                self.ops[i] = dataclasses.replace(op, kind="COPY")
            kept |= set(op.inputs[:1])

    def _readers_end(self, state: str) -> int:
        """How many ops there are up to the last that reads the state, under any name."""
        names, end = {state}, 0
        for i, op in enumerate(self.ops):
            if names & set(op.inputs):
                names |= set(op.outputs) if op.kind in VIEWS else set()
                end = i + 1
        return end


def _initial(graph: Graph) -> Iterator[tuple[Key, Tensor]]:
    """The first values that a subgraph which is called once gives to variables."""
    keys: dict[str, Key] = {}
    for op in graph.ops:
        if op.kind == "VAR_HANDLE":
            keys |= dict.fromkeys(op.outputs, _key(op))
            continue
        value = graph.tensors.get(op.inputs[-1]) if op.inputs else None
        constant = op.kind == "ASSIGN_VARIABLE" and value is not None and value.data is not None
        require(constant, op, "CALL_ONCE's subgraph has it; allowed there: constants put into variables.")
        assert value is not None
        yield _variable(op, keys, 2, 0), value


def _key(op: Op) -> Key:
    return str(op.attrs["container"]), str(op.attrs["name"])


def _variable(op: Op, keys: Mapping[str, Key], inputs: int, outputs: int) -> Key:
    """The variable that a read or an assignment means, its number of tensors checked."""
    counts = (len(op.inputs), len(op.outputs))
    what = f"has {counts[0]} inputs and {counts[1]} outputs; allowed: {inputs} and {outputs}."
    require(counts == (inputs, outputs), op, what)
    key = keys.get(op.inputs[0])
    require(key is not None and all(op.inputs), op, "its first input is no variable's handle.")
    assert key is not None
    return key


def _same(op: Op, a: Tensor, b: Tensor) -> None:
    """Check that a variable has one shape, and is int8."""
    one, other = (f"{tensor.dtype} {list(tensor.shape)}" for tensor in (a, b))
    require(one == other, op, f"the variable is {one} elsewhere and {other} here; it must have one shape.")
    require(a.dtype == "int8", op, f"the variable is {a.dtype}; allowed: int8. Convert to full int8.")
