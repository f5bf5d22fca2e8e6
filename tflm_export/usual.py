"""`usual_plan`: what an engine learns where no plan says: its head, by the loss of its task, or that its end
speaks for.

>>> from tflm_export.front.read_tflite import read_tflite
>>> usual_plan(read_tflite(tflite)).plan.loss
'crossentropy'
"""

from __future__ import annotations

from dataclasses import dataclass

from tflm_export.errors import ExportError
from tflm_export.front.simplify import simplify
from tflm_export.gradients.head import usual_loss
from tflm_export.gradients.training_graph import training_graph
from tflm_export.ir import Graph
from tflm_export.plan import Loss, UpdatePlan


@dataclass(frozen=True)
class UsualPlan:
    """A plan, and why it trains nothing where it does not."""

    plan: UpdatePlan
    unlearned: str = ""


def usual_plan(graph: Graph, loss: Loss | None = None) -> UsualPlan:
    """The plan of a model as `read_tflite` gives it: the head trains, or nothing where no head can.

    loss: of the model's task; None: what its end speaks for.
    """
    plan = UpdatePlan(head=True, loss=loss or usual_loss(graph))
    simple = simplify(graph)
    try:
        training_graph(simple, plan)
    except ExportError as error:
        return UsualPlan(UpdatePlan(head=False), str(error))
    return UsualPlan(plan)
