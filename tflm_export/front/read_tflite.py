"""`read_tflite(data) -> Graph`: an int8 `.tflite` of anyone's making, checked.

`schema.parse` gives the file's tables as plain records; here they become tensors and ops, whose options the
ops' own `prepare` functions check and resolve. Every failure is an `ExportError`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.front.batch_first import put_batch_first
from tflm_export.front.dilation import fold_dilation
from tflm_export.front.parts import separate_parts
from tflm_export.front.recurrent import kept_tensors, settle_recurrent
from tflm_export.front.rows import settle_rows
from tflm_export.front.schema import DTYPES, OpRecord, Records, TensorRecord, parse
from tflm_export.front.trim import drop_shape_arithmetic, strip_edges
from tflm_export.front.unsupported import check_kinds, check_left_over
from tflm_export.front.variables import settle_variables
from tflm_export.ir import Graph, Op, QParams, Tensor
from tflm_export.ops import op_kind
from tflm_export.ops.check import where

MAX_ELEMENTS = 2**24
MAX_RANK = 6
SCALE_RANGE = (2.0**-60, 2.0**60)


def read_tflite(data: bytes) -> Graph:
    """The graph of an int8 `.tflite`, checked; ops are named `#<index in the file>`.

    Float and uint8 inputs and outputs are taken off where a QUANTIZE or DEQUANTIZE leads to int8 at once.
    Raises `ExportError` for anything that is not a well-formed int8 model of known ops.
    """
    records = parse(data)
    check_kinds(records)
    graph = _graph(records, data)
    if not (graph.inputs and graph.outputs and graph.ops):
        raise ExportError("the model has no inputs, no outputs or no ops: there is nothing to compile.")
    once = {i: _graph(called, data) for i, called in records.once.items()}
    graph = settle_recurrent(settle_variables(graph, once)).check()
    graph = put_batch_first(fold_dilation(strip_edges(drop_shape_arithmetic(graph))))
    graph = separate_parts(graph)
    dynamic = {r.name for r in records.tensors if any(d < 0 for d in r.signature[1:])}
    check_left_over(graph)
    graph = settle_rows(graph, dynamic)
    ready = tuple(_prepared(op, graph) for op in graph.ops)
    return _check_edges(graph.replace(ops=ready))


def constants(data: bytes) -> dict[str, tuple[Tensor, int]]:
    """The constants that ops read and where the file keeps them: `{name: (tensor, byte offset)}`."""
    rows = [row for row in _used(parse(data)) if row.nbytes]
    return {row.name: (_tensor(row, data), row.offset) for row in rows}


def _graph(records: Records, data: bytes) -> Graph:
    """A subgraph as the file has it."""
    kept = {records.tensors[i].name for i in kept_tensors(records) if i >= 0}
    rows = _used(records)
    tensors = {r.name: _tensor(r, data, _reader(r, records), r.name in kept) for r in rows}
    names = [r.name for r in records.tensors]
    ops = tuple(_op(i, r, names) for i, r in enumerate(records.ops))
    inputs, outputs = (tuple(names[i] for i in group) for group in (records.inputs, records.outputs))
    return Graph(tensors, ops, inputs, outputs)


def _used(records: Records) -> list[TensorRecord]:
    """The tensors that an op or an edge of the graph names."""
    groups = (records.inputs, records.outputs, *(op.inputs + op.outputs for op in records.ops))
    return [records.tensors[i] for i in sorted({i for group in groups for i in group if i >= 0})]


def _reader(row: TensorRecord, records: Records) -> str:
    """The first op that names the tensor, for messages: ` of CONV_2D '#3'`."""
    rows = enumerate(records.ops)
    named = (i for i, op in rows if any(k >= 0 and records.tensors[k] is row for k in op.inputs + op.outputs))
    index = next(named, None)
    return "" if index is None else f" It belongs to {records.ops[index].kind} '#{index}'."


def _tensor(row: TensorRecord, data: bytes, reader: str = "", kept: bool = False) -> Tensor:
    """kept: whether it may be a variable."""
    where = f"tensor {row.name!r}"
    if row.dtype not in DTYPES.values():
        raise ExportError(
            f"{where} is {row.dtype}; allowed: int8 (int32 for biases). Convert to full int8.{reader}"
        )
    if row.is_variable > kept or row.is_sparse:
        raise ExportError(f"{where} is a variable or sparse tensor; these are not supported.")
    if len(row.shape) > MAX_RANK or len(row.signature) > MAX_RANK:
        raise ExportError(f"{where} has {len(row.shape)} dimensions; allowed: at most {MAX_RANK}.")
    elements = math.prod(row.shape)
    if min(row.shape, default=1) < 1 or elements > MAX_ELEMENTS:
        raise ExportError(
            f"{where} has shape {list(row.shape)}; allowed: dimensions >= 1 "
            f"and at most {MAX_ELEMENTS} elements."
        )
    return Tensor(row.name, row.shape, row.dtype, _quant(row), _constant(row, data, elements))


def _constant(row: TensorRecord, data: bytes, elements: int) -> np.ndarray | None:
    """The tensor's constant data, read-only, or None."""
    if not row.nbytes:
        return None
    dtype = np.dtype(row.dtype).newbyteorder("<")
    if row.nbytes != elements * dtype.itemsize:
        raise ExportError(
            f"tensor {row.name!r} has {row.nbytes} bytes of data; "
            f"shape {list(row.shape)} of {row.dtype} needs {elements * dtype.itemsize}."
        )
    return np.frombuffer(data, dtype, elements, row.offset).reshape(row.shape)


