"""An engine that chooses, on the emulated Cortex-M4F: what a step and an epoch's end cost; its flash.

>>> from tflm_export.plan import Memory, UpdatePlan
>>> from tflm_export.pool import Pool
>>> plan = UpdatePlan(candidates=("#3",), memory=Memory(samples=4), pool=Pool(64, "random"))
>>> measured = measure_choosing(compile_model(tflite, plan), np.stack(inputs[:2]), [0, 1], every=1)
>>> measured.image.selection.epoch
2
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.errors import ExportError
from tflm_export.living.image import Image, image_layout, read_image
from tflm_export.machines.emulator import ARDUINO_FLAGS, ROOMY, Count, Memories, build, run
from tflm_export.machines.host_store import STATUS
from tflm_export.machines.measure import beside, board_program
from tflm_export.plan import PAGE_BYTES


@dataclass(frozen=True)
class ChoosingMeasured:
    """Counts of the last call of each kind. image: the newest in the area at the end.

    Writes and erases cost nothing here: on an nRF52840 41 us a word and 90 ms a page come on top.
    """

    train_step: Count
    new_epoch: Count
    stack_bytes: int
    static_ram_bytes: int
    flash_bytes: int
    image: Image


def measure_choosing(
    compiled: Compiled,
    pictures: np.ndarray,
    targets: Sequence[int],
    *,
    every: int,
    flags: Sequence[str] = ARDUINO_FLAGS,
    memories: Memories = ROOMY,
    timeout: float = 300.0,
) -> ChoosingMeasured:
    """Train on the pictures int8 [n, ...], remember each, end an epoch after every `every`-th.

    Raises `ExportError` when the tools are missing, the program faults or an epoch's end fails.
    """
    main, samples = board_program(compiled, pictures, targets, 0, "board_choosing.cpp", every=every)
    layout = image_layout(compiled.graph, compiled.plan)
    area = b"\xff" * (2 * layout.pages * PAGE_BYTES)
    with tempfile.TemporaryDirectory(prefix="tfodl-choosing-") as name:
        folder = compiled.save(Path(name) / "engine")
        sources = sorted((folder / "src").rglob("*.cpp"))
        elf = build(sources, [folder / "src"], main, Path(name) / "engine.elf", flags, memories)
        result = run(elf, {"samples.bin": samples, "area.bin": area}, timeout, beside(compiled))
    status = result.number("new_epoch status")
    if status:
        raise ExportError(f"new_epoch on the emulated board: {STATUS[status]}.")
    return ChoosingMeasured(
        result.cost("train_step").count,
        result.cost("new_epoch").count,
        max(cost.stack_bytes for cost in result.costs),
        elf.static_ram_bytes,
        elf.flash_bytes,
        read_image(result.files["area.bin"], compiled.graph, compiled.plan),
    )
