"""(forward Graph, UpdatePlan) -> training Graph: loss, gradients, updates, and nothing that no update needs.

The backward pass walks back to the shallowest trained tensor and no further. An op's input gradient comes
before the update of its weights, so it sees the weights of the step's start; the update comes at once after.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tflm_export.errors import ExportError
from tflm_export.gradients.trained import Trained, resolve
from tflm_export.ir import Graph, Op, Role, Tensor
from tflm_export.plan import UpdatePlan

LOSSES = {"crossentropy": "SOFTMAX_CROSSENTROPY", "mse": "MEAN_SQUARED_ERROR"}
GRADIENT_TYPES = ("int16", "float32")
RELUS = ("RELU", "RELU6", "RELU_N1_TO_1")
MASKED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "QUANTIZE", *RELUS)


def training_graph(graph: Graph, plan: UpdatePlan, gradients: str = "int16") -> Graph:
    """The graph of one training step at batch 1. Its ops of role "forward" are the model.

    gradients: dtype of gradient tensors, one of `GRADIENT_TYPES`. In float32 a clip mask is an op of its own.
    A plan without a head and without layers trains nothing: then the graph is the model's, for inference.
    Raises `ExportError` when the plan does not fit the model or a gradient must pass an op that has none.
    """
    if gradients not in GRADIENT_TYPES:
        allowed = " or ".join(map(repr, GRADIENT_TYPES))
        raise ExportError(f"gradients {gradients!r} are not supported; allowed: {allowed}.")
    _check_edges(graph)
    if not (plan.head or plan.layers):
        return graph
    logits = loss_input(graph, plan.loss)
    trained = {t.op.name: t for t in resolve(graph, plan, logits)}
    builder = _Builder(graph, trained, logits, gradients)
    return builder.build(LOSSES[plan.loss]).check()


def _check_edges(graph: Graph) -> None:
    for end, names in (("input", graph.inputs), ("output", graph.outputs)):
        if len(names) != 1:
            raise ExportError(f"model: an engine needs one {end}, got {len(names)}: {list(names)}.")


def loss_input(graph: Graph, loss: str) -> str:
    """The int8 tensor that the loss reads: the output, before a DEQUANTIZE and (cross-entropy) a SOFTMAX."""
    name = graph.outputs[0]
    shape = graph.tensors[name].shape
    if loss == "crossentropy" and math.prod(shape) != shape[-1]:
        raise ExportError(
            f"loss: the output {name!r} has shape {list(shape)}; cross-entropy takes one row of logits, [1, "
            "classes]. Pool the map first, or train with mean squared error."
        )
    skipped = ("DEQUANTIZE", "SOFTMAX") if loss == "crossentropy" else ("DEQUANTIZE",)
    op = graph.producer(name)
    while op is not None and op.kind in skipped:
        name = op.inputs[0]
        op = graph.producer(name)
    tensor = graph.tensors[name]
    if loss == "crossentropy" and tensor.size < 2:
        raise ExportError(
            f"loss: the logits {name!r} hold {tensor.size} value; cross-entropy needs 2 or more."
        )
    return name


@dataclass
class _Builder:
    """One backward pass under construction."""

    graph: Graph
    trained: dict[str, Trained]
    logits: str
    dtype: str = "int16"
    tensors: dict[str, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict)

    def build(self, loss: str) -> Graph:
        self.tensors.update(self.graph.tensors)
        carrying = self._carrying()
        if self.logits not in carrying:
            raise ExportError(f"update plan: what it trains does not reach the output {self.logits!r}.")
        between = carrying & self._needed()
        relevant = [op for op in self.graph.ops if between & set(op.outputs)]
        for op in self.graph.ops:
            self._forward(op, op in relevant)
        self.gradient(loss, "loss", (self.logits,), self.logits)
        for op in reversed(relevant):
            self._backward(op, carrying)
        return self.graph.replace(tensors=self.tensors, ops=tuple(self.ops))

    def _carrying(self) -> set[str]:
        """Tensors that depend on something trained."""
        found: set[str] = set()
        for op in self.graph.ops:
            if op.name in self.trained or found & set(op.inputs):
                found |= set(op.outputs)
        return found

    def _needed(self) -> set[str]:
        """Tensors that the logits depend on, and the logits."""
        found = {self.logits}
        for op in reversed(self.graph.ops):
            if found & set(op.outputs):
                found |= set(op.inputs)
        return found

    def _forward(self, op: Op, masked: bool) -> None:
        """The op itself, what it must keep for the backward pass: a clip mask, chosen input channels."""
        trained = self.trained.get(op.name)
        if trained is not None and self._keeps_part(trained):
            self._keep_channels(trained)
        if masked and op.kind in MASKED and op.outputs[0] != self.logits:
            mask = Tensor(f"{op.outputs[0]}/mask", self.graph.tensors[op.outputs[0]].shape, "bit")
            self.tensors[mask.name] = mask
            op = replace(op, outputs=(op.outputs[0], mask.name))
        self.ops.append(op)

    def _keeps_part(self, trained: Trained) -> bool:
        channels = self.graph.tensors[trained.weight].shape[-1]
        by_input = trained.axis == "in" or trained.op.kind == "DEPTHWISE_CONV_2D"
        return by_input and 0 < len(trained.channels) < channels

    def _keep_channels(self, trained: Trained) -> None:
        x, channels = self.graph.tensors[trained.op.inputs[0]], self.graph.tensors[trained.weight].shape[-1]
        shape = (x.size // channels, len(trained.channels))
        kept = Tensor(f"{trained.op.name}/kept", shape, x.dtype, x.quant)
        self.tensors[kept.name] = kept
        attrs = {"op": trained.op.name, "channels": trained.channels, "of": channels}
        self.add("GATHER_CHANNELS", f"{trained.op.name}/keep", (x.name,), (kept.name,), attrs)

    def add(
        self,
        kind: str,
        name: str,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        attrs: dict[str, Any],
        role: Role = "gradient",
    ) -> None:
        self.ops.append(Op(kind, name, inputs, outputs, attrs, role))

    def gradient(self, kind: str, name: str, inputs: tuple[str, ...], of: str, **attrs: Any) -> str:
        """Add an op that computes a gradient of tensor `of`, and note it there."""
        earlier = self.pending.get(of)
        output = f"{name}/grad" if earlier is None else f"{name}/grad_part"
        self.tensors[output] = Tensor(output, self.graph.tensors[of].shape, self.dtype)
        self.add(kind, name, inputs, (output,), attrs)
        return self.note(of, output, name)

    def note(self, of: str, gradient: str, name: str) -> str:
        """Gradient `gradient` flows into tensor `of`, beside what flowed there before."""
        earlier = self.pending.get(of)
        if earlier is not None:
            total = f"{name}/grad_sum"
            self.tensors[total] = Tensor(total, self.graph.tensors[of].shape, self.dtype)
            attrs = {"op": name.split("/")[0]}
            self.add("ADD_GRADIENTS", f"{name}/sum", (earlier, gradient), (total,), attrs)
            gradient = total
        self.pending[of] = gradient
        return gradient

    def _backward(self, op: Op, carrying: set[str]) -> None:
        gradient = self.pending.pop(op.outputs[0])
        mask = f"{op.outputs[0]}/mask"
        mask = mask if mask in self.tensors else ""
        if self.dtype == "float32":
            gradient, mask = _passing(self, op, gradient, mask), ""
        wanted = [x for x in op.inputs if x in carrying]
        if wanted:
            if op.kind not in RULES:
                raise ExportError(
                    f"{op.kind} {op.name!r} ({op.outputs[0]}): no gradient can pass this op; "
                    f"leave the layers before it frozen. Allowed: {', '.join(sorted(RULES))}."
                )
            RULES[op.kind](self, op, gradient, mask, wanted)
        if op.name in self.trained:
            self._update(self.trained[op.name], gradient, mask)

    def _update(self, trained: Trained, gradient: str, mask: str) -> None:
        op, index = trained.op, int(trained.op.name.lstrip("#"))
        if trained.channels:
            x = f"{op.name}/kept" if self._keeps_part(trained) else op.inputs[0]
            columns = trained.axis == "in"
            kind = f"{op.kind}_COLUMNS_UPDATE" if columns else f"{op.kind}_WEIGHTS_UPDATE"
            attrs = {"op": op.name, "channels": trained.channels, "axis": trained.axis, "tensor": 2 * index}
            inputs = (gradient, mask, x, trained.weight)
            self.add(kind, f"{op.name}/weights", inputs, (), attrs, "update")
        if trained.biases:
            attrs = {"op": op.name, "channels": trained.biases, "tensor": 2 * index + 1}
            self.add("BIAS_UPDATE", f"{op.name}/bias", (gradient, mask, trained.bias), (), attrs, "update")


Rule = Callable[[_Builder, Op, str, str, list[str]], None]


def _through_weights(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    b.gradient(
        f"{op.kind}_INPUT_GRADIENT", f"{op.name}/input", (g, mask, op.inputs[1]), wanted[0], op=op.name
    )


def _unary(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    b.gradient(f"{op.kind}_INPUT_GRADIENT", f"{op.name}/input", (g,), wanted[0], op=op.name)


def _reshape(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    b.gradient("RESHAPE_INPUT_GRADIENT", f"{op.name}/input", (g,), wanted[0], op=op.name)


def _pad(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    b.gradient("PAD_INPUT_GRADIENT", f"{op.name}/input", (g,), wanted[0], op=op.name)


def _from_input(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    b.gradient(f"{op.kind}_INPUT_GRADIENT", f"{op.name}/input", (g, op.inputs[0]), wanted[0], op=op.name)


def _from_output(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    b.gradient(f"{op.kind}_INPUT_GRADIENT", f"{op.name}/input", (g, op.outputs[0]), wanted[0], op=op.name)


def _passing(b: _Builder, op: Op, g: str, mask: str) -> str:
    """The gradient under the clip mask, one tensor for all readers."""
    if not mask:
        return g
    name = f"{op.name}/passed"
    b.tensors[name] = replace(b.tensors[g], name=name)
    b.add("MASK_GRADIENT", f"{op.name}/mask", (g, mask), (name,), {"op": op.name})
    return name


def _masked(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """ADD, RELU, QUANTIZE: the same gradient to every input, summed for one that is broadcast."""
    whole = [(i, name) for i, name in _positions(op, wanted) if not _broadcast(b, op, name)]
    for position, name in _positions(op, wanted):
        if _broadcast(b, op, name):
            _summed(b, op, g, mask, position, 1)
    passed = _passing(b, op, g, mask) if whole else ""
    for position, name in whole:
        b.note(name, passed, f"{op.name}/input{position}")


def _difference(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    for position, name in reversed(list(_positions(op, wanted))):
        if _broadcast(b, op, name):
            _summed(b, op, g, mask, position, -1 if position else 1)
        elif position == 1:
            b.gradient("NEGATE_GRADIENT", f"{op.name}/input1", (g, mask), name, op=op.name)
        else:
            b.note(name, _passing(b, op, g, mask), f"{op.name}/input0")


def _broadcast(b: _Builder, op: Op, name: str) -> bool:
    return b.graph.tensors[name].size != b.graph.tensors[op.outputs[0]].size


def _summed(b: _Builder, op: Op, g: str, mask: str, position: int, sign: int) -> None:
    attrs = {"op": op.name, "position": position, "sign": sign}
    b.gradient("SUM_GRADIENT", f"{op.name}/input{position}", (g, mask), op.inputs[position], **attrs)


def _repeated(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    _summed(b, op, g, mask, 0, 1)


def _lookup(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    b.gradient("LOOKUP_INPUT_GRADIENT", f"{op.name}/input", (g, op.inputs[0]), wanted[0], op=op.name)


def _product(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    for position, name in _positions(op, wanted):
        other = op.inputs[1 - position]
        attrs = {"op": op.name, "position": position}
        b.gradient("MUL_INPUT_GRADIENT", f"{op.name}/input{position}", (g, mask, other), name, **attrs)


def _slices(b: _Builder, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    for position, name in _positions(op, wanted):
        attrs = {"op": op.name, "position": position}
        b.gradient("CONCATENATION_INPUT_GRADIENT", f"{op.name}/input{position}", (g,), name, **attrs)


def _positions(op: Op, wanted: list[str]) -> Iterator[tuple[int, str]]:
    """Every place where a wanted tensor goes in; the same one may go in twice."""
    return ((i, name) for i, name in enumerate(op.inputs) if name in wanted)


RULES: dict[str, Rule] = {
    "CONV_2D": _through_weights,
    "DEPTHWISE_CONV_2D": _through_weights,
    "FULLY_CONNECTED": _through_weights,
    "ADD": _masked,
    "SUB": _difference,
    "MUL": _product,
    "RELU": _masked,
    "RELU6": _masked,
    "RELU_N1_TO_1": _masked,
    "QUANTIZE": _masked,
    "LOGISTIC": _from_output,
    "TANH": _lookup,
    "HARD_SWISH": _lookup,
    "LEAKY_RELU": _lookup,
    "REPEAT_CHANNELS": _repeated,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "MEAN": _unary,
    "AVERAGE_POOL_2D": _unary,
    "MAX_POOL_2D": _from_input,
    "PAD": _pad,
    "PADV2": _pad,
    "CONCATENATION": _slices,
}
