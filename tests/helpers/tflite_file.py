"""Tiny `.tflite` files from a declaration, and TFLite Micro's interpreter to run them.

>>> data = build([T("x", (1, 4)), T("y", (1, 4))], [O("RELU", ["x"], ["y"])], ["x"], ["y"])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite
from tflite.utils import BUILTIN_OPCODE2NAME
from tflite_micro import runtime

CODES = {name: code for code, name in BUILTIN_OPCODE2NAME.items()}
OPTIONS = {
    "ABS": "AbsOptions",
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BROADCAST_TO": "BroadcastToOptions",
    "CALL_ONCE": "CallOnceOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "LOG_SOFTMAX": "LogSoftmaxOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MUL": "MulOptions",
    "PACK": "PackOptions",
    "REDUCE_MAX": "ReducerOptions",
    "RESHAPE": "ReshapeOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SHAPE": "ShapeOptions",
    "SLICE": "SliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SPACE_TO_DEPTH": "SpaceToDepthOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUB": "SubOptions",
    "SVDF": "SVDFOptions",
    "TILE": "TileOptions",
    "TRANSPOSE": "TransposeOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
    "UNPACK": "UnpackOptions",
    "VAR_HANDLE": "VarHandleOptions",
}
ACTIVATION = vars(tflite.ActivationFunctionType)
PADDING = vars(tflite.Padding)


@dataclass
class T:
    """A tensor: `scale` and `zero` one or one a channel along `axis`; `data` makes it constant.

    share: the tensor whose buffer this one uses."""

    name: str
    shape: Sequence[int]
    dtype: str = "int8"
    scale: float | Sequence[float] | None = 0.5
    zero: int | Sequence[int] = 0
    axis: int = 0
    data: np.ndarray | bytes | None = None
    signature: Sequence[int] | None = None
    is_variable: bool = False
    share: str = ""


@dataclass
class O:  # noqa: E742
    """An op: tensors by name or index ("" or -1: absent) and the schema's option fields in CamelCase."""

    kind: str
    inputs: Sequence[str | int]
    outputs: Sequence[str | int]
    options: dict[str, Any] | None = field(default_factory=dict)  # None: no table of options


def conv_options(padding="SAME", stride=(1, 1), activation="NONE", **more: Any) -> dict[str, Any]:
    """Options of CONV_2D and DEPTHWISE_CONV_2D."""
    return {
        "Padding": PADDING[padding],
        "StrideH": stride[0],
        "StrideW": stride[1],
        "DilationHFactor": 1,
        "DilationWFactor": 1,
        "FusedActivationFunction": ACTIVATION[activation],
    } | more


def pool_options(size, **same_as_conv: Any) -> dict[str, Any]:
    """Options of AVERAGE_POOL_2D and MAX_POOL_2D."""
    options = conv_options(**same_as_conv) | {"FilterHeight": size[0], "FilterWidth": size[1]}
    return {k: v for k, v in options.items() if "Dilation" not in k}


def fused(activation: str) -> dict[str, Any]:
    """Options of ops that have only a fused activation."""
    return {"FusedActivationFunction": ACTIVATION[activation]}


def build(
    tensors: Sequence[T],
    ops: Sequence[O],
    inputs: Sequence,
    outputs: Sequence,
    once: Sequence[tuple[Sequence[T], Sequence[O]]] = (),
) -> bytes:
    """The flatbuffer. A name stands for the first tensor that has it; repeated names go by index.

    once: tensors and ops of further subgraphs, without inputs and outputs."""
    b = flatbuffers.Builder(1024)
    subgraphs = [(tensors, ops, inputs, outputs), *((*parts, (), ()) for parts in once)]
    codes = list(dict.fromkeys(op.kind for _, ops, _, _ in subgraphs for op in ops))
    buffers = [_buffer(b, None)] + [_buffer(b, t.data) for tensors, *_ in subgraphs for t in tensors]
    graphs, first = [], 1
    for subgraph in subgraphs:
        graphs.append(_subgraph(b, *subgraph, codes, first))
        first += len(subgraph[0])
    graphs = _offsets(b, graphs)
    code_table = _offsets(b, [_code(b, kind) for kind in codes])
    buffer_table = _offsets(b, buffers)
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, code_table)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffer_table)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def _subgraph(b, tensors, ops, inputs, outputs, codes: Sequence[str], first: int) -> int:
    """One subgraph, whose tensors' buffers begin at number `first`."""
    index = {}
    for i, t in enumerate(tensors):
        index.setdefault(t.name, i)
    rows = [_tensor(b, t, index.get(t.share, i) + first) for i, t in enumerate(tensors)]
    operators = [_operator(b, op, codes.index(op.kind), index) for op in ops]
    vectors = [
        _offsets(b, rows),
        b.CreateNumpyVector(_indices(inputs, index)),
        b.CreateNumpyVector(_indices(outputs, index)),
        _offsets(b, operators),
    ]
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, vectors[0])
    tflite.SubGraphAddInputs(b, vectors[1])
    tflite.SubGraphAddOutputs(b, vectors[2])
    tflite.SubGraphAddOperators(b, vectors[3])
    return tflite.SubGraphEnd(b)