def _quant(row: TensorRecord) -> QParams | None:
    """Scales and zero points, checked; None for tensors without (or that are not quantised integers)."""
    if not row.scale or row.dtype not in ("int8", "int32", "int16", "uint8"):
        return None
    where = f"tensor {row.name!r}"
    zero_point = row.zero_point or (0,) * len(row.scale)
    low, high = SCALE_RANGE
    bad = [s for s in row.scale if not low <= s <= high]
    if bad:
        raise ExportError(
            f"{where} has scale {bad[0]}; allowed: {low:g} to {high:g}. Convert the model again."
        )
    if len(zero_point) != len(row.scale):
        raise ExportError(f"{where} has {len(row.scale)} scales and {len(zero_point)} zero points.")
    if row.dtype == "int8" and not all(-128 <= z <= 127 for z in zero_point):
        raise ExportError(f"{where} has a zero point outside int8: {list(zero_point)[:8]}.")
    return QParams(row.scale, zero_point, row.axis if len(row.scale) > 1 else None)


def _op(index: int, record: OpRecord, names: list[str]) -> Op:
    inputs = tuple(names[i] if i >= 0 else "" for i in record.inputs)
    outputs = tuple(names[i] for i in record.outputs)
    return Op(record.kind, f"#{index}", inputs, outputs, record.options, index=index)


def _prepared(op: Op, graph: Graph) -> Op:
    """`op` with its options resolved to plain attributes by its module."""
    return replace(op, attrs=op_kind(op).prepare(op, graph.tensors))


def _check_edges(graph: Graph) -> Graph:
    """Every input and output is int8 with one scale, at batch 1, and no constant."""
    for name in (*graph.inputs, *graph.outputs):
        tensor = graph.tensors[name]
        place = "input" if name in graph.inputs else "output"
        if tensor.dtype != "int8" or tensor.quant is None or len(tensor.quant.scale) != 1:
            raise ExportError(
                f"{place} {name!r} is {tensor.dtype}, not quantised int8. "
                "Convert with full integer quantisation and int8 inputs and outputs."
            )
        if tensor.data is not None or tensor.shape[:1] != (1,):
            raise ExportError(
                f"{place} {name!r} has shape {list(tensor.shape)}; allowed: batch 1 and no constant. "
                "Convert with a fixed batch of 1."
            )
    if not graph.ops:
        raise ExportError("the model computes nothing between its inputs and outputs.")
    for op in graph.ops:
        if any(graph.tensors[name].data is not None for name in op.outputs):
            raise ExportError(f"{where(op)}: writes to a constant.")
    return graph
