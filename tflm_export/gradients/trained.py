"""From an update plan's layer names to ops of the model: which rows, columns and biases train.

>>> Trained(Op("CONV_2D", "#3", ("x", "w", "b"), ("y",)), "out", (0, 2), ()).weight
'w'
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.gradients.head import head_of
from tflm_export.ir import Graph, Op
from tflm_export.ops import OPS, WEIGHTED
from tflm_export.ops.convolution.update import state_bytes
from tflm_export.plan import LayerUpdate, UpdatePlan
from tflm_export.pool import Pool

WEIGHT_LIMIT, BIAS_LIMIT = 127, 2**30  # of what an update writes


@dataclass(frozen=True)
class Trained:
    """What trains of one op.

    axis: "out": weight rows (depthwise: channels); "in": weight columns.
    channels: sorted indices along `axis`; () when no weight trains. biases: output channels.
    pooled: of these channels the device chooses some. room: how many of them may learn at once, where only
    what they read is kept for the backward pass; 0: all of the input is kept.
    """

    op: Op
    axis: Literal["out", "in"]
    channels: tuple[int, ...]
    biases: tuple[int, ...]
    pooled: bool = False
    room: int = 0

    @property
    def along(self) -> int:
        """Axis of the weight tensor that `channels` index: 0 for rows, -1 for columns, depthwise channels."""
        return 0 if OPS[self.op.kind].axes[self.axis] == 0 else -1

    @property
    def weight(self) -> str:
        """Name of the weight tensor."""
        return self.op.inputs[1]

    @property
    def bias(self) -> str:
        """Name of the bias tensor, "" when the op has none."""
        return self.op.bias


def resolve(graph: Graph, plan: UpdatePlan, logits: str) -> tuple[Trained, ...]:
    """The trained ops in execution order.

    Raises `ExportError` naming the layer when the plan does not fit the model, or trains nothing.
    """
    found: dict[str, Trained] = {}
    for name, trained in _entries(graph, plan):
        if trained.op.name in found:
            raise ExportError(f"update plan: {name!r} names an op that has an entry already; merge them.")
        found[trained.op.name] = trained
    if plan.head:
        head = _head(graph, logits)
        if plan.pool is not None and head.op.name in found:
            raise ExportError(
                f"update plan: {head.op.name} is the head, which learns whole; take it off the candidates, "
                "or set head to false."
            )
        found[head.op.name] = head
    result = tuple(found[op.name] for op in graph.ops if op.name in found and _trains(found[op.name]))
    if not result:
        raise ExportError(
            "update plan: nothing trains in the layers that it names; name channels or biases, or set head to"
            " true. (An engine that only infers is made from a plan without layers.)"
        )
    for trained in result:
        _check_own_parameters(graph, trained)
    return result


def _entries(graph: Graph, plan: UpdatePlan) -> list[tuple[str, Trained]]:
    """What the plan's layers train, by their names there; under a pool, all that its candidates may train."""
    if plan.pool is None:
        return [(layer.name, _resolve_layer(graph, layer)) for layer in plan.layers]
    return [(name, _candidate(graph, plan, plan.pool, name)) for name in plan.candidates]


