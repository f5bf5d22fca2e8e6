"""Spare outputs: rows appended to the classifier of a `.tflite`, which never win until a class takes them.

A flatbuffer's tables refer to vectors by how far ahead they lie. So a longer vector goes to the end of the
file, and the reference is turned to it; every other byte stays.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import tflite

from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.schema import OpRecord, Records, parse

SHAPE, SCALE, ZERO_POINT, SIGNATURE, DATA = 4, 8, 10, 18, 4  # of their tables
BEHIND = ("SOFTMAX", "LOG_SOFTMAX", "LOGISTIC", "QUANTIZE", "DEQUANTIZE")
BELOW_LOWEST = 512  # LSB of the logits that a spare row's bias is below 0
MOST = 1000


def add_spare_classes(tflite_bytes: bytes, count: int) -> bytes:
    """The model with `count` more outputs, behind those that it has.

    Their weights are 0, at the mean scale of the other rows, their bias is so low that their logit is always
    the lowest of all, -128.

    Raises `ExportError` when the model does not end in an int8 dense layer with a bias (a softmax or the like
    may follow), or for a count out of range.
    """
    if not isinstance(count, int) or not 1 <= count <= MOST:
        raise ExportError(f"spare classes: must be a whole number from 1 to {MOST}, got {count!r}.")
    read_tflite(tflite_bytes)
    records = parse(tflite_bytes)
    head, behind = _head(records)
    file = _File(tflite_bytes)
    weights, bias = head.inputs[1:3]
    classes = records.tensors[weights].shape[0]
    _check_own(file, weights, bias)
    x, w, y = (records.tensors[i] for i in (head.inputs[0], weights, head.outputs[0]))
    step = float(np.mean(w.scale)) * x.scale[0]
    lowest = -int(BELOW_LOWEST * y.scale[0] / step) - 1
    file.extend_data(weights, np.zeros((count, w.shape[1]), np.int8))
    file.extend_data(bias, np.full(count, max(lowest, -(2**30)), np.int32))
    for index, scale in ((weights, float(np.mean(w.scale))), (bias, step)):
        file.lengthen(index, lambda shape: [shape[0] + count, *shape[1:]])
        if len(records.tensors[index].scale) > 1:
            file.extend_scales(index, scale, count)
    for index in dict.fromkeys((*head.outputs, *behind)):
        file.lengthen(index, lambda shape: [*shape[:-1], classes + count])
    return bytes(file.data)


def _head(records: Records) -> tuple[OpRecord, list[int]]:
    """The dense layer that the model ends in, and the tensors behind its own output."""
    producers = {index: op for op in records.ops for index in op.outputs}
    op = producers.get(records.outputs[0])
    behind: list[int] = []
    while op is not None and op.kind in BEHIND:
        behind += op.outputs
        op = producers.get(op.inputs[0])
    dense = op is not None and op.kind == "FULLY_CONNECTED" and len(op.inputs) == 3 and op.inputs[2] >= 0
    if op is None or not dense or len(records.outputs) != 1:
        raise ExportError(
            f"spare classes: the model must end in a dense layer with a bias, got "
            f"{'nothing' if op is None else op.kind}; train a head of that kind."
        )
    return op, behind


def _check_own(file: _File, *indices: int) -> None:
    """Raise `ExportError` when another tensor reads the same data."""
    buffers = [file.main.Tensors(i).Buffer() for i in range(file.main.TensorsLength())]
    for index in indices:
        if not buffers[index] or buffers.count(buffers[index]) > 1:
            raise ExportError(
                f"spare classes: tensor #{index} of the dense layer shares its data with another, or is no "
                "constant; convert the model again with distinct constants."
            )


class _File:
    """A flatbuffer that grows at its end."""

    def __init__(self, data: bytes):
        self.data = bytearray(data)
        self.model = tflite.Model.GetRootAs(data, 0)
        self.main = self.model.Subgraphs(0)

    def lengthen(self, index: int, change: Callable[[list[int]], list[int]]) -> None:
        """Give tensor `index` the shape that `change` makes of its own, a dynamic first axis as it is."""
        tensor = self.main.Tensors(index)
        shape = change(tensor.ShapeAsNumpy().tolist())
        self._put(tensor, SHAPE, np.array(shape, "<i4"), 4)
        if not tensor.ShapeSignatureIsNone():
            kept = [old if old < 0 else new for old, new in zip(self._signature(tensor), shape, strict=True)]
            self._put(tensor, SIGNATURE, np.array(kept, "<i4"), 4)

    def extend_data(self, index: int, rows: np.ndarray) -> None:
        """Append rows to the constant data of tensor `index`."""
        buffer = self.model.Buffers(self.main.Tensors(index).Buffer())
        more = np.frombuffer(rows.astype(rows.dtype.newbyteorder("<")).tobytes(), np.uint8)
        self._put(buffer, DATA, np.concatenate([buffer.DataAsNumpy(), more]), 16)

    def extend_scales(self, index: int, scale: float, count: int) -> None:
        """Append `count` times this scale to a tensor's, with zero point 0."""
        quant = self.main.Tensors(index).Quantization()
        self._put(quant, SCALE, np.array([*quant.ScaleAsNumpy(), *[scale] * count], "<f4"), 4)
        zeros = quant.ZeroPointAsNumpy()
        if not isinstance(zeros, int):
            self._put(quant, ZERO_POINT, np.array([*zeros, *[0] * count], "<i8"), 8)

    def _put(self, table: Any, field: int, values: np.ndarray, alignment: int) -> None:
        """A new vector for a field that the table has."""
        at = table._tab.Pos + table._tab.Offset(field)
        self.data += bytes(-(len(self.data) + 4) % alignment)
        struct.pack_into("<I", self.data, at, len(self.data) - at)
        self.data += struct.pack("<I", len(values)) + values.tobytes()

    @staticmethod
    def _signature(tensor: Any) -> list[int]:
        found: list[int] = tensor.ShapeSignatureAsNumpy().tolist()
        return found
