"""`StoreEngine`: a host engine that keeps its state in an image of the device's flash.

>>> from tflm_export.plan import UpdatePlan
>>> compiled = compile_model(tflite, UpdatePlan(store_bytes=16 * 4096))
>>> engine = StoreEngine(compiled)
>>> loss = engine.train_step(inputs[0], 3)
>>> engine.save()
>>> again = StoreEngine(compiled, engine.image)
>>> again.restore()
>>> all((again.weights()[name] == array).all() for name, array in engine.weights().items())
True
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

from tflm_export.compiler import Compiled
from tflm_export.engine_folder import opened
from tflm_export.errors import ExportError
from tflm_export.machines.host import FLAGS, HostEngine
from tflm_export.plan import PAGES
from tflm_export.store.geometry import NORDIC, Geometry

STATUS = (
    "ok",
    "nothing was saved yet",
    "the area holds the log of another engine; format it to start anew",
    "a saved record is damaged; format the area to start anew",
    "the state does not fit; give the plan more store_bytes",
    "the supply is too low",
    "the flash does not hold what was written; try again",
    "a record is outside of the store's layout",
)  # StoreStatus of store.h


class StoreEngine(HostEngine):
    """A host engine with its store, whose flash is memory here.

    image: what the area holds at first; None: erased. geometry: of its flash, of which the area has as many
    pages as `plan.store_bytes` are, and at least four.
    Raises `ExportError` for an engine without a store, a geometry of too many pages, an image of another
    size, and, from the calls, for everything but success.
    """

    def __init__(
        self,
        engine: Compiled | str | os.PathLike[str],
        image: bytes | None = None,
        flags: Sequence[str] = FLAGS,
        geometry: Geometry = NORDIC,
    ):
        compiled = opened(engine)
        if not compiled.plan.store_bytes or compiled.graph.loss is None:
            raise ExportError("this engine has no store; compile it with a plan that has store_bytes.")
        pages = _pages(geometry, compiled.plan.store_bytes)
        super().__init__(compiled, (*flags, *_defines(geometry, pages)))
        self._library.shim_store_memory.restype = ctypes.c_void_p
        self._library.shim_store_pages_opened.restype = ctypes.c_uint32
        size = pages * geometry.page_bytes
        address = self._library.shim_store_memory()
        self._memory = (ctypes.c_char * size).from_address(address)
        self.load_image(b"\xff" * size if image is None else image)

    @property
    def image(self) -> bytes:
        """The flash area as it is."""
        return self._memory.raw

    def load_image(self, image: bytes) -> None:
        """Put other contents into the flash area; `restore` reads them."""
        if len(image) != len(self._memory):
            raise ExportError(f"store image: got {len(image)} bytes; expected {len(self._memory)}.")
        self._memory.raw = bytes(image)
        self._library.shim_store_mount()

    def save(self) -> None:
        """Write what changed, all or nothing."""
        self._check(self._library.shim_store_save())

    def restore(self) -> None:
        """The state that was saved last; after an error the engine is as it was flashed."""
        self._check(self._library.shim_store_restore())

    def format(self) -> None:
        """An empty store: the factory reset. The engine's own state stays."""
        self._check(self._library.shim_store_format())

    @property
    def pages_opened(self) -> int:
        """Erases of the area so far, all pages together."""
        return int(self._library.shim_store_pages_opened())

    def cut_power_after(self, operations: int) -> None:
        """From then on the flash takes nothing any more; -1: never. The last operation is half done."""
        self._library.shim_store_cut_after(operations)

    def _check(self, status: int) -> None:
        if status:
            raise ExportError(f"store: {STATUS[status]}.")


def _pages(geometry: Geometry, store_bytes: int) -> int:
    """Of an area."""
    pages = max(store_bytes // geometry.page_bytes, PAGES[0])
    if pages not in PAGES:
        raise ExportError(
            f"store: {store_bytes:,} B are {pages} pages of {geometry.page_bytes:,} B; allowed: "
            f"{PAGES[0]} to {PAGES[-1]}. Give the geometry larger pages, or the plan less store_bytes."
        )
    return pages


def _defines(geometry: Geometry, pages: int) -> tuple[str, ...]:
    """The area's flash as the compiler's flags."""
    sizes = {"PAGE_BYTES": geometry.page_bytes, "WRITE_BYTES": geometry.write_bytes, "PAGES": pages}
    return tuple(f"-DTFODL_{name}={value}u" for name, value in sizes.items())
