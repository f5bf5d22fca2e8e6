"""`build`: the functional Keras model of an int8 graph, op by op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tflm_export.ir import Graph, Op, QParams
from tfodl.errors import TfodlError
from tfodl.int8 import layers as layers
from tfodl.int8.device_gradients import DeviceGradients, first_shift, prepared_scale, refuse
from tfodl.int8.linear import Int8Conv2D, Int8Dense, Int8DepthwiseConv2D, Int8Linear


def build(graph: Graph, device: DeviceGradients | None = None) -> tuple[keras.Model, str]:
    """The functional Keras model of a forward graph, weights zero, and the name of its logits.

    device: rounds the gradients as the board does; None gives float gradients.
    Raises `TfodlError` for an op that gradients cannot pass.
    """
    logits = logits_of(graph)
    builder = _Builder(graph, logits, device)
    for op in graph.ops:
        if logits in builder.values:
            break
        if op.kind not in BUILDERS:
            raise TfodlError(
                f"Int8Model: op {op.kind} {op.name} ({op.outputs[0]!r}) cannot be trained through; allowed: "
                f"{', '.join(sorted(BUILDERS))} and a closing SOFTMAX."
            )
        builder.values[op.outputs[0]] = BUILDERS[op.kind](builder, op)
    quant = quant_of(graph, logits)
    layer = layers.DequantizeOutput(quant.scale[0], quant.zero_point[0], name="logits")
    y = builder.joined(layer, builder.base(logits))(builder.values[logits])
    return keras.Model(builder.image, y, name="int8_graph"), logits


def logits_of(graph: Graph) -> str:
    """The tensor that the loss reads: the output, before a closing SOFTMAX."""
    last = graph.producer(graph.outputs[0])
    return last.inputs[0] if last is not None and last.kind == "SOFTMAX" else graph.outputs[0]


def quant_of(graph: Graph, name: str) -> QParams:
    """Scale and zero point of an activation."""
    quant = graph.tensors[name].quant
    assert quant is not None, name
    return quant


def layer_of(op: Op) -> str:
    """The Keras layer's name of op `"#3"`: `"op_3"` (Keras does not allow the #)."""
    return f"op_{op.name.lstrip('#')}"


class _Builder:
    """Keras tensors by graph tensor, and the edges that gradients are named by.

    An edge is one reading of a tensor; the only reading of a tensor is named like the tensor, and an op that
    hands its gradient on unchanged names its output as it names its input.
    """

    def __init__(self, graph: Graph, logits: str, device: DeviceGradients | None):
        self.graph, self.logits, self.device = graph, logits, device
        name = graph.inputs[0]
        quant = quant_of(graph, name)
        self.image = keras.Input(graph.tensors[name].shape[1:], name="input")
        entry = layers.QuantizeInput(quant.scale[0], quant.zero_point[0], name="input_int8")
        self.values: dict[str, Any] = {name: entry(self.image)}
        self._bases: dict[str, str] = {}
        self._branches: dict[str, list[tuple[Any, str]]] = {}

    def base(self, name: str) -> str:
        """The edge into which a tensor's whole gradient goes."""
        return self._bases.get(name, name)

    def joined(self, layer: Any, *edges: str) -> Any:
        """`layer`, told the edges of its inputs and (last) its output where the board's rounding is asked."""
        if self.device is not None:
            layer.device, layer.edges = self.device, edges
        return layer

    def read(self, name: str) -> tuple[Any, str]:
        """A Keras tensor for one reading of graph tensor `name`, and its edge."""
        if name not in self.values:
            raise TfodlError(f"Int8Model: constant operand {name!r} of an elementwise op is not supported.")
        if name not in self._branches:
            self._branches[name] = self._fork(name)
        branches = self._branches[name]
        return branches.pop(0) if len(branches) > 1 else branches[0]

    def _fork(self, name: str) -> list[tuple[Any, str]]:
        readings = sum(op.inputs.count(name) for op in self.graph.ops)
        base = self.base(name)
        if self.device is None or readings < 2:
            return [(self.values[name], base)]
        edges = [f"{base}@{i}" for i in range(readings)]
        for place in range(readings - 1):
            self.device.shift(f"{base}/sum{place}", 0)
        layer = self.joined(layers.Fork(readings, name=f"fork_{len(self._branches)}"), *edges, base)
        return list(zip(layer(self.values[name]), edges, strict=True))

    def through(self, op: Op) -> Any:
        """The input of an op that hands its gradient on: its output's gradient is its input's."""
        value, edge = self.read(op.inputs[0])
        self._bases[op.outputs[0]] = edge
        return value

    def requantized(self, op: Op, acc: Any, gates: bool = True, prefix: str = "") -> Any:
        layer = layers.Requantize(
            op.attrs[f"{prefix}multiplier"],
            op.attrs[f"{prefix}shift"],
            quant_of(self.graph, op.outputs[0]).zero_point[0],
            op.attrs.get("act_min", -128),
            op.attrs.get("act_max", 127),
            gates and op.outputs[0] != self.logits,
            name=f"{layer_of(op)}_int8",
        )
        return layer(acc)


def _pads(op: Op) -> tuple[tuple[int, int], tuple[int, int]]:
    a = op.attrs
    return (a["pad_top"], a["pad_bottom"]), (a["pad_left"], a["pad_right"])


