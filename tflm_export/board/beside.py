"""`taken_bytes`: the flash that other engines of the same sketch have, before which this one's area lies."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tflm_export.boards import Board
from tflm_export.compiler import Compiled
from tflm_export.engine_folder import opened
from tflm_export.errors import ExportError
from tflm_export.living.image import area_bytes


def taken_bytes(
    compiled: Compiled, beside: Sequence[Compiled | str | os.PathLike[str]], target: Board
) -> int:
    """Bytes in which the engines `beside` keep what they learned, whole pages.

    Raises `ExportError` for a folder without an engine, two engines of one name, and a board that has a place
    for one engine only.
    """
    others = [opened(engine) for engine in beside]
    names = [compiled.name, *(other.name for other in others)]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise ExportError(
            f"--beside: two engines of one sketch are called {double!r}; compile one with another --name."
        )
    if others and target.constants is not None:
        raise ExportError(
            f"--beside: {target.title} holds the constants of one engine beside the sketch; a sketch of two "
            "engines needs a board whose sketches run in flash."
        )
    areas = [area_bytes(engine.graph, engine.plan) for engine in others]
    if target.area == "bank" and any(areas) and area_bytes(compiled.graph, compiled.plan):
        raise ExportError(
            f"--beside: {target.title} has four sectors for what one engine learned; compile one of the two "
            "without store_bytes."
        )
    return sum(areas)
