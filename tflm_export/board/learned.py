"""What a board has learned, read and written: trained tensors whole, by their name in the model.

>>> from tflm_export.board.simulated import SimulatedBoard
>>> from tflm_export.front.write_tflite import patch_constants
>>> compiled = compile_model(tflite, plan)
>>> with SimulatedBoard(compiled) as board, board.client() as client:
...     client.train(inputs[0], 3).steps
...     learned = patch_constants(tflite, read_weights(client, compiled))
1
>>> len(learned) == len(tflite), learned == tflite
(True, False)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import numpy as np

from tflm_export.board.client import BoardClient, chunks
from tflm_export.board.commands import Command
from tflm_export.compiler import Compiled
from tflm_export.emit.names import parameter_name
from tflm_export.errors import ExportError
from tflm_export.living import image
from tflm_export.living.selection import Selection
from tflm_export.variable import Variable, numbered

BIAS_LIMIT, WEIGHT_LIMIT = 2**30, 127  # what a training step keeps within, and the kernels promise for


def read_weights(board: BoardClient, compiled: Compiled) -> dict[str, np.ndarray]:
    """The trained tensors, for `patch_constants`. Of an engine that chooses what learns: those of its last
    epoch's end, from its flash; call `new_epoch` before.

    Raises `ExportError` when the board runs another engine than `compiled`, or they change on the way.
    """
    info = board.info()
    info.check(compiled)
    if compiled.plan.pool is not None:
        area = board.read_flash(compiled.facts["pool"]["area_bytes"])
        return dict(image.read_image(area, compiled.graph, compiled.plan).weights)
    known = _variables(board, compiled)
    raw = [_read(board, i, variable) for i, variable in known]
    if zlib.crc32(b"".join(raw)) != info.weights_crc:
        raise ExportError("the board's weights changed while they were read; let it rest and read again.")
    found = {}
    for (_, variable), data in zip(known, raw, strict=True):
        stored = np.frombuffer(data, "<i4" if variable.bias else np.int8)
        found[variable.tensor] = variable.put(compiled.graph.constant(variable.tensor), stored)
    return found


def read_selection(board: BoardClient, compiled: Compiled) -> Selection:
    """Which channels of an engine that chooses learn since its last epoch's end, from its flash.

    `to_json` and `draw_selections` take a list of them, one an epoch. Raises `ExportError` for an engine
    without a pool, when the board runs another engine, or no epoch ended yet.
    """
    if compiled.plan.pool is None:
        raise ExportError("this engine has no pool: it learns what its plan names, for good.")
    board.info().check(compiled)
    return image.read_selection(lambda at, n: board.read_flash(n, at), compiled.graph, compiled.plan)


def write_weights(board: BoardClient, compiled: Compiled, weights: Mapping[str, np.ndarray]) -> None:
    """Set trained tensors from whole arrays, as `read_weights` gives them; those left out are as flashed.

    All or nothing to see: until the last byte is there and the board has checked the whole, it neither
    predicts nor learns. Its optimizer starts afresh, its memory is empty. An engine that chooses what learns
    begins its first epoch with them, in flash; cut half way, it has what it had after a restart. Raises
    `ExportError` for values that the kernels do not promise for, and another engine.
    """
    board.info().check(compiled)
    known = _variables(board, compiled)
    raw = [_bytes(variable, _whole(compiled, variable, weights)) for _, variable in known]
    board.ask(Command.BEGIN_WEIGHTS)
    for (i, _), data in zip(known, raw, strict=True):
        for at, n in chunks(len(data)):
            board.ask(Command.WRITE_WEIGHTS, struct.pack("<HI", i, at) + data[at : at + n])
    board.ask(Command.END_WEIGHTS, struct.pack("<I", zlib.crc32(b"".join(raw))))


def _read(board: BoardClient, i: int, variable: Variable) -> bytes:
    pieces = chunks(variable.nbytes)
    return b"".join(board.ask(Command.READ_WEIGHTS, struct.pack("<HIH", i, at, n), n) for at, n in pieces)


def _whole(compiled: Compiled, variable: Variable, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    flashed = compiled.graph.constant(variable.tensor)
    whole = np.asarray(weights.get(variable.tensor, flashed))
    if whole.shape != flashed.shape:
        raise ExportError(
            f"tensor {variable.tensor!r}: got {list(whole.shape)}; expected {list(flashed.shape)}."
        )
    return whole


def _bytes(variable: Variable, whole: np.ndarray) -> bytes:
    limit = BIAS_LIMIT if variable.bias else WEIGHT_LIMIT
    if whole.min(initial=0) < -limit or whole.max(initial=0) > limit:
        raise ExportError(f"tensor {variable.tensor!r} has values outside of -{limit:,} .. {limit:,}.")
    return variable.take(whole).astype("<i4" if variable.bias else np.int8).tobytes()


def _variables(board: BoardClient, compiled: Compiled) -> list[tuple[int, Variable]]:
    """The engine's trained tensors with their number on the board."""
    known = list(enumerate(numbered(compiled.graph)))
    for i, variable in known:
        answer = board.ask(Command.PARAMETER, struct.pack("<H", i))
        actual = answer[4:].decode("utf-8", "replace"), int.from_bytes(answer[:4], "little")
        wanted = parameter_name(variable.tensor), variable.written_bytes
        if actual != wanted:
            raise ExportError(f"the board's tensor {i} is {actual}; expected {wanted}.")
    return known
