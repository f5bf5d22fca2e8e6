"""`build`: the functional Keras model of an int8 graph, op by op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.gradients.head import logits_of
from tflm_export.ir import Graph, Op
from tfodl.int8 import device_gradients as board
from tfodl.int8 import elementwise, layers, pooling, views
from tfodl.int8.linear import Int8Conv2D, Int8Dense, Int8DepthwiseConv2D, Int8Linear
from tfodl.int8.wiring import Wiring, layer_of, quant_of


def build(
    graph: Graph, device: board.DeviceGradients | None = None, loss: str = "crossentropy"
) -> tuple[keras.Model, str]:
    """The functional Keras model of a forward graph, weights zero, and the name of its logits.

    device: rounds the gradients as the board does; None gives float gradients. loss: a plan's, which says
    where the logits are.
    Raises `TfodlError` for an op that gradients cannot pass.
    """
    logits = logits_of(graph, loss)
    wiring = Wiring(graph, logits, device)
    for op in graph.ops:
        if logits in wiring.values:
            break
        if op.kind not in BUILDERS:
            raise TfodlError(
                f"Int8Model: op {op.kind} {op.name} ({op.outputs[0]!r}) cannot be trained through; allowed: "
                f"{', '.join(sorted(BUILDERS))} and a closing SOFTMAX."
            )
        wiring.values[op.outputs[0]] = BUILDERS[op.kind](wiring, op)
    ends = [quant_of(graph, name) for name in (logits, graph.inputs[0])]
    (scale, zero), x = ((quant.scale[0], quant.zero_point[0]) for quant in ends)
    layer = layers.DequantizeOutput(scale, zero, loss, *x, name="logits")
    y = wiring.joined(layer, wiring.base(logits))(wiring.values[logits])
    return keras.Model(wiring.image, y, name="int8_graph"), logits


def _pads(op: Op) -> tuple[tuple[int, int], tuple[int, int]]:
    a = op.attrs
    return (a["pad_top"], a["pad_bottom"]), (a["pad_left"], a["pad_right"])


def _linear(b: Wiring, op: Op) -> Any:
    q, edge = b.read(op.inputs[0])
    layer, shape = _linear_layer(b, op)
    if isinstance(layer, Int8Dense):
        q = keras.layers.Reshape((layer.kernel_shape[0],), name=f"{layer_of(op)}_flat")(q)
    if b.device is not None:
        _, _, headroom = board.prepared_scale(np.asarray(layer.weight_scale), layer.products)
        b.device.shift(edge, board.first_shift(layer.products, headroom))
    acc = b.joined(layer, edge, b.base(op.outputs[0]))(q)
    return b.requantized(op, keras.layers.Reshape(shape, dtype="float64", name=f"{layer_of(op)}_shape")(acc))


def _linear_layer(b: Wiring, op: Op) -> tuple[Int8Linear, tuple[int, ...]]:
    """The layer of CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED and its output's shape."""
    x, weights = b.graph.tensors[op.inputs[0]], b.graph.tensors[op.inputs[1]]
    assert weights.quant is not None
    channels = weights.shape[-1 if op.kind == "DEPTHWISE_CONV_2D" else 0]
    options: dict[str, Any] = {
        "input_scale": quant_of(b.graph, x.name).scale[0],
        "input_zero": quant_of(b.graph, x.name).zero_point[0],
        "weight_scale": np.broadcast_to(weights.quant.scale, channels).tolist(),
        "op": op.index,
        "use_bias": bool(op.bias),
        "name": layer_of(op),
    }
    shape = b.graph.tensors[op.outputs[0]].shape[1:]
    if op.kind == "FULLY_CONNECTED":
        return Int8Dense((weights.shape[1], channels), **options), shape
    options |= {"strides": (op.attrs["stride_h"], op.attrs["stride_w"]), "pads": _pads(op)}
    if op.kind == "CONV_2D":
        return Int8Conv2D((*weights.shape[1:], channels), **options), shape
    kernel = (*weights.shape[1:3], x.shape[3], channels // x.shape[3])
    return Int8DepthwiseConv2D(kernel, **options), shape


def _sum(b: Wiring, op: Op) -> Any:
    rows = [
        (quant_of(b.graph, name).zero_point[0], op.attrs[f"input{i}_multiplier"], op.attrs[f"input{i}_shift"])
        for i, name in enumerate(op.inputs, 1)
    ]
    sign = 1 if op.kind == "ADD" else -1
    layer = elementwise.Int8Add(rows, op.attrs["left_shift"], sign, name=layer_of(op))
    return b.requantized(op, _of_all(b, op, layer, board.FIRST_SUM_SHIFT), prefix="output_")


def _product(b: Wiring, op: Op) -> Any:
    quants = [quant_of(b.graph, name) for name in op.inputs]
    scales, zeros = [q.scale[0] for q in quants], [q.zero_point[0] for q in quants]
    layer = elementwise.Int8Mul(scales, zeros, name=layer_of(op))
    return b.requantized(op, _of_all(b, op, layer, board.FIRST_PRODUCT_SHIFT))


def _extremum(b: Wiring, op: Op) -> Any:
    sign = 1 if op.kind == "MINIMUM" else -1
    return _of_all(b, op, elementwise.Int8Extremum(sign, name=layer_of(op)), 0)


def _concatenation(b: Wiring, op: Op) -> Any:
    return _of_all(b, op, views.Int8Concatenate(op.attrs["axis"], name=layer_of(op)), 0)


def _pack(b: Wiring, op: Op) -> Any:
    """A concatenation along an axis of its own."""
    axis, shape = op.attrs["axis"], b.graph.tensors[op.inputs[0]].shape
    one = (*shape[1:axis], 1, *shape[axis:])
    values, edges = zip(*[b.read(name) for name in reversed(op.inputs)][::-1], strict=True)
    rows = [keras.layers.Reshape(one, name=f"{layer_of(op)}_input{i}")(q) for i, q in enumerate(values)]
    layer = views.Int8Concatenate(axis, name=layer_of(op))
    return b.joined(layer, *edges, b.base(op.outputs[0]))(rows)


def _of_all(b: Wiring, op: Op, layer: Any, shift: int) -> Any:
    """`layer` of all that `op` reads. shift: where the shifts of its input gradients start."""
    values, edges = b.operands(op)
    if b.device is not None:
        for edge in filter(None, edges):
            b.device.shift(edge, shift)
    return b.joined(layer, *edges, b.base(op.outputs[0]))(values)


def _logistic(b: Wiring, op: Op) -> Any:
    if "slope" in op.attrs:
        return _lookup(b, op)
    layer = elementwise.Int8Logistic(op.attrs["table"], name=layer_of(op))
    return _of_one(b, op, layer, board.FIRST_LOGISTIC_SHIFT)


def _lookup(b: Wiring, op: Op) -> Any:
    layer = elementwise.Int8Lookup(op.attrs["table"], op.attrs["slope"], name=layer_of(op))
    return _of_one(b, op, layer, board.FIRST_LOOKUP_SHIFT)


def _prelu(b: Wiring, op: Op) -> Any:
    a, name = op.attrs, op.inputs[1]
    quant, steps = quant_of(b.graph, name), b.graph.constant(name)
    zeros = [quant_of(b.graph, tensor).zero_point[0] for tensor in (op.inputs[0], op.outputs[0])]
    layer = elementwise.Int8Prelu(
        quant.dequantize(steps),
        steps.astype(int) - quant.zero_point[0],
        [(a["multiplier"], a["shift"]), (a["alpha_multiplier"], a["alpha_shift"])],
        zeros,
        name=layer_of(op),
    )
    return _of_one(b, op, layer, board.FIRST_LOOKUP_SHIFT)


def _of_one(b: Wiring, op: Op, layer: Any, shift: int) -> Any:
    """`layer` of the one input. shift: where the shift of its gradient starts."""
    q, edge = b.read(op.inputs[0])
    if b.device is not None:
        b.device.shift(edge, shift)
    return b.joined(layer, edge, b.base(op.outputs[0]))(q)


def _mean(b: Wiring, op: Op) -> Any:
    q, edge = b.read(op.inputs[0])
    zero = quant_of(b.graph, op.inputs[0]).zero_point[0]
    layer = pooling.Int8Mean(op.attrs["axes"], op.attrs["keep_dims"], zero, name=layer_of(op))
    return b.requantized(op, b.joined(layer, edge, b.base(op.outputs[0]))(q), gates=False)


def _pool(b: Wiring, op: Op) -> Any:
    a = op.attrs
    mode = "max" if op.kind == "MAX_POOL_2D" else "average"
    sizes = (a["k_h"], a["k_w"]), (a["stride_h"], a["stride_w"])
    layer = pooling.Int8Pool(mode, *sizes, _pads(op), a["act_min"], a["act_max"], name=layer_of(op))
    return _of_one(b, op, layer, 0)


def _bilinear(b: Wiring, op: Op) -> Any:
    x, y = (b.graph.tensors[name].shape[1:3] for name in (op.inputs[0], op.outputs[0]))
    scales = op.attrs["scale_h"], op.attrs["scale_w"]
    layer = pooling.Int8Bilinear(x, y, scales, op.attrs["half_pixel"], name=layer_of(op))
    return _of_one(b, op, layer, board.FIRST_BILINEAR_SHIFT)


def _pad(b: Wiring, op: Op) -> Any:
    return views.Int8Pad(op.attrs["padding"], op.attrs["value"], name=layer_of(op))(b.through(op))


def _move(b: Wiring, op: Op) -> Any:
    shape = b.graph.tensors[op.outputs[0]].shape[1:]
    return _of_one(b, op, views.Int8Move(op.attrs["axes"], op.attrs["base"], shape, name=layer_of(op)), 0)


def _reshape(b: Wiring, op: Op) -> Any:
    shape = b.graph.tensors[op.outputs[0]].shape[1:]
    return keras.layers.Reshape(shape, name=layer_of(op))(b.through(op))


def _elementwise(b: Wiring, op: Op) -> Any:
    zero = quant_of(b.graph, op.inputs[0]).zero_point[0]
    return b.requantized(op, layers.Centre(zero, name=layer_of(op))(b.through(op)))


BUILDERS: dict[str, Callable[[Wiring, Op], Any]] = {
    "CONV_2D": _linear,
    "DEPTHWISE_CONV_2D": _linear,
    "FULLY_CONNECTED": _linear,
    "ADD": _sum,
    "SUB": _sum,
    "MUL": _product,
    "MINIMUM": _extremum,
    "MAXIMUM": _extremum,
    "LOGISTIC": _logistic,
    "TANH": _lookup,
    "ABS": _lookup,
    "ELU": _lookup,
    "HARD_SWISH": _lookup,
    "LEAKY_RELU": _lookup,
    "PRELU": _prelu,
    "CONCATENATION": _concatenation,
    "PACK": _pack,
    "MEAN": _mean,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "RESIZE_BILINEAR": _bilinear,
    "PAD": _pad,
    "PADV2": _pad,
    "BROADCAST_TO": _move,
    "DEPTH_TO_SPACE": _move,
    "RESIZE_NEAREST_NEIGHBOR": _move,
    "SLICE": _move,
    "SPACE_TO_DEPTH": _move,
    "SPLIT": _move,
    "SPLIT_V": _move,
    "STRIDED_SLICE": _move,
    "TILE": _move,
    "TRANSPOSE": _move,
    "UNPACK": _move,
    "RESHAPE": _reshape,
    "EXPAND_DIMS": _reshape,
    "SQUEEZE": _reshape,
    "QUANTIZE": _elementwise,
    "RELU": _elementwise,
    "RELU6": _elementwise,
    "RELU_N1_TO_1": _elementwise,
}
