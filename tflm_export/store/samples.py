"""A replay memory's samples as records of a store: docs/store.md, "Samples".

>>> one = Samples(places=100, latent_bytes=1100)
>>> one.sizes, one.records, one.room()
((512, 512, 76), 600, 1148)
"""

from __future__ import annotations

from dataclasses import dataclass

from tflm_export.errors import ExportError
from tflm_export.gradients.cut import find_cut
from tflm_export.ir import Graph
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.store.geometry import NORDIC, Geometry

PIECE = 512  # kPieceBytes of kept.h
SLOTS = 2  # a place has
LABEL_BYTES = 2


@dataclass(frozen=True)
class Samples:
    """Places of a memory, then of the pictures that judge; a latent of `latent_bytes` in each."""

    places: int
    latent_bytes: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Payload bytes of a sample's records."""
        whole, rest = divmod(self.latent_bytes, PIECE)
        return (PIECE,) * whole + (rest,) * (rest > 0)

    @property
    def records(self) -> int:
        """Of the store, at most."""
        return SLOTS * self.places * len(self.sizes)

    def room(self, geometry: Geometry = NORDIC) -> int:
        """Bytes of flash that a sample takes, with the commit behind it."""
        return sum(map(geometry.room, (*self.sizes, 0)))

    def largest(self, geometry: Geometry = NORDIC) -> int:
        """Bytes of flash that the largest of its records takes."""
        return geometry.room(self.sizes[0])

    def indices(self, place: int, slot: int) -> range:
        """Of the records of a place's slot, 1 or 2."""
        first = (SLOTS * place + slot - 1) * len(self.sizes)
        return range(first, first + len(self.sizes))


def samples_in_flash(graph: Graph, plan: UpdatePlan) -> Samples | None:
    """Of a training graph whose plan has a memory in flash, else None."""
    if graph.loss is None or plan.memory is None or plan.memory.where != "flash":
        return None
    nbytes = find_cut(graph, plan).nbytes
    judges = plan.guard.samples if plan.guard is not None else 0
    return Samples(capacity(plan.memory, nbytes) + judges, nbytes)


def capacity(memory: Memory, latent_bytes: int) -> int:
    """Samples that fit. Raises `ExportError` when none does.

    >>> capacity(Memory(bytes=1000), 190), capacity(Memory(bytes=1000, where="flash"), 190)
    (5, 4)
    """
    if memory.samples is not None:
        return memory.samples
    in_flash = memory.where == "flash"
    each = Samples(1, latent_bytes).room() if in_flash else latent_bytes + LABEL_BYTES
    given = memory.bytes or 0
    if given < each:
        beside = "what the store puts around it" if in_flash else "its label"
        raise ExportError(
            f"update plan: memory of {given} bytes cannot hold one sample, which takes {each} (a latent of "
            f"{latent_bytes} and {beside}); give more bytes."
        )
    return given // each
