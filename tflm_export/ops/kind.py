"""What the compiler knows of one kind of op: `OpKind`, `GradientKind`, `UpdateKind`, `LossKind`.

Each op's module makes its own rows; `tflm_export.ops` lists them. `Emitter` and `Backward` are what an op's
functions may ask of the emitter and of the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from tflm_export.cpp import Tables
from tflm_export.ir import Graph, Op, Tensor
from tflm_export.ops.channels import Sources
from tflm_export.ops.interval import Rule as IntervalRule
from tflm_export.ops.result import Result, Values
from tflm_export.plan import UpdatePlan
from tflm_export.variable import Variable


class Emitter(Protocol):
    """One engine while its C++ is written: text that refers to tensors, tables and scales."""

    graph: Graph
    plan: UpdatePlan
    tables: Tables

    @property
    def packed_biases(self) -> Mapping[str, object]:
        """Biases that lie in flash packed, by tensor: they have no table that can be read."""

    def layer(self, op: Op) -> Op:
        """The forward op that `op` belongs to."""

    def tensor(self, name: str) -> Tensor:
        """The tensor called `name`."""

    def zero(self, name: str) -> int:
        """Zero point of an activation."""

    def constant(self, name: str) -> np.ndarray:
        """The data of a constant."""

    def variable(self, tensor: str) -> Variable | None:
        """How a trained tensor is stored; None for a frozen one."""

    def at(self, name: str, kind: str) -> str:
        """A pointer to a tensor: `s8(at::y3)`; `kind` is s8, s16, f32 or bits; nullptr for ""."""

    def struct(self, kind: str, name: str, rows: Sequence[str], constant: bool = True) -> str:
        """`constexpr tfodl::kind name = {rows};`, once; the name is returned. Not `constant`: `const`."""

    def declare(self, text: str) -> None:
        """A variable beside the structs, once."""

    def scratch(self, op: Op) -> str:
        """The op's scratch, or nullptr."""

    def rates(self, op: Op) -> str:
        """Where the rates of an update op are."""

    def rates_address(self, op: Op) -> str:
        """The same as an initialiser that the compiler puts into flash."""

    def factors(self, op: Op) -> str:
        """Where the Q15 factors of a layer's gradient are."""

    def scale(self, op: Op) -> str:
        """The GradScale of the gradient that `op` computes."""

    def exponent(self, tensor: str) -> str:
        """The run-time exponent of a gradient tensor."""


class Backward(Protocol):
    """One backward pass under construction."""

    graph: Graph

    def gradient(
        self, kind: str, op: Op, inputs: tuple[str, ...], of: str, position: int | None = None, **attrs: Any
    ) -> str:
        """Add an op `kind` that computes the gradient of tensor `of`, an input of forward op `op`."""

    def note(self, op: Op, of: str, gradient: str, position: int | None = None) -> str:
        """Gradient `gradient` flows into tensor `of`, beside what flowed there before."""

    def passing(self, op: Op, gradient: str, mask: str) -> str:
        """The gradient under the clip mask of `op`, one tensor for all readers."""


CallText = Callable[[Emitter, Op, bool], list[str]]
GradientText = Callable[[Emitter, Op], list[str]]
Rule = Callable[[Backward, Op, str, str, list[str]], None]
Scratch = Callable[[Op, Op, Graph], int]
LossGradient = Callable[[Op, Graph, np.ndarray, Any], Any]


def no_verdict(e: Emitter, op: Op) -> list[str]:
    """Nothing is noted."""
    return []


@dataclass(frozen=True)
class Options:
    """The op's options in the file: flatbuffer table, and attribute -> accessor."""

    table: str
    fields: Mapping[str, str]


