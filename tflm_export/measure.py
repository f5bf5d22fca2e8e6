"""Run an emitted engine on an emulated Cortex-M4F: instructions, stack, RAM, flash, and its very weights.

>>> measure(compiled, pictures, labels).instructions_train_step                  # doctest: +SKIP
1234567
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.ir import Graph
from tflm_export.m4 import O2_FLAGS, M4Result, build, run
from tflm_export.storage import variables


@dataclass(frozen=True)
class Measured:
    """What the board did. Instructions are of the last call of each kind; stack is the deepest of all.

    outputs: int8 [inferences, ...]. weights: the trained part in RAM by tensor name, flat.
    """

    instructions_inference: int
    instructions_train_step: int
    stack_bytes: int
    static_ram_bytes: int
    flash_bytes: int
    outputs: np.ndarray
    weights: dict[str, np.ndarray]


def measure(
    compiled: Compiled,
    pictures: np.ndarray,
    targets: Sequence[int] | np.ndarray,
    *,
    inferences: int = 1,
    flags: Sequence[str] = O2_FLAGS,
    timeout: float = 300.0,
) -> Measured:
    """Run `inferences` of the first pictures, then a training step on every picture, in order.

    pictures: int8 [n, ...input shape]. targets: n class indices, or int8 [n, ...] for MSE.
    Raises `ExportError` when the tools are missing, the program does not fit or faults.
    """
    main, samples = board_program(compiled, pictures, targets, inferences)
    with tempfile.TemporaryDirectory(prefix="tfodl-measure-") as name:
        folder = compiled.save(Path(name) / "engine")
        sources = sorted((folder / "src").rglob("*.cpp"))
        elf = build(sources, [folder / "src"], main, Path(name) / "engine.elf", flags)
        result = run(elf, {"samples.bin": samples}, timeout)
    return Measured(
        result.number("inference instructions"),
        result.number("train_step instructions"),
        _deepest(result),
        elf.static_ram_bytes,
        elf.flash_bytes,
        np.frombuffer(result.files["outputs.bin"], np.int8).reshape(inferences, -1),
        stored_weights(compiled.graph, result.files["weights.bin"]),
    )


def board_program(
    compiled: Compiled, pictures: np.ndarray, targets: Sequence[int] | np.ndarray, inferences: int
) -> tuple[str, bytes]:
    """A `main` for the engine and its `samples.bin`: inferences of the first pictures, a step on each."""
    by_label = "SOFTMAX_CROSSENTROPY" in {op.kind for op in compiled.graph.ops}
    rows = [_sample(x, t, by_label) for x, t in zip(pictures, targets, strict=True)]
    samples = b"".join([*(rows[i % len(rows)] for i in range(inferences)), *rows])
    return _main(compiled.name, inferences, len(rows), len(rows[0]), pictures[0].size, by_label), samples


def _sample(x: np.ndarray, target: int | np.ndarray, by_label: bool) -> bytes:
    """A picture and its target (a label as int32) in bytes."""
    data = np.int32(target).tobytes() if by_label else np.asarray(target, np.int8).tobytes()
    return x.astype(np.int8).tobytes() + data


def _main(name: str, inferences: int, steps: int, sample: int, picture: int, by_label: bool) -> str:
    text = resources.files("tflm_export").joinpath("templates", "board_main.cpp").read_text(encoding="utf-8")
    target = "label_of(target)" if by_label else "static_cast<const int8_t*>(target)"
    fields = {"inferences": inferences, "steps": steps, "target_bytes": sample - picture, "target": target}
    return Template(text).substitute(name=name, **{key: str(value) for key, value in fields.items()})


def _deepest(result: M4Result) -> int:
    return max(int(line.split()[-1]) for line in result.stdout.splitlines() if " stack " in line)


def stored_weights(graph: Graph, data: bytes) -> dict[str, np.ndarray]:
    """Trained parameters as they lie in RAM, by tensor name, from the program's `weights.bin`."""
    found, at = {}, 0
    for variable in variables(graph):
        dtype = np.int32 if variable.bias else np.int8
        found[variable.tensor] = np.frombuffer(data[at : at + variable.nbytes], dtype)
        at += variable.nbytes
    return found
