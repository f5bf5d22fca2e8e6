"""`apart`: an engine whose constants lie in an image of their own, at an address beside the program.

For boards that load a sketch into RAM (docs/sketch.md, "Constants beside the sketch").

>>> compiled = apart(compile_model(tflite, UpdatePlan()), 0x90000)
>>> hex(compiled.constants.address), compiled.facts["constants_bytes"] == len(compiled.constants.data)
('0x90000', True)
"""

from __future__ import annotations

import dataclasses

from tflm_export.compiler import Compiled
from tflm_export.emit import emit, emit_apart
from tflm_export.emit.constants import ConstantsImage
from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.living.memory import Exemplars
from tflm_export.memory.place import MemoryPlan
from tflm_export.plan import UpdatePlan

MOST_ADDRESS = 1 << 32


def apart(compiled: Compiled, address: int) -> Compiled:
    """The same engine, bit for bit, which reads its constants at `address`, bytes.

    Raises `ExportError` for an address that is no whole word of 32 bits, and for an engine whose sources were
    changed by hand.
    """
    if address % 4 or not 0 < address < MOST_ADDRESS:
        raise ExportError(
            f"constants at {address:#x}: give a multiple of 4 below 0x100000000, the start of a flash page."
        )
    if compiled.constants is not None and compiled.constants.address == address:
        return compiled
    _check_own(compiled, _texts(compiled, compiled.constants))
    texts, image = emit_apart(*_parts(compiled), address)
    sources = dict(compiled.sources) | {f"src/{path}": text for path, text in texts.items()}
    facts = dict(compiled.facts) | {"constants_at": address, "constants_bytes": len(image.data)}
    return dataclasses.replace(compiled, sources=sources, facts=facts, constants=image)


def _parts(compiled: Compiled) -> tuple[Graph, MemoryPlan, UpdatePlan, str, Exemplars | None, bool]:
    own = (compiled.graph, compiled.memory, compiled.plan, compiled.name)
    return (*own, compiled.exemplars, compiled.facts["pauses"])


def _texts(compiled: Compiled, image: ConstantsImage | None) -> dict[str, str]:
    """The engine's sources as the compiler writes them."""
    if image is None:
        return emit(*_parts(compiled))
    return emit_apart(*_parts(compiled), image.address)[0]


def _check_own(compiled: Compiled, texts: dict[str, str]) -> None:
    """Refuse sources that are not what the compiler wrote: what was changed would be lost."""
    changed = [path for path, text in texts.items() if compiled.sources[f"src/{path}"] != text]
    if changed:
        raise ExportError(
            f"engine {compiled.name!r}: src/{changed[0]} is not what tflm-export {compiled.facts['version']} "
            "wrote, and moving the constants writes it anew; compile again, with --constants-at, and change "
            "that."
        )
