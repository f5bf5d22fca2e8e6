"""`LivingEngine`: an engine with a memory, built for the host and driven from Python."""

from __future__ import annotations

import ctypes

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.gradients.cut import find_cut
from tflm_export.living.capacity import classes
from tflm_export.machines.host import HostEngine


class LivingEngine(HostEngine):
    """A `HostEngine` whose plan has a memory (docs/living.md).

    Raises `ExportError` for an engine without one.
    """

    def _bind(self, library: ctypes.CDLL) -> ctypes.CDLL:
        plan = self.compiled.plan
        if plan.memory is None:
            raise ExportError("this engine has no memory; compile it with a plan that sets memory.")
        library.shim_latent.restype = ctypes.c_void_p
        for name in ("replay", "replay_exemplar"):
            getattr(library, f"shim_{name}").restype = ctypes.c_float
        library.shim_remember.restype = ctypes.c_bool
        if plan.guard is not None:
            library.shim_judge.restype = ctypes.c_bool
        graph = self.compiled.graph
        self._classes = classes(graph)
        self._latent_shape = graph.tensors[find_cut(graph, plan).tensor].shape
        return super()._bind(library)

    def latent(self) -> np.ndarray:
        """Latent of the picture that was seen last, int8."""
        return self._read(self._library.shim_latent(), self._latent_shape)

    def remember(self, label: int) -> None:
        """Offer that picture to the memory. Raises `ExportError` for a wrong label, before any picture, and
        where a memory in flash does not take it."""
        if not self._library.shim_remember(int(label)):
            raise ExportError(
                f"remember: label {label} is no class, no picture was seen yet, or the flash did not take it."
            )

    def remembered(self) -> int:
        """Samples in the memory."""
        return int(self._library.shim_remembered())

    def replay(self) -> float:
        """One step on a sample of the memory; the loss before it, -1 when the memory is empty."""
        return float(self._library.shim_replay())

    def replay_exemplar(self) -> float:
        """One step on an exemplar; the loss before it, -1 when there are none."""
        return float(self._library.shim_replay_exemplar())

    def train_step(self, x: np.ndarray, label: int | np.ndarray | None = None) -> float:
        """As `HostEngine`'s, then the plan's replays. Raises `ExportError` for a label that is no class
        in use, nor the next spare one."""
        loss = super().train_step(x, label)
        if loss == -1 and self.compiled.plan.spare_classes:
            raise ExportError(f"label {label}: allowed 0..{min(self.classes_in_use, self._classes - 1)}.")
        return loss

    @property
    def classes_in_use(self) -> int:
        """Classes that the engine knows: the first ones."""
        return int(self._library.shim_classes()) if self.compiled.plan.spare_classes else self._classes

    def judge(self) -> bool:
        """Keep what was learned (True) or go back to the last good state, as the guard's judges find.
        Raises `ExportError` without a guard."""
        self._guarded("judge")
        return bool(self._library.shim_judge())

    def judging(self) -> int:
        """Pictures that judge. Raises `ExportError` without a guard."""
        self._guarded("judging")
        return int(self._library.shim_judging())

    def _guarded(self, call: str) -> None:
        if self.compiled.plan.guard is None:
            raise ExportError(f"{call}: the update plan has no guard; set guard.")

    def state(self) -> bytes:
        """All that learning changes, the memory too."""
        return b"".join(ctypes.string_at(data, size) for data, size in self._states())

    def restore(self, state: bytes) -> None:
        """Go back to what `state` gave. Raises `ExportError` when it is another engine's."""
        size = sum(size for _, size in self._states())
        if len(state) != size:
            raise ExportError(f"restore: got {len(state)} bytes; this engine's state has {size}.")
        at = 0
        for data, nbytes in self._states():
            ctypes.memmove(data, state[at : at + nbytes], nbytes)
            at += nbytes

    def _states(self) -> list[tuple[int, int]]:
        """Address and bytes of every part of the state."""
        library, plan = self._library, self.compiled.plan
        if plan.pool is not None:
            raise ExportError("this engine keeps its state in images of its own; use image and open.")
        if plan.memory is not None and plan.memory.where == "flash":
            raise ExportError("this engine keeps its samples in its store; use a KeepingEngine's save.")
        library.shim_state.restype, library.shim_state_bytes.restype = ctypes.c_void_p, ctypes.c_uint32
        return [(library.shim_state(i), library.shim_state_bytes(i)) for i in range(library.shim_states())]
