"""Keras or QAT model -> fully int8 `.tflite`. The only caller of TFLiteConverter.

`python -m tfodl.quantize.convert IN OUT` converts a SavedModel folder in a process of its own: the converter
leaks memory, so whoever converts many models asks for `isolate=True`.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from tflm_export.errors import TfodlError
from tfodl.datasets.split import draw
from tfodl.datasets.training_data import check_inputs
from tfodl.quantize.folding.fold import fold
from tfodl.quantize.folding.folded import FoldedModel
from tfodl.quantize.folding.rebuild import rebuild
from tfodl.quiet import native_log_silenced

MOST_REPRESENTATIVE = 256  # inputs that calibrate; more only take time
CHANNEL_AXIS = {  # of the output channels in the weights of each kind of op
    schema.BuiltinOperator.CONV_2D: 0,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
    schema.BuiltinOperator.FULLY_CONNECTED: 0,
}


def to_int8(model: Any, representative: Any = None, *, isolate: bool = False) -> bytes:
    """The fully int8 `.tflite` of a `QATModel`, or of a plain Keras model calibrated on `representative`.

    model: a `tfodl.quantize.model.QATModel` (its ranges are learnt), or a Keras 3 / tf_keras model.
    representative: inputs [N, ...] as the model takes them, of which 256 are drawn; for a plain model only.
    isolate: convert in a process of its own (the converter leaks memory).
    Returns bytes whose every activation and weight is int8 and every bias int32.
    Raises `TfodlError` when the model cannot be converted, or a tensor stays float (it is named).
    """
    if hasattr(model, "folded"):
        return _converted(model.model, None, isolate)
    if representative is None:
        raise TfodlError("to_int8: a model without QAT needs `representative` inputs to find its ranges.")
    return to_int8_of(fold(model), representative, isolate=isolate)


def to_int8_of(folded: FoldedModel, representative: Any, *, isolate: bool = False) -> bytes:
    """The same for a model that is folded already."""
    return _converted(rebuild(folded), _representative(folded, representative), isolate)


def _converted(keras_model: Any, samples: np.ndarray | None, isolate: bool) -> bytes:
    with tempfile.TemporaryDirectory(prefix="tfodl-") as folder:
        saved = Path(folder) / "model"
        _export(keras_model, saved)
        if samples is not None:
            np.save(Path(folder) / "samples.npy", samples)
        data = _isolated(saved) if isolate else convert_saved_model(saved)
    check_int8(data)
    return ready_to_train(data)


def ready_to_train(data: bytes) -> bytes:
    """`data` with every constant in a buffer of its own, so that each weight can be written apart, and with
    a bias for every op that has weights.

    The converter stores equal constants once, and leaves out a bias that is all zeros.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(data))
    changes = [_part_buffers(model), _add_biases(model)]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model)) if any(changes) else data


def _part_buffers(model: Any) -> bool:
    """Whether a constant shared its buffer and got one of its own."""
    taken: set[int] = set()
    shared = False
    for tensor in (tensor for graph in model.subgraphs for tensor in graph.tensors):
        if tensor.buffer in taken and model.buffers[tensor.buffer].data is not None:
            model.buffers.append(copy.deepcopy(model.buffers[tensor.buffer]))
            tensor.buffer = len(model.buffers) - 1
            shared = True
        taken.add(tensor.buffer)
    return shared


def _add_biases(model: Any) -> bool:
    """Whether an op with weights had no bias and got zeros."""
    (graph,) = model.subgraphs
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    bare = [
        op
        for op in graph.operators
        if codes[op.opcodeIndex] in CHANNEL_AXIS and (len(op.inputs) < 3 or op.inputs[2] < 0)
    ]
    for op in bare:
        x, weights = (graph.tensors[i] for i in op.inputs[:2])
        channels = int(weights.shape[CHANNEL_AXIS[codes[op.opcodeIndex]]])
        model.buffers.append(_table(schema.BufferT, data=np.zeros(4 * channels, np.uint8)))
        graph.tensors.append(_bias(x, weights, channels, len(model.buffers) - 1))
        op.inputs = np.array([*op.inputs[:2], len(graph.tensors) - 1], np.int32)
    return bool(bare)


def _bias(x: Any, weights: Any, channels: int, buffer: int) -> Any:
    """The tensor of a bias int32 at s_x s_w."""
    scale = np.float32(x.quantization.scale[0]) * np.asarray(weights.quantization.scale, np.float32)
    zeros = np.zeros(len(scale), np.int64)
    return _table(
        schema.TensorT,
        name=weights.name + b"/bias",
        shape=np.array([channels], np.int32),
        type=schema.TensorType.INT32,
        buffer=buffer,
        quantization=_table(schema.QuantizationParametersT, scale=scale, zeroPoint=zeros),
    )


def _table(kind: Any, **fields: Any) -> Any:
    """A table of the flatbuffer's object API with these fields set."""
    table = kind()
    for name, value in fields.items():
        assert hasattr(table, name), name
        setattr(table, name, value)
    return table


def convert_saved_model(folder: Path) -> bytes:
    """Convert the SavedModel in `folder`; calibrates on `samples.npy` beside it where that exists."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    samples = folder.parent / "samples.npy"
    if samples.exists():
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: _one_by_one(np.load(samples))
    try:
        with native_log_silenced():
            found: bytes = converter.convert()
        return found
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise TfodlError(f"the converter refused the model: {str(error).strip().splitlines()[-1]}") from error


def check_int8(data: bytes) -> None:
    """Raise `TfodlError` naming the tensor unless every tensor of the `.tflite` is int8 or int32."""
    try:
        tensors = Interpreter(model_content=data).get_tensor_details()
    except ValueError as error:
        raise TfodlError(f"not a .tflite file: {error}") from error
    for tensor in tensors:
        if tensor["dtype"] not in (np.int8, np.int32):
            dtype = np.dtype(tensor["dtype"]).name
            raise TfodlError(
                f"tensor {tensor['name']!r} {tensor['shape'].tolist()} is {dtype}, not int8 or int32: the "
                "layer that makes it has no int8 form; replace it."
            )


def _representative(folded: FoldedModel, samples: Any) -> np.ndarray:
    samples = check_inputs(samples, folded.input_shape, "representative")
    return folded.rescaling.apply(samples[draw(np.zeros(len(samples)), MOST_REPRESENTATIVE)])


def _one_by_one(samples: np.ndarray) -> Iterator[list[np.ndarray]]:
    for sample in samples:
        yield [sample[None].astype(np.float32)]


def _export(keras_model: Any, folder: Path) -> None:
    """Save the inference function alone, at batch 1."""
    signature = tf.TensorSpec((1, *keras_model.input_shape[1:]), tf.float32, name="input")
    forward = tf.function(lambda x: keras_model(x, training=False), autograph=False)
    function = forward.get_concrete_function(signature)
    module = tf.Module()
    module.weights = keras_model.variables  # not the model: saving would trace every layer again
    tf.saved_model.save(module, str(folder), signatures=function)


def _isolated(folder: Path) -> bytes:
    target = folder.parent / "model.tflite"
    command = [sys.executable, "-m", "tfodl.quantize.convert", str(folder), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not target.exists():
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise TfodlError(f"converting in a process of its own failed: {lines[-1]}")
    return target.read_bytes()


def main(arguments: list[str]) -> int:
    """Convert the SavedModel folder `arguments[0]` to the file `arguments[1]`; 0, or 2 after an error."""
    folder, target = map(Path, arguments)
    try:
        target.write_bytes(convert_saved_model(folder))
    except TfodlError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
