"""Save and restore of an engine on the emulated Cortex-M4F: cycles, stack, and the flash afterwards.

>>> from tflm_export.plan import UpdatePlan
>>> compiled = compile_model(tflite, UpdatePlan(store_bytes=4 * 4096))
>>> measured = measure_store(compiled, bytes(4 * 4096), np.stack(inputs[:2]), [0, 1], before=1)
>>> measured.statuses["restore"], measured.statuses["restore_again"]  # empty, ok
(1, 0)
>>> measured.costs["restore_again"].count.cycles < 64e6 * 0.2
True
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.machines.emulator import ARDUINO_FLAGS, ROOMY, Cost, Memories, build, run
from tflm_export.machines.measure import beside, board_program, stored_weights


@dataclass(frozen=True)
class StoreMeasured:
    """Costs by name: restore (of the image given), save, save_nothing, restore_again (of what was saved).

    statuses: StoreStatus of each. image: the area after `save`. weights: in RAM at the end, by tensor name.
    Writes and erases cost nothing here: on an nRF52840 41 us a word and 90 ms a page come on top.
    """

    costs: Mapping[str, Cost]
    statuses: Mapping[str, int]
    image: bytes
    weights: Mapping[str, np.ndarray]


NAMES = ("restore", "save", "save_nothing", "restore_again")


def measure_store(
    compiled: Compiled,
    image: bytes,
    pictures: np.ndarray,
    targets: Sequence[int | None] | np.ndarray,
    *,
    before: int,
    flags: Sequence[str] = ARDUINO_FLAGS,
    memories: Memories = ROOMY,
    timeout: float = 300.0,
) -> StoreMeasured:
    """Restore `image`, train on the first `before` pictures, save, start anew, restore, train on the rest.

    Raises `ExportError` when the tools are missing or the program faults.
    """
    main, samples = board_program(
        compiled, pictures, targets, 0, "board_store.cpp", before=before, after=len(pictures) - before
    )
    with tempfile.TemporaryDirectory(prefix="tfodl-store-") as name:
        folder = compiled.save(Path(name) / "engine")
        sources = sorted((folder / "src").rglob("*.cpp"))
        elf = build(sources, [folder / "src"], main, Path(name) / "engine.elf", flags, memories)
        result = run(elf, {"samples.bin": samples, "area.bin": image}, timeout, beside(compiled))
    return StoreMeasured(
        {name: result.cost(name) for name in NAMES},
        {name: result.number(f"{name} status") for name in NAMES},
        result.files["area.bin"],
        stored_weights(compiled.graph, result.files["weights.bin"]),
    )
