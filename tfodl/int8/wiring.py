"""`Wiring`: the Keras tensors of an int8 graph while it is built, and the edges that gradients go along."""

from __future__ import annotations

from typing import Any

import keras

from tflm_export.ir import Graph, Op, QParams
from tfodl.int8 import layers, views
from tfodl.int8.device_gradients import DeviceGradients


def quant_of(graph: Graph, name: str) -> QParams:
    """Scale and zero point of an activation."""
    quant = graph.tensors[name].quant
    assert quant is not None, name
    return quant


def layer_of(op: Op) -> str:
    """The Keras layer's name of op `"#3"`: `"op_3"` (Keras does not allow the #)."""
    return f"op_{op.label}"


class Wiring:
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
        self._constants: dict[str, Any] = {}

    def base(self, name: str) -> str:
        """The edge into which a tensor's whole gradient goes."""
        return self._bases.get(name, name)

    def joined(self, layer: Any, *edges: str) -> Any:
        """`layer`, told the edges of its inputs and (last) its output where the board's rounding is asked."""
        if self.device is not None:
            layer.device, layer.edges = self.device, edges
        return layer

    def read(self, name: str) -> tuple[Any, str]:
        """A Keras tensor for one reading of graph tensor `name`, and its edge; "" for a constant."""
        if self.graph.tensors[name].data is not None:
            return self._constant(name), ""
        if name not in self._branches:
            self._branches[name] = self._fork(name)
        branches = self._branches[name]
        return branches.pop(0) if len(branches) > 1 else branches[0]

    def operands(self, op: Op) -> tuple[list[Any], list[str]]:
        """All that an op reads, with as many axes as its output, and the edges.

        Read from the last on: the board adds the gradients of a tensor that goes in twice from the first on.
        """
        rank = len(self.graph.tensors[op.outputs[0]].shape)
        rows = [(self._with_rank(name, op, place, rank)) for place, name in reversed([*enumerate(op.inputs)])]
        values, edges = zip(*rows[::-1], strict=True)
        return list(values), list(edges)

    def _with_rank(self, name: str, op: Op, place: int, rank: int) -> tuple[Any, str]:
        value, edge = self.read(name)
        missing = rank - len(value.shape)
        if missing:
            shape = (*(1,) * missing, *value.shape[1:])
            value = keras.layers.Reshape(shape, name=f"{layer_of(op)}_input{place}")(value)
        return value, edge

    def _constant(self, name: str) -> Any:
        if name not in self._constants:
            values = self.graph.tensors[name].data
            assert values is not None
            batched = values if values.shape[:1] == (1,) and values.ndim > 1 else values[None]
            layer = views.Constant(batched, name=f"constant_{len(self._constants)}")
            self._constants[name] = layer(self.image)
        return self._constants[name]

    def _fork(self, name: str) -> list[tuple[Any, str]]:
        readings = sum(op.inputs.count(name) for op in self.graph.ops)
        base = self.base(name)
        if self.device is None or readings < 2:
            return [(self.values[name], base)]
        edges = [f"{base}@{i}" for i in range(readings)]
        for place in range(readings - 1):
            self.device.shift(f"{base}/sum{place}", 0)
        layer = self.joined(views.Fork(readings, name=f"fork_{len(self._branches)}"), *edges, base)
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
