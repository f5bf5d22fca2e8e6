"""The process of `tflm.py`: run TFLite Micro on a folder's inputs; a reason on stdout where it does not run.

The arena grows until the model fits.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

FIRST_ARENA_BYTES = 2**18
EXIT = 3


def main(folder: str, largest: str) -> int:
    """Exit status: 0 with outputs.npy written, 3 with the reason printed."""
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError:
        print("is not installed; pip install 'tfodl[verify]'")
        return EXIT
    path = Path(folder)
    try:
        interpreter = _fitting(runtime, (path / "model.tflite").read_bytes(), int(largest))
        np.save(path / "outputs.npy", np.stack([_infer(interpreter, x) for x in _inputs(interpreter, path)]))
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


def _inputs(interpreter: Any, folder: Path) -> np.ndarray:
    """The inputs in the type that the model takes; one of zeros where the folder has none."""
    details = interpreter.get_input_details(0)
    dtype = details["dtype"]
    if not (folder / "int8.npy").is_file():
        return np.zeros((1, *details["shape"]), dtype)
    xs = np.load(folder / ("float32.npy" if dtype == np.float32 else "int8.npy"))
    found: np.ndarray = (
        (xs.astype(np.int16) + 128).astype(np.uint8) if dtype == np.uint8 else xs.astype(dtype)
    )
    return found


def _infer(interpreter: Any, x: np.ndarray) -> np.ndarray:
    interpreter.set_input(x, 0)
    interpreter.invoke()
    output: np.ndarray = interpreter.get_output(0).copy()
    return output


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
