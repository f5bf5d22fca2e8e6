"""The end of a model: the logits that a loss reads, and the classifier that writes them."""

from __future__ import annotations

import math

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op

SKIPPED = {"crossentropy": ("DEQUANTIZE", "SOFTMAX"), "mse": ("DEQUANTIZE",)}
COPIES = ("RESHAPE", "QUANTIZE")  # between the classifier and the logits
CLASSIFIERS = ("FULLY_CONNECTED", "CONV_2D")


def logits_of(graph: Graph, loss: str = "crossentropy") -> str:
    """The int8 tensor that the loss reads: the output, before a DEQUANTIZE and (cross-entropy) a SOFTMAX."""
    name = graph.outputs[0]
    op = graph.producer(name)
    while op is not None and op.kind in SKIPPED[loss]:
        name = op.inputs[0]
        op = graph.producer(name)
    return name


def check_logits(graph: Graph, loss: str) -> None:
    """Raise `ExportError` unless the loss can read the model's logits."""
    if loss != "crossentropy":
        return
    output, logits = graph.tensors[graph.outputs[0]], graph.tensors[logits_of(graph, loss)]
    if math.prod(output.shape) != output.shape[-1]:
        raise ExportError(
            f"loss: the output {output.name!r} has shape {list(output.shape)}; cross-entropy takes one row "
            "of logits, [1, classes]. Pool the map first, or train with mean squared error."
        )
    if logits.size < 2:
        raise ExportError(
            f"loss: the logits {logits.name!r} hold {logits.size} value; cross-entropy needs 2 or more."
        )


def head_of(graph: Graph, logits: str) -> Op:
    """The classifier: the last op with weights on the way to the logits, if it sees no map."""
    op = graph.producer(logits)
    while op is not None and op.kind in COPIES:
        op = graph.producer(op.inputs[0])
    output = None if op is None else graph.tensors[op.outputs[0]]
    if op is None or output is None or op.kind not in CLASSIFIERS or output.size != output.shape[-1]:
        raise ExportError(
            f"update plan: head is true, but the logits {logits!r} do not come from a dense layer "
            f"(got {'the input' if op is None else op.kind}); set head to false and name what trains."
        )
    return op
