"""TFLite Micro's interpreter as an oracle, in a process of its own: a model that ends it ends nothing else.

>>> [y.shape for y in tflm_outputs(compile_model(tflite, plan), inputs[:2])]
[(1, 4), (1, 4)]
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.edges import inputs_of, outputs_of
from tflm_export.errors import ExportError
from tflm_export.front.schema import parse
from tflm_export.ir import QParams
from tflm_export.ops.result import tensor_quant

MAX_ARENA_BYTES = 2**30
SECONDS = 600
SAID = 3  # exit status of a worker that says why it stopped


def tflm_outputs(compiled: Compiled, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The output int8 for every input int8; float and uint8 edges are crossed exactly.

    Raises `ExportError` that says why, where TFLite Micro does not run the model.
    """
    _check_blocks(compiled.tflite)
    graph, outputs = compiled.graph, outputs_of(compiled.graph)
    with tempfile.TemporaryDirectory(prefix="tfodl-tflm-") as folder:
        path = Path(folder)
        (path / "model.tflite").write_bytes(compiled.tflite)
        samples = [inputs_of(graph).split(x) for x in xs]
        for i, name in enumerate(graph.inputs):
            column = np.stack([sample[name] for sample in samples])
            np.save(path / f"int8_{i}.npy", column)
            np.save(path / f"float32_{i}.npy", tensor_quant(graph, name).dequantize(column))
        _run(path)
        columns = {
            name: _int8(np.load(path / f"outputs_{i}.npy"), tensor_quant(graph, name))
            for i, name in enumerate(graph.outputs)
        }
    return [outputs.join({name: ys[n] for name, ys in columns.items()}) for n in range(len(xs))]


def _int8(ys: np.ndarray, quant: QParams) -> np.ndarray:
    """Outputs of an int8, uint8 or float edge as the int8 that lies behind it."""
    if ys.dtype == np.uint8:
        return (ys.astype(np.int16) - 128).astype(np.int8)
    return quant.quantize(ys) if ys.dtype == np.float32 else ys


def tflm_takes(tflite: bytes) -> None:
    """Run a model of any types once, on zeros. Raises `ExportError` that says why, where it does not run."""
    with tempfile.TemporaryDirectory(prefix="tfodl-tflm-") as folder:
        (Path(folder) / "model.tflite").write_bytes(tflite)
        _run(Path(folder))


def _run(folder: Path) -> None:
    command = [sys.executable, "-m", "tflm_export.machines.tflm_worker", str(folder), str(MAX_ARENA_BYTES)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise ExportError(f"TFLite Micro did not end within {SECONDS} s.") from None
    if done.returncode:
        raise ExportError(f"TFLite Micro {_ending(done.returncode, done.stdout)}.")


def _ending(status: int, said: str) -> str:
    """How the worker ended, in words."""
    if status == SAID:
        return " ".join(said.split())
    if status < 0:
        return f"was ended by {signal.Signals(-status).name} while it ran this model"
    return f"ended with exit status {status}"


def _check_blocks(tflite: bytes) -> None:
    """Refuse SPACE_TO_BATCH_ND: TFLM pads with 0, not the zero point, and takes a batch of 1 literally."""
    if any(op.kind == "SPACE_TO_BATCH_ND" for op in parse(tflite).ops):
        raise ExportError("TFLite Micro computes SPACE_TO_BATCH_ND otherwise than TensorFlow Lite.")
