"""The process of `tflm.py`: run TFLite Micro on a folder's inputs; a reason on stdout where it does not run.

The arena grows until the model fits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

FIRST_ARENA_BYTES = 2**18
EXIT = 3


def main(folder: str, largest: str) -> int:
    """Exit status: 0 with outputs written, 3 with the reason printed."""
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        print("is not installed; pip install 'tfodl[verify]'")
        return EXIT
    path = Path(folder)
    try:
        interpreter = _fitting(runtime, (path / "model.tflite").read_bytes(), int(largest))
        for i, column in enumerate(zip(*_outputs(interpreter, path), strict=True)):
            np.save(path / f"outputs_{i}.npy", np.stack(column))
    except Exception as error:  # whatever its binding raises is a finding about the model
        print(f"cannot run this model ({type(error).__name__}: {error})")
        return EXIT
    return 0


def _fitting(runtime: Any, model: bytes, largest: int) -> Any:
    """An interpreter whose arena is large enough."""
    arena = FIRST_ARENA_BYTES
    while True:
        try:
            return runtime.Interpreter.from_bytes(model, arena_size=arena)
        except RuntimeError:
            if 2 * arena > largest:
                raise
            arena *= 2


def _outputs(interpreter: Any, folder: Path) -> Iterator[list[np.ndarray]]:
    """All outputs of every sample, one inference after the other."""
    inputs, outputs = (_count(interpreter, f"get_{edge}_details") for edge in ("input", "output"))
    for sample in zip(*(_inputs(interpreter, folder, i) for i in range(inputs)), strict=True):
        for i, x in enumerate(sample):
            interpreter.set_input(x, i)
        interpreter.invoke()
        yield [interpreter.get_output(i).copy() for i in range(outputs)]


def _count(interpreter: Any, details: str) -> int:
    """How many inputs, or outputs, there are: the binding says so by an error alone."""
    for i in count():
        try:
            getattr(interpreter, details)(i)
        except (RuntimeError, IndexError, ValueError):
            return i
    raise AssertionError


def _inputs(interpreter: Any, folder: Path, i: int) -> np.ndarray:
    """Input `i` of the samples in the type that the model takes; of zeros, one, where the folder has none."""
    details = interpreter.get_input_details(i)
    dtype = details["dtype"]
    if not (folder / f"int8_{i}.npy").is_file():
        return np.zeros((1, *details["shape"]), dtype)
    xs = np.load(folder / (f"float32_{i}.npy" if dtype == np.float32 else f"int8_{i}.npy"))
    found: np.ndarray = (
        (xs.astype(np.int16) + 128).astype(np.uint8) if dtype == np.uint8 else xs.astype(dtype)
    )
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
