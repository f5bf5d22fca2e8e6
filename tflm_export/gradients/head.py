"""The end of a model: the logits that a loss reads, and the classifier that writes them."""

from __future__ import annotations

import math

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op, Tensor
from tflm_export.ops.reconstruction_loss import Scales
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import Loss

ENDS = ("SOFTMAX", "LOG_SOFTMAX", "LOGISTIC")
READS_BEFORE = {"crossentropy": ENDS, "bce": ("LOGISTIC",)}  # a loss: what it does itself
COPIES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
BEHIND = (*COPIES, *ENDS, "QUANTIZE", "MEAN", "AVERAGE_POOL_2D")  # a classifier
CLASSIFIERS = ("FULLY_CONNECTED", "CONV_2D")


def logits_of(graph: Graph, loss: str = "crossentropy") -> str:
    """The int8 tensor that the loss reads: the output, before a DEQUANTIZE.

    For cross-entropy, before a SOFTMAX or LOG_SOFTMAX, or a LOGISTIC of several values, for binary
    cross-entropy before a LOGISTIC, and before reshapes behind these.
    """
    name = _before(graph, graph.outputs[0], ("DEQUANTIZE",))
    op = graph.producer(_before(graph, name, COPIES))
    if op is None or op.kind not in READS_BEFORE.get(loss, ()):
        return name
    one_sigmoid = op.kind == "LOGISTIC" and graph.tensors[name].size < 2
    return name if loss == "crossentropy" and one_sigmoid else op.inputs[0]


def usual_loss(graph: Graph) -> Loss:
    """The loss that a model's end speaks for, where nobody says one.

    A softmax: cross-entropy. An output of the input's shape: reconstruction error. Sigmoids: binary
    cross-entropy. One value: mean squared error. Anything else: cross-entropy.
    """
    output = graph.tensors[_before(graph, graph.outputs[0], ("DEQUANTIZE",))]
    op = graph.producer(_before(graph, output.name, COPIES))
    kind = "" if op is None else op.kind
    if kind in ("SOFTMAX", "LOG_SOFTMAX"):
        return "crossentropy"
    if output.shape == graph.tensors[graph.inputs[0]].shape and output.size > 1:
        return "reconstruction"
    if kind == "LOGISTIC":
        return "bce"
    return "mse" if output.size == 1 else "crossentropy"


def _before(graph: Graph, name: str, kinds: tuple[str, ...]) -> str:
    """What ops of these kinds make the tensor of."""
    op = graph.producer(name)
    while op is not None and op.kind in kinds:
        name = op.inputs[0]
        op = graph.producer(name)
    return name


def softmax_beta(graph: Graph, logits: str) -> float:
    """What the SOFTMAX behind the logits multiplies them by; 1 where there is none."""
    return next((float(op.attrs["beta"]) for op in graph.consumers(logits) if op.kind == "SOFTMAX"), 1.0)


def check_logits(graph: Graph, loss: str) -> None:
    """Raise `ExportError` unless the loss can read the model's logits."""
    output, logits = graph.tensors[graph.outputs[0]], graph.tensors[logits_of(graph, loss)]
    op = graph.producer(_before(graph, logits.name, COPIES))
    if loss == "reconstruction":
        _check_reconstruction(graph, logits)
    if loss == "bce" and op is not None and op.kind in ENDS:
        raise ExportError(
            f"loss: the model ends in {op.kind}, binary cross-entropy reads logits or sigmoids; train with "
            "crossentropy."
        )
    if loss != "crossentropy":
        return
    if math.prod(logits.shape) != logits.shape[-1]:
        raise ExportError(
            f"loss: the output {output.name!r} has shape {list(output.shape)}; cross-entropy takes one row "
            "of logits, [1, classes]. Pool the map first, or train with mean squared error."
        )
    if logits.size < 2:
        raise ExportError(
            f"loss: the logits {logits.name!r} hold {logits.size} value; cross-entropy needs 2 or more. Set "
            "the plan's loss to 'bce' (one of two classes) or 'mse' (a number)."
        )


def _check_reconstruction(graph: Graph, output: Tensor) -> None:
    x = graph.tensors[graph.inputs[0]]
    if x.size != output.size:
        raise ExportError(
            f"loss: reconstruction compares the output with the input, but {output.name!r} holds "
            f"{output.size} values and {x.name!r} {x.size}; set the plan's loss to 'mse' and give targets."
        )
    try:
        Scales(tensor_quant(graph, output.name), tensor_quant(graph, x.name))
    except ValueError as error:
        raise ExportError(f"loss: reconstruction: {error} Scale the model's input as its output.") from error


def head_of(graph: Graph, logits: str) -> Op:
    """The classifier: the last op with weights on the way to the logits.

    It sees no map, or is a 1x1 convolution whose map is pooled to the logits.
    """
    op = graph.producer(_before(graph, logits, BEHIND))
    if op is None or op.kind not in CLASSIFIERS or not _one_row(graph, op, logits):
        raise ExportError(
            f"update plan: head is true, but the logits {logits!r} do not come from a dense layer "
            f"(got {'the input' if op is None else op.kind}); set head to false and name what trains."
        )
    return op


def _one_row(graph: Graph, op: Op, logits: str) -> bool:
    """Whether a classifier gives one row of values, itself or by the pool behind it."""
    output = graph.tensors[op.outputs[0]]
    kernel = (op.attrs.get("k_h", 1), op.attrs.get("k_w", 1))
    pooled = kernel == (1, 1) and graph.tensors[logits].size == output.shape[-1]
    return output.size == output.shape[-1] or pooled
