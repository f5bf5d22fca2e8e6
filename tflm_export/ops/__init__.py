"""The operations of the compiler, one module an op or family; four lists, and nowhere else what an op is.

How to add one: docs/compiler.md.
"""

from __future__ import annotations

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op
from tflm_export.ops import (
    add,
    bilinear,
    binary_loss,
    concatenation,
    extremum,
    gather_channels,
    log_softmax,
    logistic,
    lookup,
    loss,
    lstm,
    mean,
    move,
    mul,
    pad,
    pool_2d,
    prelu,
    quantize,
    reconstruction_loss,
    reduce_max,
    relu,
    repeat_channels,
    reshape,
    shared,
    softmax,
    svdf,
    variables,
)
from tflm_export.ops.check import where
from tflm_export.ops.convolution import conv_2d, depthwise_conv_2d, fully_connected, gradient, update
from tflm_export.ops.kind import GradientKind, LossKind, OpKind, UpdateKind
from tflm_export.ops.result import Result, Values

OPS: dict[str, OpKind] = {
    "ABS": lookup.ABS,
    "ADD": add.ADD,
    "AVERAGE_POOL_2D": pool_2d.AVERAGE,
    "BROADCAST_TO": move.BROADCAST_TO,
    "CONCATENATION": concatenation.KIND,
    "CONV_2D": conv_2d.KIND,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d.KIND,
    "DEPTH_TO_SPACE": move.DEPTH_TO_SPACE,
    "ELU": lookup.ELU,
    "EXPAND_DIMS": reshape.KIND,
    "FULLY_CONNECTED": fully_connected.KIND,
    "HARD_SWISH": lookup.HARD_SWISH,
    "LEAKY_RELU": lookup.LEAKY_RELU,
    "LOGISTIC": logistic.KIND,
    "LOG_SOFTMAX": log_softmax.KIND,
    "MAXIMUM": extremum.KIND,
    "MAX_POOL_2D": pool_2d.MAX,
    "MEAN": mean.KIND,
    "MINIMUM": extremum.KIND,
    "MUL": mul.KIND,
    "PACK": concatenation.PACK,
    "PAD": pad.KIND,
    "PADV2": pad.KIND,
    "PRELU": prelu.KIND,
    "QUANTIZE": quantize.KIND,
    "REDUCE_MAX": reduce_max.KIND,
    "RELU": relu.KIND,
    "RELU6": relu.KIND,
    "RELU_N1_TO_1": relu.KIND,
    "RESHAPE": reshape.KIND,
    "RESIZE_BILINEAR": bilinear.KIND,
    "RESIZE_NEAREST_NEIGHBOR": move.RESIZE_NEAREST_NEIGHBOR,
    "SLICE": move.SLICE,
    "SOFTMAX": softmax.KIND,
    "SPACE_TO_DEPTH": move.SPACE_TO_DEPTH,
    "SPLIT": move.SPLIT,
    "SPLIT_V": move.SPLIT_V,
    "SQUEEZE": reshape.KIND,
    "STRIDED_SLICE": move.STRIDED_SLICE,
    "SUB": add.SUB,
    "SVDF": svdf.KIND,
    "TANH": lookup.TANH,
    "TILE": move.TILE,
    "TRANSPOSE": move.TRANSPOSE,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm.KIND,
    "UNPACK": move.UNPACK,
}
INTERNAL: dict[str, OpKind] = {  # what passes write
    "ASSIGN_VARIABLE": variables.ASSIGN,
    "COPY": variables.COPY,
    "GATHER_CHANNELS": gather_channels.KIND,
    "LSTM_OUTPUT": lstm.OUTPUT,
    "LSTM_STATE": lstm.STATE,
    "READ_VARIABLE": variables.READ,
    "REPEAT_CHANNELS": repeat_channels.KIND,
    "SVDF_OUTPUT": svdf.OUTPUT,
}
GRADIENTS: dict[str, GradientKind] = {
    "ADD_GRADIENTS": shared.ADD_GRADIENTS,
    "AVERAGE_POOL_2D_INPUT_GRADIENT": pool_2d.AVERAGE_GRADIENT,
    "BILINEAR_INPUT_GRADIENT": bilinear.GRADIENT,
    "CONCATENATION_INPUT_GRADIENT": concatenation.GRADIENT,
    "CONV_2D_INPUT_GRADIENT": gradient.KIND,
    "DEPTHWISE_CONV_2D_INPUT_GRADIENT": gradient.KIND,
    "EXTREMUM_INPUT_GRADIENT": extremum.GRADIENT,
    "FULLY_CONNECTED_INPUT_GRADIENT": gradient.KIND,
    "LOGISTIC_INPUT_GRADIENT": logistic.GRADIENT,
    "LOOKUP_INPUT_GRADIENT": lookup.GRADIENT,
    "MASK_GRADIENT": shared.MASK_GRADIENT,
    "MAX_POOL_2D_INPUT_GRADIENT": pool_2d.MAX_GRADIENT,
    "MEAN_INPUT_GRADIENT": mean.GRADIENT,
    "MOVE_INPUT_GRADIENT": move.GRADIENT,
    "MUL_INPUT_GRADIENT": mul.GRADIENT,
    "NEGATE_GRADIENT": shared.NEGATE_GRADIENT,
    "PAD_INPUT_GRADIENT": pad.GRADIENT,
    "PRELU_INPUT_GRADIENT": prelu.GRADIENT,
    "RESHAPE_INPUT_GRADIENT": reshape.GRADIENT,
    "SUM_GRADIENT": shared.SUM_GRADIENT,
}
UPDATES: dict[str, UpdateKind] = {
    "BIAS_UPDATE": update.BIAS,
    "CONV_2D_COLUMNS_UPDATE": update.WEIGHTS,
    "CONV_2D_WEIGHTS_UPDATE": update.WEIGHTS,
    "DEPTHWISE_CONV_2D_WEIGHTS_UPDATE": update.WEIGHTS,
    "FULLY_CONNECTED_COLUMNS_UPDATE": update.WEIGHTS,
    "FULLY_CONNECTED_WEIGHTS_UPDATE": update.WEIGHTS,
}
LOSSES: dict[str, LossKind] = {
    "SOFTMAX_CROSSENTROPY": loss.CROSSENTROPY,
    "MEAN_SQUARED_ERROR": loss.MSE,
    "BINARY_CROSSENTROPY": binary_loss.BINARY_CROSSENTROPY,
    "RECONSTRUCTION_ERROR": reconstruction_loss.RECONSTRUCTION,
}
STATEFUL = (
    *("UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN"),
    *("LSTM", "RNN"),
)
WEIGHTED = tuple(kind for kind, row in OPS.items() if row.axes)  # ops whose weights can train


def op_kind(op: Op) -> OpKind:
    """The row of a forward op. Raises `ExportError` for an op that the compiler does not know."""
    row = OPS.get(op.kind) or INTERNAL.get(op.kind)
    if row is None:
        raise ExportError(unsupported(op))
    return row


def unsupported(op: Op) -> str:
    """What to say of an op that the compiler does not know."""
    why = ": it keeps a state from one inference to the next" if op.kind in STATEFUL else ""
    return (
        f"{where(op)}: not supported{why}. Replace the layer, or cut the model before it and run that part "
        f"outside; allowed: {', '.join(OPS)}."
    )


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """Compute one op. `values` int8 by tensor name; constants of the graph are used where it has none."""
    return op_kind(op).forward(op, graph, values)
