"""`Info`: what a board says of its engine and of how it stands."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tflm_export.board.commands import VERSION
from tflm_export.board.engine_id import engine_id
from tflm_export.compiler import Compiled
from tflm_export.errors import ExportError

_HEAD = struct.Struct("<B8s")
_STATE = struct.Struct("<IfiIfiII4IIII?B")


@dataclass(frozen=True)
class Info:
    """What the board runs, and its state.

    engine_id: 8 bytes of model and plan. classes: in use. judges: pictures that judge. steps: since the start
    or a reset. weights_crc: CRC-32 of all trained tensors in RAM, one after the other. about_bytes: of the
    description. writing: weights are half written. last_sequence: of the last frame that changed something.
    """

    engine_id: bytes
    input_bytes: int
    input_scale: float
    input_zero: int
    outputs: int
    output_scale: float
    output_zero: int
    target_bytes: int
    parameters: int
    classes: int
    remembered: int
    judges: int
    epoch: int
    steps: int
    weights_crc: int
    about_bytes: int
    writing: bool
    last_sequence: int

    @classmethod
    def from_bytes(cls, answer: bytes) -> Info:
        """Raises `ExportError` for another version's answer."""
        if not answer or answer[0] != VERSION:
            version = answer[0] if answer else "?"
            raise ExportError(
                f"the board speaks protocol version {version}, this program {VERSION}; make the sketch anew "
                "with tflm-export sketch, and flash it."
            )
        if len(answer) != _HEAD.size + _STATE.size:
            raise ExportError(
                f"the board answered {len(answer)} bytes to INFO; is the sketch of this version?"
            )
        _, identity = _HEAD.unpack_from(answer)
        return cls(identity, *_STATE.unpack_from(answer, _HEAD.size))

    def check(self, compiled: Compiled) -> None:
        """Raises `ExportError` when the board runs another engine than `compiled`."""
        expected = engine_id(compiled)
        if self.engine_id != expected:
            raise ExportError(
                f"the board runs engine {self.engine_id.hex()}, not {compiled.name!r} ({expected.hex()}): "
                "another model or plan; flash this engine's sketch."
            )
