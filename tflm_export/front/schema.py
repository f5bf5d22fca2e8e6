"""`parse(data) -> Records`: the tables of a `.tflite` as plain values; the only file that knows the schema.

Nothing in the file is trusted: offsets, lengths and indices are checked, and whatever the flatbuffer reader
trips over becomes an `ExportError`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import tflite
from tflite.utils import BUILTIN_OPCODE2NAME

from tflm_export.errors import ExportError
from tflm_export.ops import OPS
from tflm_export.ops.kind import Options

IDENTIFIER = b"TFL3"
MAX_BYTES = 2**27
MAX_RECORDS = 2**14
MAX_OPS = 2**10
OWN_PREFIXES = ("#", "loss/")
MAX_NAME = 2048  # converters join the names of fused layers

DTYPES = {
    tflite.TensorType.INT8: "int8",
    tflite.TensorType.UINT8: "uint8",
    tflite.TensorType.INT16: "int16",
    tflite.TensorType.INT32: "int32",
    tflite.TensorType.INT64: "int64",
    tflite.TensorType.FLOAT32: "float32",
    tflite.TensorType.RESOURCE: "resource",
}
VARIABLES: dict[str, Options | None] = {  # ops of variables, of which a pass makes states (variables.py)
    "VAR_HANDLE": Options("VarHandleOptions", {"container": "Container", "name": "SharedName"}),
    "CALL_ONCE": Options("CallOnceOptions", {"subgraph": "InitSubgraphIndex"}),
    "READ_VARIABLE": None,
    "ASSIGN_VARIABLE": None,
}


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


ENUMS = {
    "padding": _names(tflite.Padding),
    "activation": _names(tflite.ActivationFunctionType),
    "weights_format": _names(tflite.FullyConnectedOptionsWeightsFormat),
}


@dataclass(frozen=True)
class TensorRecord:
    """One row of the file's tensor table; `offset` and `nbytes` place its constant data in the file."""

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int
    is_variable: bool
    is_sparse: bool
    offset: int
    nbytes: int


@dataclass(frozen=True)
class OpRecord:
    """One row of the file's operator table; tensor indices, -1 for an absent input."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Records:
    """A subgraph as plain values, the main one with those that it calls once. Tensor names are unique."""

    tensors: tuple[TensorRecord, ...]
    ops: tuple[OpRecord, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    once: Mapping[int, Records] = field(default_factory=dict)


def parse(data: bytes) -> Records:
    """The flatbuffer's tables as plain values. Raises `ExportError` when the bytes are no `.tflite`."""
    if len(data) < 16 or data[4:8] != IDENTIFIER:
        raise ExportError(
            f"not a .tflite file: {len(data)} bytes, identifier {bytes(data[4:8])!r}, not b'TFL3'."
        )
    if len(data) > MAX_BYTES:
        raise ExportError(f"the file has {len(data)} bytes; allowed: at most {MAX_BYTES}.")
    try:
        return _parse(bytes(data))
    except (struct.error, ValueError, TypeError, IndexError, OverflowError, AttributeError) as error:
        if isinstance(error, ExportError):
            raise
        raise ExportError(f"not a valid .tflite: its tables are damaged ({error}).") from error


def _parse(data: bytes) -> Records:
    model = tflite.Model.GetRootAs(data, 0)
    count = _bounded(model.SubgraphsLength())
    if count < 1:
        raise ExportError("the model has no subgraph: there is nothing to compile.")
    codes = [_kind(model.OperatorCodes(i)) for i in range(_bounded(model.OperatorCodesLength()))]
    buffers = [_extent(model.Buffers(i), len(data)) for i in range(_bounded(model.BuffersLength()))]
    main = _records(model.Subgraphs(0), codes, buffers)
    called = {op.options["subgraph"] for op in main.ops if op.kind == "CALL_ONCE"}
    if not all(0 < i < count for i in called):
        raise ExportError(
            f"CALL_ONCE calls subgraph {max(called)}; allowed: another one than the main 0, of {count} in "
            "all. Convert the model again."
        )
    return replace(main, once={i: _records(model.Subgraphs(i), codes, buffers) for i in sorted(called)})


def _records(graph: Any, codes: list[str], buffers: list[tuple[int, int]]) -> Records:
    rows = [_tensor_record(graph.Tensors(i), buffers) for i in range(_bounded(graph.TensorsLength()))]
    ops = [_op_record(graph.Operators(i), codes) for i in range(_bounded(graph.OperatorsLength()))]
    if len(ops) > MAX_OPS:
        raise ExportError(f"the model has {len(ops)} ops; allowed: at most {MAX_OPS}.")
    inputs, outputs = _ints(graph.InputsAsNumpy()), _ints(graph.OutputsAsNumpy())
    for indices in (inputs, outputs, *(op.outputs for op in ops)):
        _in_range(indices, len(rows), least=0)
    for op in ops:
        _in_range(op.inputs, len(rows), least=-1)
    return Records(tuple(_unique_names(rows)), tuple(ops), inputs, outputs)