def _candidate(graph: Graph, plan: UpdatePlan, pool: Pool, name: str) -> Trained:
    """Every channel of a candidate, along the pool's axis."""
    op = find_op(graph, name)
    axes = OPS[op.kind].axes if op.kind in WEIGHTED else {}
    axis = pool.axis if axes and axes["out"] != axes["in"] else "out"
    channels: tuple[int, ...] = ()
    if axes:
        channels = tuple(range(graph.tensors[op.inputs[1]].shape[axes[axis]]))
    entry = LayerUpdate(name, axis, channels, "selected" if op.bias and axis == "out" else "none")
    found = _resolve_layer(graph, entry)
    if axis == "out":
        return replace(found, pooled=True)
    column = graph.tensors[found.weight].size // len(channels) * (1 + state_bytes(plan.optimizer, False))
    return replace(found, pooled=True, room=min(len(channels), max(1, pool.bytes // column)))


def _check_own_parameters(graph: Graph, trained: Trained) -> None:
    for name in filter(None, trained.op.inputs[1:3]):
        if graph.tensors[name].data is None:
            raise ExportError(
                f"update plan: {trained.op.kind} {trained.op.name}: {name!r} is not a constant."
            )
        users = [op.name for op in graph.consumers(name)]
        if len(users) > 1:
            raise ExportError(f"update plan: {name!r} is shared by the ops {users}; leave them frozen.")
    _check_range(graph, trained)


def _check_range(graph: Graph, trained: Trained) -> None:
    """What trains must start inside the range that a step clamps to: else a gradient of 0 would change it."""
    weights, bias = (graph.tensors[n].data if n else None for n in (trained.weight, trained.bias))
    op = f"{trained.op.kind} {trained.op.name}"
    chosen = np.zeros(1) if weights is None else np.take(weights, trained.channels, trained.along)
    if chosen.min(initial=0) < -WEIGHT_LIMIT:
        raise ExportError(
            f"update plan: {op}: the weights {trained.weight!r} hold -128; allowed where they train: "
            "-127 to 127, as TensorFlow's converter writes. Leave these channels frozen."
        )
    biases = np.zeros(1) if bias is None else bias.reshape(-1)[list(trained.biases)].astype(np.int64)
    if np.abs(biases).max(initial=0) > BIAS_LIMIT:
        raise ExportError(
            f"update plan: {op}: a bias of {trained.bias!r} exceeds 2^30 steps; leave its bias frozen."
        )


def _trains(trained: Trained) -> bool:
    return bool(trained.channels or trained.biases)


def _head(graph: Graph, logits: str) -> Trained:
    """The classifier, whole."""
    op = head_of(graph, logits)
    channels = tuple(range(graph.tensors[op.inputs[1]].shape[0]))
    trained = Trained(op, "out", channels, ())
    return Trained(op, "out", channels, channels if trained.bias else ())


def _resolve_layer(graph: Graph, layer: LayerUpdate) -> Trained:
    op = find_op(graph, layer.name)
    if op.kind not in WEIGHTED:
        raise ExportError(
            f"update plan: {op.kind} {layer.name!r} has no weights to train; allowed: {', '.join(WEIGHTED)}."
        )
    shape = graph.tensors[op.inputs[1]].shape
    axes = OPS[op.kind].axes
    size = shape[axes[layer.axis]]
    if layer.channels and layer.channels[-1] >= size:
        raise ExportError(
            f"update plan: {op.kind} {layer.name!r}: channel {layer.channels[-1]} does not exist; "
            f"axis {layer.axis!r} has channels 0..{size - 1}."
        )
    axis: Literal["out", "in"] = "out" if axes["out"] == axes["in"] else layer.axis
    outputs = tuple(range(shape[axes["out"]]))
    biases = {"none": (), "selected": layer.channels, "all": outputs}[layer.bias]
    if layer.channels and "dilated" in op.attrs:
        raise ExportError(
            f"update plan: {op.kind} {layer.name!r}: weights of a dilated convolution cannot train; "
            "train its bias alone, or replace the layer by one without dilation."
        )
    trained = Trained(op, axis, layer.channels, biases)
    if biases and not trained.bias:
        raise ExportError(f"update plan: {op.kind} {layer.name!r} has no bias; set its bias to 'none'.")
    return trained


def find_op(graph: Graph, name: str) -> Op:
    """The op whose output, weight tensor or `#index` is `name`."""
    found = [op for op in graph.ops if name == op.name or name in op.outputs]
    if not found:
        found = [op for op in graph.ops if name in op.inputs[1:2] and graph.tensors[name].data is not None]
    if len(found) > 1:
        names = ", ".join(op.name for op in found)
        raise ExportError(
            f"update plan: the weights {name!r} are shared by the ops {names}; name one of them."
        )
    if not found:
        raise ExportError(
            f"update plan: no op {name!r} in this model; give an op's output tensor, weight tensor or "
            f"'#index'. Ops with weights: {_names(graph)}."
        )
    return found[0]


def _names(graph: Graph) -> str:
    names = [f"{op.name} ({op.outputs[0]})" for op in graph.ops if op.kind in WEIGHTED]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