def _indices(names: Sequence, index: dict[str, int]) -> np.ndarray:
    return np.array([n if isinstance(n, int) else index.get(n, -1) for n in names], np.int32)


def _offsets(b: flatbuffers.Builder, items: Sequence[int]) -> int:
    b.StartVector(4, len(items), 4)
    for item in reversed(items):
        b.PrependUOffsetTRelative(item)
    return b.EndVector()


def _buffer(b: flatbuffers.Builder, data: np.ndarray | bytes | None) -> int:
    vector = None
    if data is not None:
        raw = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        b.StartVector(1, len(raw), 16)
        b.head -= len(raw)
        b.Bytes[b.head : b.head + len(raw)] = raw
        vector = b.EndVector()
    tflite.BufferStart(b)
    if vector is not None:
        tflite.BufferAddData(b, vector)
    return tflite.BufferEnd(b)


def _tensor(b: flatbuffers.Builder, t: T, buffer: int) -> int:
    name = b.CreateString(t.name)
    shape = b.CreateNumpyVector(np.array(t.shape, np.int32))
    signature = None if t.signature is None else b.CreateNumpyVector(np.array(t.signature, np.int32))
    quant = None
    if t.scale is not None:
        scale = np.atleast_1d(np.array(t.scale, np.float32))
        zero = np.broadcast_to(np.atleast_1d(np.array(t.zero, np.int64)), scale.shape)
        scales, zeros = b.CreateNumpyVector(scale), b.CreateNumpyVector(np.ascontiguousarray(zero))
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scales)
        tflite.QuantizationParametersAddZeroPoint(b, zeros)
        tflite.QuantizationParametersAddQuantizedDimension(b, t.axis)
        quant = tflite.QuantizationParametersEnd(b)
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, getattr(tflite.TensorType, t.dtype.upper()))
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddName(b, name)
    tflite.TensorAddIsVariable(b, t.is_variable)
    if quant is not None:
        tflite.TensorAddQuantization(b, quant)
    if signature is not None:
        tflite.TensorAddShapeSignature(b, signature)
    return tflite.TensorEnd(b)


def _operator(b: flatbuffers.Builder, op: O, code: int, index: dict[str, int]) -> int:
    vectors = [b.CreateNumpyVector(_indices(names, index)) for names in (op.inputs, op.outputs)]
    table = OPTIONS.get(op.kind)
    options = None
    if table is not None and op.options is not None:
        values = {n: b.CreateString(v) if isinstance(v, str) else v for n, v in op.options.items()}
        getattr(tflite, f"{table}Start")(b)
        for name, value in values.items():
            getattr(tflite, f"{table}Add{name}")(b, value)
        options = getattr(tflite, f"{table}End")(b)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, code)
    tflite.OperatorAddInputs(b, vectors[0])
    tflite.OperatorAddOutputs(b, vectors[1])
    if options is not None:
        tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, table))
        tflite.OperatorAddBuiltinOptions(b, options)
    return tflite.OperatorEnd(b)


def _code(b: flatbuffers.Builder, kind: str) -> int:
    code = CODES.get(kind, CODES["CUSTOM"])
    custom = b.CreateString(kind) if code == CODES["CUSTOM"] else None
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
    tflite.OperatorCodeAddBuiltinCode(b, code)
    tflite.OperatorCodeAddVersion(b, 1)
    if custom is not None:
        tflite.OperatorCodeAddCustomCode(b, custom)
    return tflite.OperatorCodeEnd(b)


def oracle(data: bytes, *inputs: np.ndarray, outputs: int = 1) -> list[np.ndarray]:
    """What TFLite Micro computes."""
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    for i, array in enumerate(inputs):
        interpreter.set_input(array, i)
    interpreter.invoke()
    return [interpreter.get_output(i).copy() for i in range(outputs)]