def _bounded(length: int) -> int:
    if length > MAX_RECORDS:
        raise ExportError(f"a table has {length} rows; allowed: at most {MAX_RECORDS}.")
    return length


def _in_range(indices: tuple[int, ...], count: int, least: int) -> None:
    if any(not least <= i < count for i in indices):
        raise ExportError(f"tensor indices {list(indices)[:8]} are out of range; there are {count} tensors.")


def _ints(array: Any) -> tuple[int, ...]:
    """A vector of the file; absent ones read as 0."""
    return () if isinstance(array, int) else tuple(array[: MAX_RECORDS + 1].tolist())


def _kind(code: Any) -> str:
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = BUILTIN_OPCODE2NAME.get(builtin, f"BUILTIN_{builtin}")
    custom = code.CustomCode() if name == "CUSTOM" else None
    return f"CUSTOM {_text(custom)}" if custom else name


def _text(raw: bytes) -> str:
    """A name of the file. It goes into messages and generated code, so it must be short and printable."""
    text = raw.decode("utf-8")
    if len(text) > MAX_NAME or not text.isprintable():
        raise ExportError(f"a name of {len(text)} characters is too long or not printable: {text[:16]!a}.")
    return text


def _extent(buffer: Any, size: int) -> tuple[int, int]:
    """Offset and bytes of a buffer's data inside the file."""
    if buffer.Offset() > 1 or buffer.Size() > 1:
        raise ExportError("constants outside the flatbuffer (models over 2 GB) are not supported.")
    if buffer.DataIsNone():
        return 0, 0
    start, length = buffer._tab.Vector(buffer._tab.Offset(4)), buffer.DataLength()
    if not 0 <= start <= start + length <= size:
        raise ExportError(
            f"a constant at byte {start} of {length} bytes lies outside the file ({size} bytes)."
        )
    return start, length


def _tensor_record(tensor: Any, buffers: list[tuple[int, int]]) -> TensorRecord:
    index = tensor.Buffer()
    if index >= len(buffers):
        raise ExportError(f"buffer index {index} is out of range; there are {len(buffers)} buffers.")
    quant = tensor.Quantization()
    return TensorRecord(
        name=_text(tensor.Name() or b""),
        shape=_ints(tensor.ShapeAsNumpy()),
        signature=_ints(tensor.ShapeSignatureAsNumpy()),
        dtype=DTYPES.get(tensor.Type(), _names(tflite.TensorType).get(tensor.Type(), "unknown")),
        scale=() if quant is None or quant.ScaleIsNone() else tuple(quant.ScaleAsNumpy().tolist()),
        zero_point=() if quant is None else _ints(quant.ZeroPointAsNumpy()),
        axis=0 if quant is None else quant.QuantizedDimension(),
        is_variable=tensor.IsVariable(),
        is_sparse=tensor.Sparsity() is not None,
        offset=buffers[index][0],
        nbytes=buffers[index][1],
    )


def _op_record(op: Any, codes: list[str]) -> OpRecord:
    index = op.OpcodeIndex()
    if index >= len(codes):
        raise ExportError(f"operator code {index} is out of range; there are {len(codes)}.")
    kind = codes[index]
    return OpRecord(kind, _ints(op.InputsAsNumpy()), _ints(op.OutputsAsNumpy()), _options(op, kind))


def _options(op: Any, kind: str) -> dict[str, Any]:
    """The op's options as plain values, enums as names; {} for ops without.

    Absent ones, or those of another op, are all 0: so TFLite Micro takes them.
    """
    known = OPS[kind].options if kind in OPS else VARIABLES.get(kind)
    if known is None:
        return {}
    table, fields = known.table, known.fields
    values: dict[str, Any] = dict.fromkeys(fields, 0)
    raw = op.BuiltinOptions()
    if raw is not None and op.BuiltinOptionsType() == getattr(tflite.BuiltinOptions, table):
        options = getattr(tflite, table)()
        options.Init(raw.Bytes, raw.Pos)
        values = {name: getattr(options, method)() for name, method in fields.items()}
    return {name: _plain(name, value) for name, value in values.items()}


def _plain(name: str, value: Any) -> Any:
    if name in ENUMS:
        return ENUMS[name].get(value, str(value))
    return _text(value) if isinstance(value, bytes) else value


def _unique_names(rows: list[TensorRecord]) -> list[TensorRecord]:
    """Rows whose names occur once; a repeated or empty name gets `@<tensor index>`.

    So does one that begins as the names of ops do: the compiler's own tensors are named after ops.
    """
    seen: set[str] = set()
    unique = []
    for i, row in enumerate(rows):
        name = row.name
        if name.startswith(OWN_PREFIXES):
            name = f"{name}@{i}"
        while not name or name in seen:
            name = f"{name}@{i}"
        seen.add(name)
        unique.append(TensorRecord(**{**vars(row), "name": name}))
    return unique
