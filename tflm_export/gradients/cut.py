"""The cut: the one tensor where the part of a net that is frozen for good ends.

What crosses it, the latent, never goes stale: a sample is stored there and replayed through the upper part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tflm_export.errors import ExportError
from tflm_export.gradients.trained import find_op
from tflm_export.ir import Graph, Op
from tflm_export.macs import count_macs
from tflm_export.plan import UpdatePlan

ALLOWANCE = 0.1  # of the forward pass: what a replay may cost more, to store a narrower latent


@dataclass(frozen=True)
class Cut:
    """Ops `graph.ops[:position]` are below; `tensor` int8 is all that the others read of them.

    nbytes: of a latent. macs: of the forward pass above the cut.
    """

    position: int
    tensor: str
    nbytes: int
    macs: int


def find_cut(graph: Graph, plan: UpdatePlan) -> Cut:
    """The cut of a training graph: the narrowest place below everything that may learn, not too far below.

    Of the places where a single int8 tensor crosses, the highest is the cheapest to replay from; a narrower
    one further down is taken when a replay then costs at most a tenth of the forward pass more.
    Raises `ExportError` when a candidate is no layer of the model, or nothing learns.
    """
    if graph.loss is None:
        raise ExportError("update plan: nothing learns, so there is no cut; name layers or set head to true.")
    found = list(_crossings(graph, _shallowest(graph, plan)))
    allowed = found[-1].macs + ALLOWANCE * count_macs(graph)["forward"]
    return min((c for c in found if c.macs <= allowed), key=lambda c: (c.nbytes, -c.position))


def latent_reader(graph: Graph, cut: Cut) -> Op:
    """The first layer that reads the latent."""
    return next(op for op in graph.layers.values() if op.role == "forward" and cut.tensor in op.inputs)


def _shallowest(graph: Graph, plan: UpdatePlan) -> int:
    """Position of the first op that may learn, or keeps something for one that does."""
    forward = graph.replace(ops=tuple(op for op in graph.layers.values() if op.role == "forward"))
    learning = {op.of for op in graph.layers.values() if op.role == "update"}
    learning |= {find_op(forward, name).name for name in plan.candidates}
    return next(
        i
        for i, op in enumerate(graph.ops)
        if op.role != "forward" or len(op.outputs) > 1 or learning & {m.name for m in op.members}
    )


def _crossings(graph: Graph, last: int) -> Iterator[Cut]:
    """The places up to position `last` that one int8 tensor crosses; the input of the net is always one."""
    written = set(graph.inputs)
    for position in range(last + 1):
        above = graph.ops[position:]
        live = {name for op in above for name in op.inputs} & written
        tensor = next(iter(live))
        if len(live) == 1 and graph.tensors[tensor].dtype == "int8":
            macs = count_macs(graph.replace(ops=above))["forward"]
            yield Cut(position, tensor, graph.tensors[tensor].nbytes, macs)
        written |= set(graph.ops[position].outputs)
