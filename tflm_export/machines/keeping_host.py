"""`KeepingEngine`: an engine with a memory and a store, built for the host, with its flash as bytes.

>>> from tflm_export.plan import Memory, UpdatePlan
>>> plan = UpdatePlan(memory=Memory(samples=4, where="flash"), store_bytes=8 * 4096)
>>> engine = KeepingEngine(compile_model(tflite, plan))
>>> for x, label in zip(inputs[:3], (0, 1, 2)):
...     loss = engine.train_step(x, label)
...     engine.remember(label)
>>> engine.save()
>>> again = KeepingEngine(engine.compiled, engine.image)
>>> again.restore()
>>> again.remembered()
3
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from tflm_export.compiler import Compiled
from tflm_export.machines.host import FLAGS
from tflm_export.machines.host_store import StoreEngine
from tflm_export.machines.living_host import LivingEngine
from tflm_export.store.geometry import NORDIC, Geometry


class KeepingEngine(StoreEngine, LivingEngine):  # type: ignore[misc]
    """A `LivingEngine` with a store; `restore` is the store's. With a memory in flash it starts with an
    erased area; or with `image`, and then remembers nothing until `restore`.

    Raises as both do.
    """

    def __init__(
        self,
        engine: Compiled | str | os.PathLike[str],
        image: bytes | None = None,
        flags: Sequence[str] = FLAGS,
        geometry: Geometry = NORDIC,
    ):
        super().__init__(engine, image, flags, geometry)
        memory = self.compiled.plan.memory
        self.in_flash = memory is not None and memory.where == "flash"
        if image is None:
            self._library.shim_store_restore()  # finds nothing, and takes the area

    def remember(self, label: int) -> None:
        """As `LivingEngine`'s; saves first where no more samples may be replaced otherwise."""
        if self.must_save():
            self.save()
        super().remember(label)

    def must_save(self) -> bool:
        """Whether a memory in flash may not take a sample before the next save."""
        return self.in_flash and self._library.shim_changes_left() == 0