def _linear(b: _Builder, op: Op) -> Any:
    q, edge = b.read(op.inputs[0])
    layer, shape = _linear_layer(b, op)
    if isinstance(layer, Int8Dense):
        q = keras.layers.Reshape((layer.kernel_shape[0],), name=f"{layer_of(op)}_flat")(q)
    if b.device is not None:
        _, _, headroom = prepared_scale(np.asarray(layer.weight_scale), layer.products)
        b.device.shift(edge, first_shift(layer.products, headroom))
    acc = b.joined(layer, edge, b.base(op.outputs[0]))(q)
    return b.requantized(op, keras.layers.Reshape(shape, dtype="float64", name=f"{layer_of(op)}_shape")(acc))


def _linear_layer(b: _Builder, op: Op) -> tuple[Int8Linear, tuple[int, ...]]:
    """The layer of CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED and its output's shape."""
    x, weights = b.graph.tensors[op.inputs[0]], b.graph.tensors[op.inputs[1]]
    assert weights.quant is not None
    channels = weights.shape[-1 if op.kind == "DEPTHWISE_CONV_2D" else 0]
    options: dict[str, Any] = {
        "input_scale": quant_of(b.graph, x.name).scale[0],
        "input_zero": quant_of(b.graph, x.name).zero_point[0],
        "weight_scale": np.broadcast_to(weights.quant.scale, channels).tolist(),
        "op": int(op.name.lstrip("#")),
        "use_bias": len(op.inputs) > 2 and bool(op.inputs[2]),
        "name": layer_of(op),
    }
    shape = b.graph.tensors[op.outputs[0]].shape[1:]
    if op.kind == "FULLY_CONNECTED":
        return Int8Dense((weights.shape[1], channels), **options), shape
    options |= {"strides": (op.attrs["stride_h"], op.attrs["stride_w"]), "pads": _pads(op)}
    if op.kind == "CONV_2D":
        return Int8Conv2D((*weights.shape[1:], channels), **options), shape
    if op.attrs["stride_h"] != op.attrs["stride_w"]:
        raise TfodlError(f"Int8Model: DEPTHWISE_CONV_2D {op.name}: strides must be equal in h and w.")
    kernel = (*weights.shape[1:3], x.shape[3], channels // x.shape[3])
    return Int8DepthwiseConv2D(kernel, **options), shape


def _sum(b: _Builder, op: Op) -> Any:
    if b.device is not None and op.kind == "SUB":
        refuse(op.kind, op.name)
    rows = [
        (quant_of(b.graph, name).zero_point[0], op.attrs[f"input{i}_multiplier"], op.attrs[f"input{i}_shift"])
        for i, name in enumerate(op.inputs, 1)
        if name in b.values
    ]
    values, edges = zip(*(b.read(name) for name in op.inputs), strict=True)
    layer = layers.Int8Add(rows, op.attrs["left_shift"], 1 if op.kind == "ADD" else -1, name=layer_of(op))
    acc = b.joined(layer, *edges, b.base(op.outputs[0]))(list(values))
    return b.requantized(op, acc, prefix="output_")


def _mean(b: _Builder, op: Op) -> Any:
    q, edge = b.read(op.inputs[0])
    zero = quant_of(b.graph, op.inputs[0]).zero_point[0]
    layer = layers.Int8Mean(op.attrs["axes"], op.attrs["keep_dims"], zero, name=layer_of(op))
    return b.requantized(op, b.joined(layer, edge, b.base(op.outputs[0]))(q), gates=False)


def _pool(b: _Builder, op: Op) -> Any:
    a = op.attrs
    mode = "max" if op.kind == "MAX_POOL_2D" else "average"
    sizes = (a["k_h"], a["k_w"]), (a["stride_h"], a["stride_w"])
    layer = layers.Int8Pool(mode, *sizes, _pads(op), a["act_min"], a["act_max"], name=layer_of(op))
    if b.device is not None:
        layer.refused = op.kind
    return layer(b.read(op.inputs[0])[0])


def _pad(b: _Builder, op: Op) -> Any:
    return layers.Int8Pad(op.attrs["padding"], op.attrs["value"], name=layer_of(op))(b.through(op))


def _reshape(b: _Builder, op: Op) -> Any:
    shape = b.graph.tensors[op.outputs[0]].shape[1:]
    return keras.layers.Reshape(shape, name=layer_of(op))(b.through(op))


def _elementwise(b: _Builder, op: Op) -> Any:
    zero = quant_of(b.graph, op.inputs[0]).zero_point[0]
    return b.requantized(op, layers.Centre(zero, name=layer_of(op))(b.through(op)))


BUILDERS: dict[str, Callable[[_Builder, Op], Any]] = {
    "CONV_2D": _linear,
    "DEPTHWISE_CONV_2D": _linear,
    "FULLY_CONNECTED": _linear,
    "ADD": _sum,
    "SUB": _sum,
    "MEAN": _mean,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "PAD": _pad,
    "PADV2": _pad,
    "RESHAPE": _reshape,
    "EXPAND_DIMS": _reshape,
    "SQUEEZE": _reshape,
    "QUANTIZE": _elementwise,
    "RELU": _elementwise,
    "RELU6": _elementwise,
}
