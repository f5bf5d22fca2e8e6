"""What the parts of the emitter share: graph, plan, names, constants, and text that refers to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tflm_export.cpp import Tables
from tflm_export.emit.names import op_symbol, tensor_symbols
from tflm_export.emit.packed_biases import Packed, packed_biases
from tflm_export.errors import ExportError
from tflm_export.gradients.cut import find_cut
from tflm_export.gradients.paths import gradient_type
from tflm_export.ir import Graph, Op, Tensor
from tflm_export.living.memory import Exemplars
from tflm_export.living.pool import candidates
from tflm_export.memory.place import MemoryPlan
from tflm_export.ops import GRADIENTS
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import UpdatePlan
from tflm_export.variable import Variable, variables


@dataclass(frozen=True)
class KernelCall:
    """The call of an op in the engine's lists, by the kernel's name."""

    kernel: str
    op: Op


@dataclass
class Engine:
    """One engine while its text is written. `tables`, `structs` and `calls` fill up; the rest stays.

    `exemplars`: samples that go into flash. `cut`: where a net with a memory is split, else None.
    `candidates`: layers of which the device chooses channels. `laps`: whether `board_lap(i)` follows
    `calls[i]`, for `machines.profile`. `pauses`: whether the sketch's pause follows them. `learns`: whether
    it trains anything; an engine that does not has no `loss`.
    """

    graph: Graph
    plan: UpdatePlan
    memory: MemoryPlan
    exemplars: Exemplars | None = None
    tables: Tables = field(default_factory=Tables)
    structs: list[str] = field(default_factory=list)
    laps: bool = False
    pauses: bool = False
    calls: list[KernelCall] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.symbols = tensor_symbols(self.graph)
        self.layers = self.graph.layers
        self.variables = variables(self.graph)
        self.learns = self.graph.loss is not None
        self.gradients = gradient_type(self.graph)
        self.cut = find_cut(self.graph, self.plan) if self.plan.memory is not None else None
        self.candidates = candidates(self.graph)
        self._producers = {name: op for op in self.graph.layers.values() for name in op.outputs}

    @cached_property
    def packed_biases(self) -> Mapping[str, Packed]:
        """First values of trained biases, by tensor; none where a store or a pool reads them as they are."""
        if self.plan.store_bytes or self.plan.pool is not None:
            return {}
        trained = [variable.tensor for variable in self.variables if variable.bias]
        return packed_biases({name: self.constant(name) for name in trained})

    @property
    def loss(self) -> Op:
        """The op that computes the loss."""
        assert self.graph.loss is not None
        return self.graph.loss

    def layer(self, op: Op) -> Op:
        """The forward op that `op` belongs to."""
        return self.layers[op.owner]

    def tensor(self, name: str) -> Tensor:
        """The tensor called `name`."""
        return self.graph.tensors[name]

    def zero(self, name: str) -> int:
        """Zero point of an activation."""
        return tensor_quant(self.graph, name).zero_point[0]

    def constant(self, name: str) -> np.ndarray:
        """The data of a constant."""
        return self.graph.constant(name)

    def variable(self, tensor: str) -> Variable | None:
        """How the trained tensor is stored; None for a frozen one."""
        return next((v for v in self.variables if v.tensor == tensor), None)

    def at(self, name: str, kind: str) -> str:
        """A pointer to a tensor: `s8(at::y3)` in the arena, a table for a constant, nullptr for none."""
        if not name:
            return "nullptr"
        if name in self.symbols:
            return f"{kind}(at::{self.symbols[name]})"
        if kind != "s8":
            raise ExportError(f"tensor {name!r}: a constant of this type cannot be read here.")
        return self.tables.add("int8_t", f"constant_{self._constant_number(name)}", self.constant(name))

    def _constant_number(self, name: str) -> int:
        return list(self.graph.tensors).index(name)

    def struct(self, kind: str, name: str, rows: Sequence[str], constant: bool = True) -> str:
        """`constexpr tfodl::kind name = {rows};`, once; the name is returned. Not `constant`: `const`, for
        addresses in the arena."""
        body = "\n".join(f"    {row}" for row in rows)
        text = f"{'constexpr' if constant else 'const'} tfodl::{kind} {name} = {{\n{body}\n}};"
        if text not in self.structs:
            self.structs.append(text)
        return name

    def declare(self, text: str) -> None:
        """A variable beside the structs, once."""
        if text not in self.structs:
            self.structs.append(text)

    def scratch(self, op: Op) -> str:
        """The op's scratch, or nullptr."""
        return (
            f"any(at::scratch_{op_symbol(op)})" if f"{op.name}/scratch" in self.memory.offsets else "nullptr"
        )

    def rates(self, op: Op) -> str:
        """Where the rates of an update op are."""
        return f"f32(at::rates_{op_symbol(op)})"

    def rates_address(self, op: Op) -> str:
        """The same as an initialiser that the compiler puts into flash."""
        return f"reinterpret_cast<float*>(arena + at::rates_{op_symbol(op)})"

    def factors(self, op: Op) -> str:
        """Where the Q15 factors of a layer's gradient are."""
        return f"s16(at::factors_{op_symbol(op)})"

    def scale(self, op: Op) -> str:
        """The GradScale of the gradient that `op` computes."""
        return f"e_{op_symbol(op)}"

    def exponent(self, tensor: str) -> str:
        """The run-time exponent of a gradient tensor."""
        op = self._producers[tensor]
        while op.kind in GRADIENTS and GRADIENTS[op.kind].same_exponent:
            op = self._producers[op.inputs[0]]
        return f"{self.scale(op)}.exponent"

    def scaled_ops(self) -> list[Op]:
        """The ops that own a GradScale; none of float32 gradients."""
        if self.gradients == "float32":
            return []
        gradients = [op for op in self.layers.values() if op.kind in GRADIENTS]
        return [self.loss, *(op for op in gradients if not GRADIENTS[op.kind].same_exponent)]
