"""(forward Graph, UpdatePlan) -> training Graph: loss, gradients, updates, and nothing that no update needs.

The backward pass walks back to the shallowest trained tensor and no further. An op's input gradient comes
before the update of its weights, so it sees the weights of the step's start; the update comes at once after.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tflm_export.errors import ExportError
from tflm_export.gradients.head import check_logits, logits_of, softmax_beta
from tflm_export.gradients.trained import Trained, resolve
from tflm_export.ir import Graph, Op, Role, Tensor
from tflm_export.ops import LOSSES, OPS, op_kind
from tflm_export.plan import UpdatePlan

LOSS_KINDS = {
    "crossentropy": "SOFTMAX_CROSSENTROPY",
    "bce": "BINARY_CROSSENTROPY",
    "mse": "MEAN_SQUARED_ERROR",
    "reconstruction": "RECONSTRUCTION_ERROR",
}
GRADIENT_TYPES = ("int16", "float32")


def training_graph(graph: Graph, plan: UpdatePlan, gradients: str = "int16") -> Graph:
    """The graph of one training step at batch 1. Its ops of role "forward" are the model.

    gradients: dtype of gradient tensors, one of `GRADIENT_TYPES`. In float32 a clip mask is an op of its own.
    Under a pool every channel of the candidates may train: their updates have the attribute `pooled`, and
    `room`, how many input channels may at once, where it chooses among those.
    A plan without a head and without layers trains nothing: then the graph is the model's, for inference.
    Raises `ExportError` when the plan does not fit the model or a gradient must pass an op that has none.
    """
    if gradients not in GRADIENT_TYPES:
        allowed = " or ".join(map(repr, GRADIENT_TYPES))
        raise ExportError(f"gradients {gradients!r} are not supported; allowed: {allowed}.")
    if plan.pool is not None and gradients != "int16":
        raise ExportError(f"update plan: a pool takes int16 gradients, got {gradients!r}.")
    trained = {t.op.name: t for t in trained_ops(graph, plan)}
    if not trained:
        return graph
    builder = Builder(graph, trained, logits_of(graph, plan.loss), gradients)
    return builder.build(LOSS_KINDS[plan.loss]).check()


def trained_ops(graph: Graph, plan: UpdatePlan) -> tuple[Trained, ...]:
    """What trains, in execution order; () for a plan of an engine that only infers.

    Raises `ExportError` when the plan does not fit the model.
    """
    if not (plan.head or plan.layers or plan.pool):
        return ()
    _check_edges(graph)
    _check_states(graph, plan)
    check_logits(graph, plan.loss)
    return resolve(graph, plan, logits_of(graph, plan.loss))


def _check_edges(graph: Graph) -> None:
    for end, names in (("input", graph.inputs), ("output", graph.outputs)):
        if len(names) != 1:
            raise ExportError(
                f"model: an engine that learns needs one {end}, got {len(names)}: {list(names)}; to infer "
                "only, set the plan's head to false and name no layers."
            )


def _check_states(graph: Graph, plan: UpdatePlan) -> None:
    if graph.states and (plan.memory is not None or plan.pool is not None):
        raise ExportError(
            f"model: it keeps {len(graph.states)} states from one inference to the next, and samples that "
            "are learned again would come between them; take the memory and the pool out of the plan."
        )


@dataclass
class Builder:
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
        self._loss(loss)
        for op in reversed(relevant):
            self._backward(op, carrying)
        return self.graph.replace(tensors=self.tensors, ops=tuple(self.ops))

    def _loss(self, kind: str) -> None:
        """The loss, whose gradient flows into the logits."""
        gradient = Tensor("loss/grad", self.graph.tensors[self.logits].shape, self.dtype)
        self.tensors[gradient.name] = gradient
        attrs = {"beta": softmax_beta(self.graph, self.logits)} if kind == LOSS_KINDS["crossentropy"] else {}
        compared = self.graph.inputs if LOSSES[kind].target == "input" else ()
        inputs = (self.logits, *compared)
        self.ops.append(Op(kind, "loss", inputs, (gradient.name,), attrs, role="gradient"))
        self.pending[self.logits] = gradient.name

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
        if masked and op_kind(op).masked and op.outputs[0] != self.logits:
            mask = Tensor(f"{op.name}/mask", self.graph.tensors[op.outputs[0]].shape, "bit")
            self.tensors[mask.name] = mask
            op = replace(op, outputs=(op.outputs[0], mask.name))
        self.ops.append(op)

    def _keeps_part(self, trained: Trained) -> bool:
        if trained.room:
            return True
        channels = self.graph.tensors[trained.weight].shape[-1]
        return trained.along != 0 and 0 < len(trained.channels) < channels

    def _keep_channels(self, trained: Trained) -> None:
        x, channels = self.graph.tensors[trained.op.inputs[0]], self.graph.tensors[trained.weight].shape[-1]
        shape = (x.size // channels, trained.room or len(trained.channels))
        kept = Tensor(f"{trained.op.name}/kept", shape, x.dtype, x.quant)
        self.tensors[kept.name] = kept
        pooled = {"pooled": True} if trained.pooled else {}
        attrs = {"channels": trained.channels, "depth": channels, **pooled}
        self.add("GATHER_CHANNELS", trained.op, "keep", (x.name,), (kept.name,), attrs)

    def add(
        self,
        kind: str,
        op: Op,
        part: str,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        attrs: dict[str, Any],
        role: Role = "gradient",
    ) -> None:
        """Add an op `#3/part` that belongs to forward op `op`."""
        name = f"{op.name}/{part}"
        self.ops.append(Op(kind, name, inputs, outputs, attrs, role, op.name, op.index, op.variant))

    def gradient(
        self, kind: str, op: Op, inputs: tuple[str, ...], of: str, position: int | None = None, **attrs: Any
    ) -> str:
        """Add an op `kind` that computes the gradient of tensor `of`, an input of forward op `op`.

        position: which input it is, where several may be wanted. Returns the gradient's tensor.
        """
        part = _input_part(position)
        output = f"{op.name}/{part}/" + ("grad_part" if of in self.pending else "grad")
        self.tensors[output] = Tensor(output, self.graph.tensors[of].shape, self.dtype)
        self.add(kind, op, part, inputs, (output,), _placed(position) | attrs)
        return self.note(op, of, output, position)

    def note(self, op: Op, of: str, gradient: str, position: int | None = None) -> str:
        """Gradient `gradient` flows into tensor `of`, beside what flowed there before."""
        earlier = self.pending.get(of)
        if earlier is not None:
            part = _input_part(position)
            total = f"{op.name}/{part}/grad_sum"
            self.tensors[total] = Tensor(total, self.graph.tensors[of].shape, self.dtype)
            self.add("ADD_GRADIENTS", op, f"{part}/sum", (earlier, gradient), (total,), _placed(position))
            gradient = total
        self.pending[of] = gradient
        return gradient

    def passing(self, op: Op, gradient: str, mask: str) -> str:
        """The gradient under the clip mask of `op`, one tensor for all readers."""
        if not mask:
            return gradient
        name = f"{op.name}/passed"
        self.tensors[name] = replace(self.tensors[gradient], name=name)
        self.add("MASK_GRADIENT", op, "mask", (gradient, mask), (name,), {})
        return name

    def _backward(self, op: Op, carrying: set[str]) -> None:
        gradient = self.pending.pop(op.outputs[0])
        mask = f"{op.name}/mask"
        mask = mask if mask in self.tensors else ""
        if self.dtype == "float32":
            gradient, mask = self.passing(op, gradient, mask), ""
        wanted = [x for x in op.inputs if x in carrying]
        if wanted:
            rule = op_kind(op).rule
            if rule is None:
                allowed = ", ".join(sorted(kind for kind, row in OPS.items() if row.rule))
                raise ExportError(
                    f"{op.kind} {op.name!r} ({op.outputs[0]}): no gradient can pass this op; "
                    f"leave the layers before it frozen. Allowed: {allowed}."
                )
            rule(self, op, gradient, mask, wanted)
        if op.name in self.trained:
            self._update(self.trained[op.name], gradient, mask)

    def _update(self, trained: Trained, gradient: str, mask: str) -> None:
        op = trained.op
        pooled = {"pooled": True} if trained.pooled else {}
        room = {"room": trained.room} if trained.room else {}
        if trained.channels:
            x = f"{op.name}/kept" if self._keeps_part(trained) else op.inputs[0]
            attrs = {
                "channels": trained.channels,
                "along": trained.along,
                "resident": op_kind(op).resident,
                "tensor": 2 * op.index,
                **pooled,
                **room,
            }
            kind = f"{op.kind}_{'COLUMNS' if trained.axis == 'in' else 'WEIGHTS'}_UPDATE"
            self.add(kind, op, "weights", (gradient, mask, x, trained.weight), (), attrs, "update")
        if trained.biases:
            attrs = {
                "channels": trained.biases, "along": 0, "resident": True, "tensor": 2 * op.index + 1,
                **pooled,
            }  # fmt: skip
            self.add("BIAS_UPDATE", op, "bias", (gradient, mask, trained.bias), (), attrs, "update")


def _input_part(position: int | None) -> str:
    return "input" if position is None else f"input{position}"


def _placed(position: int | None) -> dict[str, Any]:
    return {} if position is None else {"position": position}
