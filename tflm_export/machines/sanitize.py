"""Run an emitted engine on the host under address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.errors import ExportError
from tflm_export.machines.host import compile_cpp, kernel_objects
from tflm_export.machines.measure import board_program, stored_weights

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g")
FLAGS = ("-O1", "-ffp-contract=off", "-std=c++14", *SANITIZERS)


def run_sanitized(
    compiled: Compiled, pictures: np.ndarray, targets: Sequence[int] | np.ndarray
) -> dict[str, np.ndarray]:
    """One inference, then a training step on every picture; the trained parameters in RAM by tensor name.

    pictures: int8 [n, ...input shape]. targets: n class indices, or int8 [n, ...] for MSE.
    Raises `ExportError` with the sanitizer's first complaint, and for an engine whose constants lie apart: it
    has no image here.
    """
    if compiled.constants is not None:
        raise ExportError(
            "sanitized run: the engine's constants lie apart; take the engine that has them in it."
        )
    main, samples = board_program(compiled, pictures, targets, inferences=1)
    with tempfile.TemporaryDirectory(prefix="tfodl-sanitize-") as name:
        folder = Path(name)
        source = compiled.save(folder / "engine") / "src"
        header = resources.files("tflm_export").joinpath("templates", "host_board.h")
        (folder / "board.h").write_text(header.read_text(encoding="utf-8"))
        (folder / "main.cpp").write_text(main)
        (folder / "samples.bin").write_bytes(samples)
        engine = [source / f"{compiled.name}{part}.cpp" for part in ("", "_constants")]
        files = [*engine, folder / "main.cpp", *kernel_objects(source, FLAGS)]
        program = folder / "program"
        compile_cpp([*map(str, files), f"-I{source}", f"-I{folder}", "-o", str(program)], FLAGS)
        done = subprocess.run(
            [str(program)], cwd=folder, capture_output=True, text=True, errors="replace",
            env={"ASAN_OPTIONS": "detect_leaks=0"},
        )  # fmt: skip
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "ERROR" in line or "runtime error" in line]
            raise ExportError(f"sanitized run: {(lines or [f'exit status {done.returncode}'])[0]}")
        return stored_weights(compiled.graph, (folder / "weights.bin").read_bytes())
