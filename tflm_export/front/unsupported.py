"""What no engine can be made of, by the name of the op that a user knows, not of what stands around it."""

from __future__ import annotations

from tflm_export.errors import ExportError
from tflm_export.front.schema import VARIABLES, OpRecord, Records
from tflm_export.front.trim import SHAPE_DTYPES
from tflm_export.ir import Graph, Op
from tflm_export.ops import OPS, unsupported
from tflm_export.ops.check import where

AROUND = ("QUANTIZE", "DEQUANTIZE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")  # passes take them off, or not
IN_FLOAT = (
    "computes in float32, because the converter has no int8 kernel for it; allowed: int8. Replace the layer, "
    "or cut the model before it and run that part outside."
)

IN_UINT8 = (
    "computes in uint8, the older quantisation of TensorFlow Lite; allowed: int8. Convert the float model "
    "again with full integer quantisation."
)


def check_kinds(records: Records) -> None:
    """Raise `ExportError` for the first op of a kind that the compiler does not know.

    Arithmetic on shapes and what converters put around others is left to the passes that remove it.
    """
    _check_uint8(records)
    for index, record in enumerate(records.ops):
        dtypes = {records.tensors[i].dtype for i in record.outputs if i >= 0}
        if (
            record.kind in OPS
            or record.kind in (*AROUND, *VARIABLES)
            or (dtypes and dtypes <= set(SHAPE_DTYPES))
        ):
            continue
        op = _op(index, record, records)
        if "float32" in dtypes and any(tensor.dtype == "int8" for tensor in records.tensors):
            raise ExportError(f"{where(op)}: {IN_FLOAT}")
        raise ExportError(unsupported(op))


def _check_uint8(records: Records) -> None:
    """Raise `ExportError` for a net of uint8, whatever its ops; a uint8 edge is another matter."""
    for index, record in enumerate(records.ops):
        inputs, outputs = (
            [records.tensors[i] for i in group if i >= 0] for group in (record.inputs, record.outputs)
        )
        inner = record.kind not in AROUND and any(tensor.dtype == "uint8" for tensor in outputs)
        if inner and all(tensor.dtype != "int8" for tensor in inputs):
            raise ExportError(f"{where(_op(index, record, records))}: {IN_UINT8}")


def check_left_over(graph: Graph) -> None:
    """Raise `ExportError` for what the passes on edges and dilated layers could not take off."""
    for op in graph.ops:
        if op.kind == "DEQUANTIZE":
            inner = [r for name in op.outputs for r in graph.consumers(name) if r.kind != "QUANTIZE"]
            if inner:
                raise ExportError(f"{where(inner[0])}: {IN_FLOAT}")
        if op.kind in ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"):
            raise ExportError(
                f"{where(op)}: not supported; allowed: around one convolution of stride 1, as converters "
                "write a dilated one. Replace the layer by one without dilation."
            )


def _op(index: int, record: OpRecord, records: Records) -> Op:
    inputs, outputs = (
        tuple(records.tensors[i].name if i >= 0 else "" for i in group)
        for group in (record.inputs, record.outputs)
    )
    return Op(record.kind, f"#{index}", inputs, outputs)
