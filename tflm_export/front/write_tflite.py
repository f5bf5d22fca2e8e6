"""Write changed constants (trained weights, weights read back from a board) into a `.tflite`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import constants
from tflm_export.ir import DTYPES, Tensor

WRITABLE = ("int8", "int32")

Constants = Mapping[str, tuple[Tensor, int]]  # by name: the tensor and its offset in the file


def patch_constants(data: bytes, changes: Mapping[str, np.ndarray]) -> bytes:
    """`data` with the constants named in `changes` replaced, every other byte as it was.

    changes: tensor name -> array of the tensor's shape and dtype (int8 weights, int32 biases). Depthwise
        weights `[1, k_h, k_w, O]` of one input channel, which compile as a convolution, may come as
        `[O, k_h, k_w, 1]`.

    Raises `ExportError` for a name that is no constant of the file, for another shape or dtype, and when
    two tensors share one buffer and would get different values.
    """
    known = constants(data)
    changes = {name: _file_layout(name, np.asarray(array), known) for name, array in changes.items()}
    patched = bytearray(data)
    for name, array in changes.items():
        if name not in known:
            raise ExportError(
                f"tensor {name!r} is no constant of this model; constants: {sorted(known)[:8]}..."
            )
        tensor, offset = known[name]
        if array.shape != tensor.shape or array.dtype != tensor.dtype or tensor.dtype not in WRITABLE:
            raise ExportError(
                f"tensor {name!r}: got {array.dtype} {list(array.shape)}; expected {tensor.dtype} "
                f"{list(tensor.shape)}, one of {WRITABLE}."
            )
        raw = np.ascontiguousarray(array, np.dtype(tensor.dtype).newbyteorder("<")).tobytes()
        patched[offset : offset + len(raw)] = raw
    _check_sharing(bytes(patched), changes, known)
    return bytes(patched)


def _file_layout(name: str, array: np.ndarray, known: Constants) -> np.ndarray:
    """`[O, k_h, k_w, 1]` back to the `[1, k_h, k_w, O]` of the file, where that is what it holds."""
    shape: tuple[int, ...] = known[name][0].shape if name in known else ()
    swapped = len(shape) == 4 and array.shape == (shape[3], shape[1], shape[2], shape[0])
    return np.moveaxis(array, 0, 3).reshape(shape) if swapped and shape[0] == 1 else array


def _check_sharing(patched: bytes, changes: Mapping[str, np.ndarray], known: Constants) -> None:
    """Refuse when writing one tensor changed another that keeps its data in the same bytes."""
    for name, (tensor, offset) in known.items():
        wanted = changes.get(name, tensor.data)
        assert tensor.data is not None and wanted is not None, name
        raw = patched[offset : offset + tensor.size * DTYPES[tensor.dtype]]
        if not np.array_equal(np.frombuffer(raw, tensor.data.dtype).reshape(tensor.shape), wanted):
            raise ExportError(
                f"tensor {name!r} shares its bytes with another constant that is written with other values. "
                "Convert the model again with distinct constants, or write both alike."
            )