@dataclass(frozen=True)
class OpKind:
    """A forward op.

    prepare(op, tensors) -> attrs: checks shapes, dtypes and scales, resolves the file's options.
    forward(op, graph, values) -> Result: computes it in numpy, bit for bit as TFLite Micro.
    call(emitter, op, masks) -> statements of C++; None where a pass replaces the op, or it is a view.
    options: where the file keeps them. rule(backward, op, g, mask, wanted): the gradient ops of its inputs;
    None where no gradient can pass. masked: it clamps, and training keeps a clip mask.
    view: the output is the input's bytes. in_place: operands that the output may take the place of.
    axes: where "out" and "in" channels lie in the weights, for ops that have some; resident: trained weights
    live in RAM whole. scratch(op, layer, graph) -> bytes of the kernel.
    interval(forward, op, graph, intervals) -> how far its outputs go (`ops/interval.py`); None: as far as its
    clamp. reads(op, tensors) -> which input channels make which output channels (`ops/channels.py`); None
    where channels are not kept apart, as in layers with weights. over: the operand, a state, whose place the
    output takes; -1: none. macs(op, graph): multiply-accumulates of an op with weights that do not learn.
    """

    prepare: Callable[[Op, Mapping[str, Tensor]], dict[str, Any]]
    forward: Callable[[Op, Graph, Values], Result]
    call: CallText | None = None
    options: Options | None = None
    rule: Rule | None = None
    masked: bool = False
    view: bool = False
    in_place: tuple[int, ...] = ()
    axes: Mapping[str, int] = field(default_factory=dict)
    resident: bool = False
    scratch: Scratch | None = None
    interval: IntervalRule | None = None
    reads: Callable[[Op, Mapping[str, Tensor]], Sources | None] | None = None
    over: int = -1
    macs: Callable[[Op, Graph], int] | None = None


@dataclass(frozen=True)
class GradientKind:
    """A gradient op.

    run(call, *inputs) on the device's integers -> `Sums` (the shift rule follows) or a `Gradient`.
    reference(call, *inputs): real gradients in float64, or in float32 with the bits and the order of sums of
    the float32 kernels. call, call_f32(emitter, op) -> statements of C++.
    same_exponent: the result has its first input's exponent. first_shift: where the shift rule starts.
    prepared: the kernel reads Q15 factors that the device computes before it.
    """

    run: Callable[..., Any]
    reference: Callable[..., Any]
    call: GradientText | None = None
    call_f32: GradientText | None = None
    view: bool = False
    in_place: tuple[int, ...] = ()
    same_exponent: bool = False
    first_shift: int | Callable[[Op, Graph], int] = 0
    prepared: bool = False
    scratch: Scratch | None = None


@dataclass(frozen=True)
class UpdateKind:
    """An update op. sums(call, g, ...) -> exact gradient sums of the trained part."""

    sums: Callable[..., Any]
    call: GradientText
    call_f32: GradientText
    scratch: Scratch | None = None


@dataclass(frozen=True)
class LossKind:
    """A loss of the int8 logits `q` that a loss op reads first.

    target: what it compares them with: a class index ("label"), int8 of their shape ("values"), or the
    engine's own input ("input"), which the op reads next.
    run(op, graph, q, target) -> `Gradient` of the real logits; run_f32, reference: in float32 and float64.
    value(op, graph, q, target) -> the loss itself, for people to watch; value_f32: where float32 differs.
    call, call_f32(emitter, op) -> statements of C++. observed: C++ type of what the kernels tell of the loss;
    text(emitter, op) -> the loss made of `observed`. judge(emitter, op) -> statements that note how right the
    logits are; none where that cannot be said.
    """

    target: Literal["label", "values", "input"]
    run: LossGradient
    run_f32: LossGradient
    reference: LossGradient
    value: Callable[[Op, Graph, np.ndarray, Any], float]
    call: GradientText
    call_f32: GradientText
    observed: str
    text: Callable[[Emitter, Op], str]
    judge: GradientText = no_verdict
    value_f32: Callable[[Op, Graph, np.ndarray, Any], float] | None = None

    @property
    def by_label(self) -> bool:
        """Whether its target is a class index."""
        return self.target == "label"
