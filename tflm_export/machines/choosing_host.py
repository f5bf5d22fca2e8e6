"""`ChoosingEngine`: an engine that chooses what learns, built for the host, with its flash as bytes."""

from __future__ import annotations

import ctypes
import math
import os
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.engine_folder import opened
from tflm_export.errors import ExportError
from tflm_export.living.image import named
from tflm_export.living.pool import Candidate, candidates, total
from tflm_export.living.selection import Selection
from tflm_export.machines.host import FLAGS, HostEngine
from tflm_export.machines.host_store import STATUS
from tflm_export.machines.keeping_host import KeepingEngine
from tflm_export.machines.living_host import LivingEngine
from tflm_export.simulate.step import Target
from tflm_export.variable import Variable, numbered

OK, EMPTY = 0, 1  # StoreStatus of store.h


class ChoosingEngine(LivingEngine):
    """A `LivingEngine` whose plan has a pool (docs/choosing.md): `train_step` ends epochs by itself.

    image: what its flash area holds at first; None: erased. history: the selection of every epoch since then.
    Raises `ExportError` for an engine without a pool, and, from the calls, when the flash does not take it.
    """

    def __init__(
        self,
        engine: Compiled | str | os.PathLike[str],
        image: bytes | None = None,
        flags: Sequence[str] = FLAGS,
    ):
        compiled = opened(engine)
        if compiled.plan.pool is None:
            raise ExportError("this engine has no pool; compile it with a plan that sets pool.")
        self.layers: tuple[Candidate, ...] = candidates(compiled.graph)
        self._axis = compiled.plan.pool.axis
        super().__init__(compiled, flags)
        self.open(image)

    def _bind(self, library: ctypes.CDLL) -> ctypes.CDLL:
        for name in ("area", "frozen", "learning"):
            getattr(library, f"shim_{name}").restype = ctypes.c_void_p
        for name in ("epoch", "step", "operations", "erases"):
            getattr(library, f"shim_{name}").restype = ctypes.c_uint32
        for name in ("epoch_is_over", "is_chosen"):
            getattr(library, f"shim_{name}").restype = ctypes.c_bool
        area = (ctypes.c_char * library.shim_area_bytes()).from_address(library.shim_area())
        self._area = area
        return super()._bind(library)

    @property
    def image(self) -> bytes:
        """The flash area as it is."""
        return bytes(self._area.raw)

    def open(self, image: bytes | None = None) -> None:
        """Start with this flash area (None: erased) and go on from the newest epoch that it holds."""
        size = len(self._area)
        if image is not None and len(image) != size:
            raise ExportError(f"image: got {len(image)} bytes; this engine's area has {size}.")
        self._area.raw = b"\xff" * size if image is None else bytes(image)
        status = self._library.shim_open()
        if status not in (OK, EMPTY):
            raise ExportError(f"open: {STATUS[status]}.")
        self.history = [self.selection()]

    def reset(self) -> None:
        """As it was flashed, in its first epoch; the flash area stays."""
        super().reset()
        self.history = [self.selection()]

    def train_step(self, x: np.ndarray, label: Target = None) -> float:
        """One step on input `x` int8, the plan's replays, and where the epoch is over, a new one."""
        loss = super().train_step(x, label)
        if self._library.shim_epoch_is_over():
            self.new_epoch()
        return loss

    def new_epoch(self) -> None:
        """Commit what was learned, measure, choose anew. Raises `ExportError` when the flash refuses."""
        status = self._library.shim_new_epoch()
        if status:
            raise ExportError(f"new_epoch: {STATUS[status]}.")
        self.history.append(self.selection())

    def format(self) -> None:
        """An area without images; the engine's own state stays."""
        status = self._library.shim_format()
        if status:
            raise ExportError(f"format: {STATUS[status]}.")

    def selection(self) -> Selection:
        """Which channels learn now."""
        mask = np.array([self._library.shim_is_chosen(i) for i in range(total(self.layers))], bool)
        epoch, step = int(self._library.shim_epoch()), int(self._library.shim_step())
        return Selection(epoch, step, named(self.layers, mask), self._axis)

    @property
    def erases(self) -> int:
        """Pages erased so far."""
        return int(self._library.shim_erases())

    @property
    def operations(self) -> int:
        """Writes and erases so far."""
        return int(self._library.shim_operations())

    def cut_power_after(self, operations: int) -> None:
        """From then on the flash takes nothing any more; -1: never. The last operation is half done."""
        self._library.shim_cut_after(operations)

    def weights(self) -> dict[str, np.ndarray]:
        """Every tensor that may change, whole, by its name in the model."""
        found: dict[str, np.ndarray] = {}
        resident = iter(range(self._library.shim_parameters()))
        for variable in self._variables:
            whole = self.compiled.graph.constant(variable.tensor)
            if not variable.in_pool:
                found[variable.tensor] = variable.put(whole, self._parameter(next(resident), variable))
        chosen = self.selection().channels
        for i, c in enumerate(self.layers):
            if c.weights.in_pool:
                found[c.weights.tensor] = self._pooled(i, c.weights.of(chosen[c.layer.name]))
        return found

    def _pooled(self, layer: int, learning: Variable) -> np.ndarray:
        """The weights of a candidate: what is frozen, and what is in the pool."""
        frozen = _int8(self._library.shim_frozen(layer), math.prod(learning.shape)).reshape(learning.shape)
        return learning.put(frozen, _int8(self._library.shim_learning(layer), learning.count))

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """A first epoch with trained tensors from arrays like those of `weights()`; those left out are as
        flashed. They go into flash, as a host writes them. Raises `ExportError` when that refuses."""
        known = numbered(self.compiled.graph)
        whole = [(v, weights.get(v.tensor, self.compiled.graph.constant(v.tensor))) for v in known]
        raw = [v.take(array).astype(v.dtype).tobytes() for v, array in whole]
        self._done(self._library.shim_begin_image())
        for i, data in enumerate(raw):
            self._done(self._library.shim_put_image(i, 0, data, len(data)))
        self._done(self._library.shim_end_image(zlib.crc32(b"".join(raw))))
        self.history = [self.selection()]

    @staticmethod
    def _done(status: int) -> None:
        if status:
            raise ExportError(f"load_weights: {STATUS[status]}.")


def _int8(address: int, count: int) -> np.ndarray:
    return np.frombuffer(ctypes.string_at(address, count), np.int8)


def host_engine(engine: Compiled | str | os.PathLike[str]) -> HostEngine:
    """An engine, compiled or in its folder, built for the host: with a memory a `LivingEngine`, with one in
    flash a `KeepingEngine`, with a pool a `ChoosingEngine`."""
    compiled = opened(engine)
    if compiled.plan.memory is None:
        return HostEngine(compiled)
    if compiled.plan.memory.where == "flash":
        return KeepingEngine(compiled)
    return LivingEngine(compiled) if compiled.plan.pool is None else ChoosingEngine(compiled)
