"""`Int8Model`: an int8 `.tflite` as a trainable Keras model; what the device will do, in batches."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op, QParams
from tflm_export.ops import forward
from tflm_export.read_tflite import read_tflite
from tflm_export.write_tflite import patch_constants
from tfodl import int8_layers as layers
from tfodl.errors import TfodlError
from tfodl.plan import UpdatePlan
from tfodl.qas import QAS, IntegerUpdate, Rounding
from tfodl.training import SelectiveModel
from tfodl.training_data import check_inputs, check_training_data


@keras.saving.register_keras_serializable("tfodl")
class Int8Model(SelectiveModel):
    """The int8 graph of a `.tflite` as a Keras model whose weights are the integers themselves.

    source: a path, or the bytes. plan: what trains (`SelectiveModel`); layers are named `"op_<op index>"`;
        `tfodl.layer_map.address` turns a plan's names into the compiler's.
    rounding, seed: of weight updates, as on the board.

    Inputs are real values [N, ...], outputs real logits [N, classes] (a closing softmax is left out). The
    forward pass equals TensorFlow Lite Micro bit for bit; gradients go straight through the rounding
    (docs/arithmetic.md). `compile` without arguments is what the board does: SGD with quantisation-aware
    scaling, softmax cross-entropy. `to_tflite` gives the trained `.tflite`.

    first: `"#<op index>"` where the model begins, to train the ops from there on features computed once
        (`features`); None is the whole graph.

    Raises `TfodlError` for a file that is no fully int8 `.tflite`, or an op that cannot be trained through.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes,
        plan: UpdatePlan | None = None,
        *,
        rounding: Rounding = "stochastic",
        seed: int = 0,
        first: str | None = None,
        **kwargs: Any,
    ):
        data = source if isinstance(source, bytes) else _read_file(source)
        graph = _read_graph(data) if first is None else from_op(_read_graph(data), first)
        base, logits = build(graph)
        super().__init__(base, plan, **{"name": "int8_model", **kwargs})
        self._file = _File(data, graph, logits)
        self.rounding, self.seed, self.first = rounding, seed, first
        self.load_constants({name: t.data for name, t in graph.tensors.items() if t.data is not None})

    @property
    def graph(self) -> Graph:
        """The `.tflite` as it was read."""
        return self._file.graph

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.base.output_shape[-1]

    def compile(self, optimizer: Any = None, loss: Any = None, metrics: Any = None, **kwargs: Any) -> None:
        """As Keras's, with the board's defaults; any optimizer's steps are rounded to whole LSB."""
        if optimizer is None:
            optimizer = QAS(keras.optimizers.SGD(0.01))
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            metrics = ["accuracy"] if metrics is None else metrics
        optimizer = keras.optimizers.get(optimizer)
        if not isinstance(optimizer, IntegerUpdate):
            optimizer = IntegerUpdate(optimizer, self.rounding, self.seed)
        super().compile(optimizer, loss, metrics=metrics, **kwargs)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """As Keras's; arrays are checked first.

        Raises `TfodlError` for NaN, labels that the head has no class for, or one class only.
        """
        if isinstance(x, np.ndarray) and y is not None:
            _, labels = check_training_data(x, y, self.base.input_shape[1:], self.classes, "fit")
            y = labels if np.ndim(y) != 2 or np.shape(y)[1] == 1 else y
        return super().fit(x, y, **kwargs)

    def quantize_inputs(self, x: Any) -> np.ndarray:
        """Real inputs [N, ...] as the int8 that the device is given."""
        x = check_inputs(x, self.base.input_shape[1:], "quantize_inputs")
        return np.asarray(self.base.get_layer("input_int8")(x)).astype(np.int8)

    def features(self, x: Any, op: str, batch_size: int = 64) -> np.ndarray:
        """What enters op `op` (`"#<op index>"`) for real inputs [N, ...], as real values float32 [N, ...].

        A model with `first=op` takes them: its input layer finds the same int8 values again.
        """
        x = check_inputs(x, self.base.input_shape[1:], "features")
        name = from_op(self.graph, op).inputs[0]
        producer, quant = self.graph.producer(name), _quant(self.graph, name)
        layer = "input_int8" if producer is None else _output_layer(producer, self.base)
        body = keras.Model(self.base.input, self.base.get_layer(layer).output)
        q = body.predict(x, batch_size=batch_size, verbose=0)
        return (q - quant.zero_point[0]) * np.float32(quant.scale[0])

    def infer(self, x: Any, batch_size: int = 64) -> np.ndarray:
        """The file's own output, int8 [N, ...], for real inputs [N, ...]."""
        x = check_inputs(x, self.base.input_shape[1:], "infer")
        real = self.predict(x, batch_size=batch_size, verbose=0)
        quant = _quant(self.graph, self._file.logits)
        values = {self._file.logits: (np.round(real / np.float32(quant.scale[0])) + quant.zero_point[0])}
        values[self._file.logits] = values[self._file.logits].astype(np.int8)
        if self.graph.outputs[0] == self._file.logits:
            return values[self._file.logits]
        softmax = self.graph.producer(self.graph.outputs[0])
        assert softmax is not None
        return forward(softmax, self.graph, values).value

    def constants(self) -> dict[str, np.ndarray]:
        """Present weights (int8) and biases (int32) by tensor name, in the `.tflite`'s layout."""
        found = {}
        for op, layer in self._weighted():
            found[op.inputs[1]] = layer.to_file(np.asarray(layer.kernel)).astype(np.int8)
            if layer.bias is not None:
                shape = self.graph.tensors[op.inputs[2]].shape
                found[op.inputs[2]] = np.asarray(layer.bias).astype(np.int32).reshape(shape)
        return found

    def load_constants(self, values: Mapping[str, np.ndarray]) -> None:
        """Take over weights and biases by tensor name, e.g. read back from a board; others stay.

        Raises `TfodlError` for another shape than the model's.
        """
        for op, layer in self._weighted():
            for name, variable in zip(op.inputs[1:3], (layer.kernel, layer.bias), strict=False):
                if variable is None or name not in values:
                    continue
                value = np.asarray(values[name])
                expected = self.graph.tensors[name].shape
                if value.shape != expected:
                    raise TfodlError(f"tensor {name!r}: got {list(value.shape)}; expected {list(expected)}.")
                value = layer.from_file(value) if variable is layer.kernel else value.reshape(-1)
                variable.assign(value.astype(np.float64))

    def to_tflite(self) -> bytes:
        """The `.tflite` with the present weights and biases; every other byte as it was."""
        return patch_constants(self._file.data, self.constants())

    def _weighted(self) -> list[tuple[Op, Any]]:
        found = {layer.name: layer for layer in self.base.layers if isinstance(layer, layers.Int8Linear)}
        return [(op, found[layer_of(op)]) for op in self.graph.ops if layer_of(op) in found]

    def get_config(self) -> dict[str, Any]:
        return {
            "source": self._file.data.hex(),
            "plan": self.plan.to_json(),
            "rounding": self.rounding,
            "seed": self.seed,
            "first": self.first,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Int8Model:
        config = dict(config)
        plan = UpdatePlan.from_json(config.pop("plan"))
        return cls(bytes.fromhex(config.pop("source")), plan, **config)


class _File:
    """Where the model comes from; nothing here is Keras's to track."""

    def __init__(self, data: bytes, graph: Graph, logits: str):
        self.data, self.graph, self.logits = data, graph, logits


def _read_file(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TfodlError(f"Int8Model: cannot read {str(path)!r}: {error.strerror or error}.") from error


def _read_graph(data: bytes) -> Graph:
    try:
        graph = read_tflite(data)
    except ExportError as error:
        raise TfodlError(f"Int8Model: {error}") from error
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise TfodlError(
            f"Int8Model: needs one input and one output, got {graph.inputs} and {graph.outputs}."
        )
    return graph


def from_op(graph: Graph, first: str) -> Graph:
    """The ops of `graph` from op `first` on, which must read one tensor only from before."""
    names = [op.name for op in graph.ops]
    if first not in names:
        raise TfodlError(f"Int8Model: no op {first!r}; there are {names[0]} to {names[-1]}.")
    ops = graph.ops[names.index(first) :]
    written = {name for op in ops for name in op.outputs}
    read = {name: None for op in ops for name in op.inputs if name and graph.tensors[name].data is None}
    live = [name for name in read if name not in written]
    if len(live) != 1:
        raise TfodlError(
            f"Int8Model: the ops from {first} on read {live} from before; begin where it is one."
        )
    return graph.replace(ops=ops, inputs=tuple(live)).check()


def _output_layer(op: Op, model: keras.Model) -> str:
    names = {layer.name for layer in model.layers}
    return f"{layer_of(op)}_int8" if f"{layer_of(op)}_int8" in names else layer_of(op)


def build(graph: Graph) -> tuple[keras.Model, str]:
    """The functional Keras model of a forward graph, weights zero, and the name of its logits."""
    logits = _logits(graph)
    name = graph.inputs[0]
    image = keras.Input(graph.tensors[name].shape[1:], name="input")
    quant = _quant(graph, name)
    values = {name: layers.QuantizeInput(quant.scale[0], quant.zero_point[0], name="input_int8")(image)}
    for op in graph.ops:
        if logits in values:
            break
        if op.kind not in BUILDERS:
            raise TfodlError(
                f"Int8Model: op {op.kind} {op.name} ({op.outputs[0]!r}) cannot be trained through; allowed: "
                f"{', '.join(sorted(BUILDERS))} and a closing SOFTMAX."
            )
        values[op.outputs[0]] = BUILDERS[op.kind](op, graph, values, op.outputs[0] != logits)
    quant = _quant(graph, logits)
    y = layers.DequantizeOutput(quant.scale[0], quant.zero_point[0], name="logits")(values[logits])
    return keras.Model(image, y, name="int8_graph"), logits


def layer_of(op: Op) -> str:
    """The Keras layer's name of op `"#3"`: `"op_3"` (Keras does not allow the #)."""
    return f"op_{op.name.lstrip('#')}"


def _logits(graph: Graph) -> str:
    last = graph.producer(graph.outputs[0])
    return last.inputs[0] if last is not None and last.kind == "SOFTMAX" else graph.outputs[0]


def _quant(graph: Graph, name: str) -> QParams:
    quant = graph.tensors[name].quant
    assert quant is not None, name
    return quant


Values = Mapping[str, Any]
Builder = Callable[[Op, Graph, Values, bool], Any]


def _requantized(op: Op, graph: Graph, acc: Any, gates: bool, prefix: str = "") -> Any:
    layer = layers.Requantize(
        op.attrs[f"{prefix}multiplier"],
        op.attrs[f"{prefix}shift"],
        _quant(graph, op.outputs[0]).zero_point[0],
        op.attrs.get("act_min", -128),
        op.attrs.get("act_max", 127),
        gates,
        name=f"{layer_of(op)}_int8",
    )
    return layer(acc)


def _pads(op: Op) -> tuple[tuple[int, int], tuple[int, int]]:
    a = op.attrs
    return (a["pad_top"], a["pad_bottom"]), (a["pad_left"], a["pad_right"])


def _linear(op: Op, graph: Graph, values: Values, gates: bool) -> Any:
    x, weights = graph.tensors[op.inputs[0]], graph.tensors[op.inputs[1]]
    assert weights.quant is not None
    channels = weights.shape[-1 if op.kind == "DEPTHWISE_CONV_2D" else 0]
    common: dict[str, Any] = {
        "input_scale": _quant(graph, x.name).scale[0],
        "input_zero": _quant(graph, x.name).zero_point[0],
        "weight_scale": np.broadcast_to(weights.quant.scale, channels).tolist(),
        "op": int(op.name.lstrip("#")),
        "use_bias": len(op.inputs) > 2 and bool(op.inputs[2]),
        "name": layer_of(op),
    }
    q = values[x.name]
    if op.kind == "FULLY_CONNECTED":
        q = keras.layers.Reshape((weights.shape[1],), name=f"{layer_of(op)}_flat")(q)
        acc = layers.Int8Dense((weights.shape[1], channels), **common)(q)
        acc = keras.layers.Reshape(graph.tensors[op.outputs[0]].shape[1:], dtype="float64")(acc)
        return _requantized(op, graph, acc, gates)
    common |= {"strides": (op.attrs["stride_h"], op.attrs["stride_w"]), "pads": _pads(op)}
    if op.kind == "CONV_2D":
        c_out, *rest = weights.shape
        return _requantized(op, graph, layers.Int8Conv2D((*rest, c_out), **common)(q), gates)
    if op.attrs["stride_h"] != op.attrs["stride_w"]:
        raise TfodlError(f"Int8Model: DEPTHWISE_CONV_2D {op.name}: strides must be equal in h and w.")
    shape = (*weights.shape[1:3], x.shape[3], channels // x.shape[3])
    return _requantized(op, graph, layers.Int8DepthwiseConv2D(shape, **common)(q), gates)


def _sum(op: Op, graph: Graph, values: Values, gates: bool) -> Any:
    rows = [
        (_quant(graph, name).zero_point[0], op.attrs[f"input{i}_multiplier"], op.attrs[f"input{i}_shift"])
        for i, name in enumerate(op.inputs, 1)
    ]
    sign = 1 if op.kind == "ADD" else -1
    layer = layers.Int8Add(rows, op.attrs["left_shift"], sign, name=layer_of(op))
    acc = layer([_value(graph, values, name) for name in op.inputs])
    return _requantized(op, graph, acc, gates, "output_")


def _value(graph: Graph, values: Values, name: str) -> Any:
    if name not in values:
        raise TfodlError(f"Int8Model: constant operand {name!r} of an elementwise op is not supported.")
    return values[name]


def _mean(op: Op, graph: Graph, values: Values, gates: bool) -> Any:
    zero = _quant(graph, op.inputs[0]).zero_point[0]
    layer = layers.Int8Mean(op.attrs["axes"], op.attrs["keep_dims"], zero, name=layer_of(op))
    return _requantized(op, graph, layer(values[op.inputs[0]]), False)


def _pool(op: Op, graph: Graph, values: Values, gates: bool) -> Any:
    a = op.attrs
    mode = "max" if op.kind == "MAX_POOL_2D" else "average"
    sizes = (a["k_h"], a["k_w"]), (a["stride_h"], a["stride_w"])
    layer = layers.Int8Pool(mode, *sizes, _pads(op), a["act_min"], a["act_max"], name=layer_of(op))
    return layer(values[op.inputs[0]])


def _pad(op: Op, graph: Graph, values: Values, gates: bool) -> Any:
    return layers.Int8Pad(op.attrs["padding"], op.attrs["value"], name=layer_of(op))(values[op.inputs[0]])


def _reshape(op: Op, graph: Graph, values: Values, gates: bool) -> Any:
    shape = graph.tensors[op.outputs[0]].shape[1:]
    return keras.layers.Reshape(shape, name=layer_of(op))(values[op.inputs[0]])


def _elementwise(op: Op, graph: Graph, values: Values, gates: bool) -> Any:
    acc = layers.Centre(_quant(graph, op.inputs[0]).zero_point[0], name=layer_of(op))(values[op.inputs[0]])
    return _requantized(op, graph, acc, gates)


BUILDERS: dict[str, Builder] = {
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
