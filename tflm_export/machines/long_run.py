"""A long life of an engine, on the host and on the emulated Cortex-M4F: it learns, remembers and saves, and
its power fails, at any write or erase.

>>> from tflm_export.plan import UpdatePlan
>>> compiled = compile_model(tflite, UpdatePlan(store_bytes=4 * 4096))
>>> days = Life(np.stack(inputs[:2]), np.array([0, 1]), np.array([SAVE, 3]))  # a power cut in the second save
>>> host = on_host(compiled, days)
>>> host.saves, host.cuts, host.lost
(2, 1, 0)
>>> board = on_board(compiled, days)
>>> all((board.weights[name] == array).all() for name, array in host.weights.items())
True
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.errors import ExportError
from tflm_export.machines.emulator import ARDUINO_FLAGS, ROOMY, build, run
from tflm_export.machines.host_store import StoreEngine
from tflm_export.machines.keeping_host import KeepingEngine
from tflm_export.machines.measure import beside, board_program, stored_weights

NOTHING, SAVE = -2, -1  # actions


@dataclass(frozen=True)
class Life:
    """What an engine meets. x: int8 [n, ...input shape]; labels [n]. actions int32 [n], behind every step:
    `NOTHING`, `SAVE`, or save while the power fails after so many writes and erases (the device starts anew
    then)."""

    x: np.ndarray
    labels: np.ndarray
    actions: np.ndarray


@dataclass(frozen=True)
class Lived:
    """What became of it. saves: begun; cuts: of the power; lost: starts that found neither the state
    committed last nor the one that was being saved, and saves that failed with the power on. erases: of
    pages. weights: the trained part by tensor name, flat, at the end; image: the flash area."""

    saves: int
    cuts: int
    lost: int
    erases: int
    weights: Mapping[str, np.ndarray]
    image: bytes


class HostLife:
    """An engine on the host that lives on, `live` by `live`, until it is dropped.

    Raises `ExportError` for an engine without a store.
    """

    def __init__(self, compiled: Compiled, image: bytes | None = None):
        remembers = compiled.plan.memory is not None
        self.engine: StoreEngine = (KeepingEngine if remembers else StoreEngine)(compiled, image)
        self.saves = self.cuts = self.lost = 0
        self._start()

    def live(self, life: Life) -> None:
        """Go through it."""
        for x, label, action in zip(life.x, life.labels, life.actions, strict=True):
            self.engine.train_step(x, int(label))
            self._remember(int(label))
            if action != NOTHING:
                self._save(int(action))

    def _remember(self, label: int) -> None:
        if not isinstance(self.engine, KeepingEngine):
            return
        if self.engine.must_save():
            self._save(SAVE)
        self.engine.remember(label)

    def _start(self) -> None:
        self.engine.reset()
        self.engine.load_image(self.engine.image)  # mounted anew
        with suppress(ExportError):  # where nothing was saved yet, it is as flashed
            self.engine.restore()
        self._committed = self.fingerprint()

    def _save(self, action: int) -> None:
        self.saves += 1
        self.engine.load_image(self.engine.image)
        self.engine.cut_power_after(action)
        try:
            self.engine.save()
            failed = False
        except ExportError:
            failed = True
        attempted = self.fingerprint()
        self.engine.cut_power_after(-1)
        if action < 0:
            self.lost += failed
            self._committed = attempted
            return
        self.cuts += 1
        allowed = self._committed, attempted
        self._start()
        self.lost += self._committed not in allowed

    def fingerprint(self) -> int:
        """Of the weights, and of how many samples are in memory where that outlives the power."""
        parts = [array.tobytes() for array in self.engine.weights().values()]
        if isinstance(self.engine, KeepingEngine) and self.engine.in_flash:
            parts.append(self.engine.remembered().to_bytes(4, "little"))
        return zlib.crc32(b"".join(parts))


def on_host(compiled: Compiled, life: Life, image: bytes | None = None) -> Lived:
    """The engine built for the host, from what the flash `image` holds (None: nothing).
    Raises `ExportError` for an engine without a store."""
    host = HostLife(compiled, image)
    host.live(life)
    weights = {v.tensor: v.take(host.engine.weights()[v.tensor]).reshape(-1) for v in host.engine._variables}
    return Lived(host.saves, host.cuts, host.lost, host.engine.pages_opened, weights, host.engine.image)


def on_board(compiled: Compiled, life: Life, image: bytes | None = None, timeout: float = 300.0) -> Lived:
    """The same on the emulated Cortex-M4F, as Arduino compiles it; its flash is memory there, and the samples
    of a life have to fit beside it: some 500 pictures.

    Raises `ExportError` when the tools are missing or the program faults.
    """
    main, samples = board_program(
        compiled, life.x, [int(label) for label in life.labels], 0, "board_long_run.cpp"
    )
    files = {"samples.bin": samples, "actions.bin": np.asarray(life.actions, np.int32).tobytes()}
    files["area.bin"] = image or b"\xff" * compiled.plan.store_bytes
    with tempfile.TemporaryDirectory(prefix="tfodl-long-run-") as name:
        folder = compiled.save(Path(name) / "engine")
        sources = sorted((folder / "src").rglob("*.cpp"))
        elf = build(sources, [folder / "src"], main, Path(name) / "engine.elf", ARDUINO_FLAGS, ROOMY)
        result = run(elf, files, timeout, beside(compiled))
    counts = {key: result.number(key) for key in ("saves", "cuts", "lost", "erases")}
    weights = stored_weights(compiled.graph, result.files["weights.bin"])
    return Lived(**counts, weights=weights, image=result.files["area.bin"])
