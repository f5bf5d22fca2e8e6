"""`Int8Model`: an int8 `.tflite` as a trainable Keras model; what the device will do, in batches."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from tflm_export.errors import ExportError, TfodlError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.write_tflite import patch_constants
from tflm_export.gradients.head import check_logits, usual_loss
from tflm_export.ir import Graph, Op
from tflm_export.ops import forward
from tflm_export.plan import LOSSES, UpdatePlan
from tfodl.datasets.training_data import check_inputs, check_two_classes
from tfodl.int8.build import build
from tfodl.int8.device_gradients import DeviceGradients
from tfodl.int8.device_losses import BATCH_MESSAGE
from tfodl.int8.guard import Guard, clear_errors, is_sparse
from tfodl.int8.linear import Int8Linear
from tfodl.int8.qas import QAS, ROUNDINGS, IntegerUpdate, Rounding
from tfodl.int8.wiring import layer_of, quant_of
from tfodl.selective.model import SelectiveModel
from tfodl.tasks.keras_losses import keras_loss, keras_metrics


@keras.saving.register_keras_serializable("tfodl")
class Int8Model(SelectiveModel):
    """The int8 graph of a `.tflite` as a Keras model whose weights are the integers themselves.

    source: a path, or the bytes. plan: what trains (`SelectiveModel`); layers are named `"op_<op index>"`;
        `tfodl.quantize.layer_map.address` turns a plan's names into the compiler's.
    rounding, seed: of weight updates, as on the board.

    Inputs are real values [N, ...], outputs real logits [N, classes] (a closing softmax is left out). The
    forward pass equals TensorFlow Lite Micro bit for bit; gradients go straight through the rounding
    (docs/arithmetic.md). `compile` without arguments is what the board does: SGD with quantisation-aware
    scaling, and `loss`. `to_tflite` gives the trained `.tflite`.

    loss: what the board learns by, as a plan has it (docs/tasks.md): it says where the logits are. None is
        the plan's, and without a plan what the model's end speaks for. `"reconstruction"` needs no `y`: the
        target is the int8 input.

    gradients: `"real"`, float gradients in batches of any size, or `"device"`: rounded as on the board, one
        sample at a time, so that SGD with the same seed makes the board's weights.
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
        gradients: Literal["real", "device"] = "real",
        first: str | None = None,
        loss: str | None = None,
        **kwargs: Any,
    ):
        _check_options(plan, rounding, seed, gradients)
        data = source if isinstance(source, bytes) else _read_file(source)
        whole = _read_graph(data)
        task_loss = _task_loss(whole, plan, loss)
        graph = whole if first is None else from_op(whole, first)
        device = DeviceGradients() if gradients == "device" else None
        base, logits = build(graph, device, task_loss)
        super().__init__(base, plan, **{"name": "int8_model", **kwargs})
        self.task_loss = task_loss
        self._file = _File(data, graph, logits)
        self.device = device
        self._guard = Guard(base.input_shape[1:], base.output_shape[-1])
        self.rounding, self.seed, self.first, self.gradients = rounding, seed, first, gradients
        self.load_constants({name: t.data for name, t in graph.tensors.items() if t.data is not None})

    @property
    def graph(self) -> Graph:
        """The `.tflite` as it was read."""
        return self._file.graph

    @property
    def classes(self) -> int:
        """Number of logits."""
        found: int = self.base.output_shape[-1]
        return found

    def compile(self, optimizer: Any = None, loss: Any = None, metrics: Any = None, **kwargs: Any) -> None:
        """As Keras's, with the board's defaults; any optimizer's steps are rounded to whole LSB."""
        if optimizer is None:
            optimizer = QAS(keras.optimizers.SGD(0.01))
        if loss is None:
            loss, usual = keras_loss(self.task_loss), keras_metrics(self.task_loss)
            metrics = usual if metrics is None else metrics
        optimizer = keras.optimizers.get(optimizer)
        if not isinstance(optimizer, IntegerUpdate):
            optimizer = IntegerUpdate(optimizer, self.rounding, self.seed)
        super().compile(optimizer, loss, metrics=metrics, **kwargs)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """As Keras's, with the checks below. With device gradients the batch is 1.

        Raises `TfodlError` for NaN, another shape than the model's, labels that the head has no class for,
        arrays of one class only, or a batch size that device gradients do not have. `evaluate`, `predict`
        and the like on single batches raise it for the first three.
        """
        if self.gradients == "device" and kwargs.setdefault("batch_size", 1) not in (1, None):
            raise TfodlError(f"fit: {BATCH_MESSAGE}, got {kwargs['batch_size']}.")
        x, y = self._guard.arrays(x, y, self.loss, "fit")
        if isinstance(y, np.ndarray) and is_sparse(self.loss):
            check_two_classes(y, "fit")
        with clear_errors("fit"):
            return super().fit(x, y, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras's; raises as `fit`."""
        return self._clearly("evaluate", x, y, *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """As Keras's: real logits [N, classes]; raises as `fit`."""
        x, _ = self._guard.arrays(x, None, None, "predict")
        with clear_errors("predict"):
            return super().predict(x, *args, **kwargs)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras's; raises as `fit`, but one class is enough."""
        return self._clearly("train_on_batch", x, y, *args, **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As Keras's; raises as `fit`."""
        return self._clearly("test_on_batch", x, y, *args, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        """As Keras's; raises as `fit`."""
        x, _ = self._guard.arrays(x, None, None, "predict_on_batch")
        with clear_errors("predict_on_batch"):
            return super().predict_on_batch(x)

    def train_step(self, data: Any) -> Any:
        return super().train_step(self._guard.batch(self._with_target(data), self.loss))

    def test_step(self, data: Any) -> Any:
        return super().test_step(self._guard.batch(self._with_target(data), self.loss))

    def _with_target(self, data: Any) -> Any:
        """`data` with its own int8 input for a target, where the loss is of reconstruction."""
        if self.task_loss != "reconstruction":
            return data
        x, _, weights = keras.utils.unpack_x_y_sample_weight(data)
        layer = self.base.get_layer("input_int8")
        seen = (layer(self._guard.inputs(x)) - layer.zero_point) * np.float32(layer.scale)
        return x, keras.ops.reshape(seen, (-1, *self.base.output_shape[1:])), weights

    def predict_step(self, data: Any) -> Any:
        return super().predict_step(self._guard.inputs(keras.utils.unpack_x_y_sample_weight(data)[0]))

    def _clearly(self, method: str, x: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
        """Keras's `method`, its refusals in one line."""
        x, y = self._guard.arrays(x, y, self.loss, method)
        with clear_errors(method):
            return getattr(super(), method)(x, y, *args, **kwargs)

    def quantize_inputs(self, x: Any) -> np.ndarray:
        """Real inputs [N, ...] as the int8 that the device is given."""
        x = check_inputs(x, self.base.input_shape[1:], "quantize_inputs")
        return np.asarray(self.base.get_layer("input_int8")(x)).astype(np.int8)

    def features(self, x: Any, op: str, batch_size: int = 64) -> np.ndarray:
        """What enters op `op` (`"#<op index>"`) for real inputs [N, ...], as real values float32 [N, ...].

        A model with `first=op` takes them: its input layer finds the same int8 values again.
        """
        x = check_inputs(x, self.base.input_shape[1:], "features")
        quant = quant_of(self.graph, from_op(self.graph, op).inputs[0])
        q = self.below(op).predict(x, batch_size=batch_size, verbose=0)
        found: np.ndarray = (q - quant.zero_point[0]) * np.float32(quant.scale[0])
        return found

    def below(self, op: str) -> keras.Model:
        """The layers below op `op` (`"#<op index>"`): real inputs [N, ...] in, what enters it out, the int8
        values as float32 [N, ...]. Shares its weights with this model."""
        name = from_op(self.graph, op).inputs[0]
        producer = self.graph.producer(name)
        layer = "input_int8" if producer is None else output_layer(producer, self.base)
        return keras.Model(self.base.input, self.base.get_layer(layer).output)

    def infer(self, x: Any, batch_size: int = 64) -> np.ndarray:
        """The file's own output, int8 [N, ...], for real inputs [N, ...]."""
        x = check_inputs(x, self.base.input_shape[1:], "infer")
        real = self.predict(x, batch_size=batch_size, verbose=0)
        quant = quant_of(self.graph, self._file.logits)
        values = {self._file.logits: (np.round(real / np.float32(quant.scale[0])) + quant.zero_point[0])}
        values[self._file.logits] = values[self._file.logits].astype(np.int8)
        if self.graph.outputs[0] == self._file.logits:
            found: np.ndarray = values[self._file.logits]
            return found
        softmax = self.graph.producer(self.graph.outputs[0])
        assert softmax is not None
        return forward(softmax, self.graph, values).value

    def constants(self) -> dict[str, np.ndarray]:
        """Present weights (int8) and biases (int32) by tensor name, in the `.tflite`'s layout."""
        found = {}
        for op, layer in self.weighted():
            found[op.inputs[1]] = layer.to_file(np.asarray(layer.kernel)).astype(np.int8)
            if layer.bias is not None:
                shape = self.graph.tensors[op.bias].shape
                found[op.bias] = np.asarray(layer.bias).astype(np.int32).reshape(shape)
        return found

    def load_constants(self, values: Mapping[str, np.ndarray]) -> None:
        """Take over weights and biases by tensor name, e.g. read back from a board; others stay.

        Raises `TfodlError` for another shape than the model's.
        """
        for op, layer in self.weighted():
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

    def weighted(self) -> list[tuple[Op, Any]]:
        """The ops with weights, and their layers."""
        found = {layer.name: layer for layer in self.base.layers if isinstance(layer, Int8Linear)}
        return [(op, found[layer_of(op)]) for op in self.graph.ops if layer_of(op) in found]

    def get_config(self) -> dict[str, Any]:
        return {
            "source": self._file.data.hex(),
            "plan": self.plan.to_json(),
            "rounding": self.rounding,
            "seed": self.seed,
            "first": self.first,
            "gradients": self.gradients,
            "loss": self.task_loss,
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


def _check_options(plan: Any, rounding: Any, seed: Any, gradients: Any) -> None:
    if plan is not None and not isinstance(plan, UpdatePlan):
        raise TfodlError(f"Int8Model: plan must be an UpdatePlan or None, got {plan!r}; load a saved one.")
    if rounding not in ROUNDINGS:
        raise TfodlError(f"Int8Model: rounding must be one of {ROUNDINGS}, got {rounding!r}.")
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise TfodlError(f"Int8Model: seed must be a whole number in [0, 2**32), got {seed!r}.")
    if gradients not in ("real", "device"):
        raise TfodlError(f"Int8Model: gradients must be 'real' or 'device', got {gradients!r}.")


def _task_loss(graph: Graph, plan: UpdatePlan | None, loss: str | None) -> str:
    """What the board learns by. Raises `TfodlError` where the model's end is not for that."""
    found = loss or (usual_loss(graph) if plan is None else plan.loss)
    if found not in LOSSES:
        raise TfodlError(f"Int8Model: loss must be one of {LOSSES} or None, got {loss!r}.")
    if found != "crossentropy":
        try:
            check_logits(graph, found)
        except ExportError as error:
            raise TfodlError(f"Int8Model: {error}") from error
    return found


def _read_file(path: str | os.PathLike[str]) -> bytes:
    if not isinstance(path, (str, os.PathLike)):
        raise TfodlError(
            f"Int8Model: source must be the path or the bytes of a .tflite, got {type(path).__name__}; "
            "convert.to_int8 makes one of a Keras model."
        )
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


def output_layer(op: Op, model: keras.Model) -> str:
    """The layer of the wrapped `model` that gives the int8 values of op's output."""
    names = {layer.name for layer in model.layers}
    return f"{layer_of(op)}_int8" if f"{layer_of(op)}_int8" in names else layer_of(op)
