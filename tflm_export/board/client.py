"""Talk to a board that runs the TrainOverSerial sketch: predict, train, read and write weights.

The protocol is arduino/src/tfodl/serial_protocol.h. The stream is anything with `read(n) -> bytes` (fewer, or
none, after its own timeout) and `write(bytes)`: a `serial.Serial`, a socket file, a pipe.

    with BoardClient.open("/dev/ttyACM0") as board:
        board.train(picture, label)
"""

from __future__ import annotations

import contextlib
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.contracts import Contract
from tflm_export.emit.names import parameter_name
from tflm_export.errors import ExportError
from tflm_export.ir import QParams
from tflm_export.variable import Variable, variables

MAGIC = b"\xa5\x7e"
STALLED = 1.0  # seconds after which a frame that stops half way was cut
VERSION = 1
ANSWER = 0x80
HEADER = struct.Struct("<2sBBIH")
SIGNED = 8  # header bytes under a checksum
CHUNK = 256  # bytes of weights a frame
MAX_ANSWER = 2**20


class Command(IntEnum):
    """What a board can be asked."""

    INFO = 1
    PREDICT = 2
    TRAIN = 3
    READ_WEIGHTS = 4
    WRITE_WEIGHTS = 5
    RESET = 6
    LEARNING_RATE = 7
    PARAMETER = 8


STATUS = {
    1: "it does not know this command; is the sketch of this version?",
    2: "the payload has a wrong length; was the sketch made for this model?",
    3: "the frame arrived damaged; try again, or slow the line down.",
    4: "the frame stopped half way; try again.",
    5: "a value or index is out of range.",
}


TRANSIENT = (3, 4)


class Stream(Protocol):
    """Bytes to and from a board."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; fewer when they do not come in time."""

    def write(self, data: bytes, /) -> Any:
        """Send all of `data`."""


@dataclass(frozen=True)
class Info:
    """What the board runs. `model_id`: the first 8 bytes of the model's SHA-256."""

    model_id: bytes
    input_bytes: int
    input_scale: float
    input_zero: int
    outputs: int
    output_scale: float
    output_zero: int
    target_bytes: int
    parameters: int
    steps: int


@dataclass(frozen=True)
class TrainResult:
    """`loss` before the step; `steps` since the start or a reset."""

    loss: float
    steps: int


class BoardClient:
    """A board on `stream`.

    timeout: seconds to wait for an answer. on_text: gets the text lines between answers. pause: seconds
    after every 64 bytes sent, for links without flow control. retries: how often a frame is sent again that
    the board calls damaged or cut, or whose answer does not come whole. The frame is the same then, and the
    board carries out a training step once. contract: the engine's, where pictures are given as they are.

    Every method raises `ExportError` when no answer comes, the board refuses, or the cable is pulled.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        timeout: float = 30.0,
        on_text: Callable[[str], None] | None = None,
        pause: float = 0.0,
        retries: int = 3,
        contract: Contract | None = None,
    ):
        self._stream, self._timeout, self._on_text = stream, timeout, on_text
        self._pause, self._retries = pause, retries
        self._contract = contract
        self._sequence = secrets.randbelow(256)  # not that of an earlier client
        self._pending = b""

    @classmethod
    def open(cls, port: str, **options: Any) -> BoardClient:
        """A board on a serial port (needs pyserial)."""
        try:
            import serial
        except ImportError as error:
            raise ExportError("a serial port needs pyserial: pip install 'tfodl[board]'") from error
        try:
            return cls(serial.Serial(port, 115200, timeout=0.1, write_timeout=10), **options)
        except serial.SerialException as error:
            raise ExportError(f"cannot open serial port {port!r}: {error}.") from error

    def __enter__(self) -> BoardClient:
        return self

    def __exit__(self, *_: object) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()

    def info(self) -> Info:
        """What the board runs."""
        answer = self._exact(self._ask(Command.INFO), 45)
        if answer[0] != VERSION:
            raise ExportError(
                f"the board speaks protocol version {answer[0]}; this program speaks {VERSION}."
            )
        return Info(answer[1:9], *struct.unpack("<IfiIfiIII", answer[9:]))

    def predict(self, x: np.ndarray) -> tuple[int, np.ndarray]:
        """Class (-1 of an autoencoder) and int8 outputs for int8 `x`, or for the picture `x` uint8."""
        answer = self._ask(Command.PREDICT, self._input(x))
        if len(answer) < 5:
            raise ExportError(f"the board answered {len(answer)} bytes to PREDICT.")
        return struct.unpack_from("<i", answer)[0], np.frombuffer(answer, np.int8, offset=4)

    def train(self, x: np.ndarray, target: int | np.ndarray | None = None) -> TrainResult:
        """One step on `x`, as `predict` takes it, with a class, int8 values (of the output's quantisation; 1
        and 0 for binary cross-entropy), or nothing for an autoencoder."""
        scalar = isinstance(target, (int, np.integer))
        wanted = struct.pack("<i", target) if scalar else b"" if target is None else _int8(np.asarray(target))
        answer = self._ask(Command.TRAIN, wanted + self._input(x))
        return TrainResult(*struct.unpack("<fI", self._exact(answer, 8)))

    def reset(self) -> None:
        """Weights and optimizer as they were flashed."""
        self._ask(Command.RESET)

    def set_learning_rate(self, rate: float) -> None:
        """Takes effect in the next step."""
        self._ask(Command.LEARNING_RATE, struct.pack("<f", rate))

    def parameter(self, index: int) -> tuple[str, int]:
        """Name and bytes of a trained tensor."""
        answer = self._ask(Command.PARAMETER, struct.pack("<H", index))
        if len(answer) < 4:
            raise ExportError(f"the board answered {len(answer)} bytes to PARAMETER.")
        return answer[4:].decode("utf-8", "replace"), struct.unpack_from("<I", answer)[0]

    def read_weights(self, compiled: Compiled) -> dict[str, np.ndarray]:
        """The trained tensors, whole, by name: for `patch_constants`. `compiled`: what the board runs."""
        found = {}
        for i, variable in self._variables(compiled):
            raw = b"".join(
                self._exact(self._ask(Command.READ_WEIGHTS, struct.pack("<HIH", i, at, n)), n)
                for at, n in _chunks(variable.nbytes)
            )
            stored = np.frombuffer(raw, "<i4" if variable.bias else np.int8)
            found[variable.tensor] = variable.put(compiled.graph.constant(variable.tensor), stored)
        return found

    def write_weights(self, compiled: Compiled, weights: Mapping[str, np.ndarray]) -> None:
        """Set trained tensors from whole arrays by name, as `read_weights` gives them."""
        for i, variable in self._variables(compiled):
            if variable.tensor in weights:
                array = np.asarray(weights[variable.tensor], "<i4" if variable.bias else np.int8)
                raw = np.ascontiguousarray(variable.take(array)).tobytes()
                for at, n in _chunks(variable.nbytes):
                    self._ask(Command.WRITE_WEIGHTS, struct.pack("<HI", i, at) + raw[at : at + n])

    def _input(self, x: np.ndarray) -> bytes:
        """`x` as the board takes it: int8 values as they are, pixels or a sensor's values by the contract."""
        x = np.asarray(x)
        if self._contract is not None and str(x.dtype) == self._contract.dtype:
            info = self.info()
            x = self._contract.quantize(x, QParams((info.input_scale,), (info.input_zero,)))
        return _int8(x)

    def _variables(self, compiled: Compiled) -> list[tuple[int, Variable]]:
        """The engine's trained tensors, when the board runs this engine."""
        expected, actual = compiled.facts["model_sha256"][:16], self.info().model_id.hex()
        known = list(enumerate(variables(compiled.graph)))
        if expected != actual:
            raise ExportError(f"the board runs model {actual}, not {expected}; flash this engine's sketch.")
        for i, variable in known:
            name, nbytes = self.parameter(i)
            wanted = parameter_name(variable.tensor)
            if (name, nbytes) != (wanted, variable.nbytes):
                raise ExportError(
                    f"the board's tensor {i} is {name!r} of {nbytes} bytes; expected {wanted!r} of "
                    f"{variable.nbytes}. It was made with another plan."
                )
        return known

    def _ask(self, command: Command, payload: bytes = b"") -> bytes:
        """Send a frame, wait for its answer; the answer's payload behind its status."""
        self._sequence = (self._sequence + 1) % 256
        answer = self._attempt(command, payload)
        for _ in range(self._retries):
            if answer and answer[0] not in TRANSIENT:
                break
            answer = self._attempt(command, payload)
        if not answer:
            raise ExportError(f"the board does not answer {command.name} within {self._timeout:g} s.")
        if answer[0] != 0:
            reason = STATUS.get(answer[0], f"status {answer[0]}.")
            raise ExportError(f"the board refuses {command.name}: {reason}")
        return answer[1:]

    def _attempt(self, command: Command, payload: bytes) -> bytes:
        """The answer to one frame; b"" where none comes in time."""
        self._send(frame(command, self._sequence, payload))
        deadline = time.monotonic() + self._timeout
        while time.monotonic() <= deadline:
            kind, sequence, answer = self._receive(deadline)
            if (kind, sequence) == (command | ANSWER, self._sequence) and answer:
                return answer
        return b""

    def _send(self, data: bytes) -> None:
        size = 64 if self._pause else len(data)
        for at in range(0, len(data), size):
            with self._link():
                self._stream.write(data[at : at + size])
                getattr(self._stream, "flush", lambda: None)()
            if self._pause:
                time.sleep(self._pause)

    def _receive(self, deadline: float) -> tuple[int, int, bytes]:
        """The next whole and undamaged frame, (0, 0, b"") at the deadline; text before it goes to `on_text`.

        A frame that stalls was cut: the search goes on behind its first byte.
        """
        while time.monotonic() <= deadline:
            at = self._pending.find(MAGIC)
            if at >= 0 and len(self._pending) - at >= HEADER.size:
                self._text(self._pending[:at])
                self._pending = self._pending[at:]
                _, kind, sequence, length, check = HEADER.unpack_from(self._pending)
                crc = zlib.crc32(self._pending[:SIGNED])
                if crc & 0xFFFF != check or length > MAX_ANSWER:
                    self._pending = self._pending[1:]
                    continue
                end = HEADER.size + length
                if not self._filled(end + 4, deadline):
                    self._pending = self._pending[1:]
                    continue
                payload = self._pending[HEADER.size : end]
                (final,) = struct.unpack_from("<I", self._pending, end)
                if zlib.crc32(payload, crc) == final:
                    self._pending = self._pending[end + 4 :]
                    return kind, sequence, payload
                self._pending = self._pending[1:]
            else:
                self._more()
        return 0, 0, b""

    def _filled(self, size: int, deadline: float) -> bool:
        """Whether `size` bytes are pending before a pause of `STALLED` seconds or the deadline."""
        last = time.monotonic()
        while len(self._pending) < size:
            if self._more():
                last = time.monotonic()
            elif time.monotonic() > min(deadline, last + STALLED):
                return False
        return True

    def _more(self) -> bool:
        """Take what has come in; whether anything had."""
        with self._link():
            data = self._stream.read(max(1, getattr(self._stream, "in_waiting", 0)))
        self._pending += data
        return bool(data)

    @staticmethod
    @contextlib.contextmanager
    def _link() -> Iterator[None]:
        """Say in words when the cable is pulled or the board takes nothing."""
        try:
            yield
        except OSError as error:  # of which pyserial's are
            raise ExportError(f"the connection to the board is lost ({error}); plug it in again.") from error

    def _text(self, raw: bytes) -> None:
        for line in raw.decode("ascii", "replace").splitlines():
            if line and self._on_text is not None:
                self._on_text(line)

    @staticmethod
    def _exact(answer: bytes, size: int) -> bytes:
        if len(answer) != size:
            raise ExportError(f"the board answered {len(answer)} bytes; expected {size}.")
        return answer


def frame(command: int, sequence: int, payload: bytes = b"") -> bytes:
    """A whole frame."""
    head = struct.pack("<2sBBI", MAGIC, command, sequence, len(payload))
    crc = zlib.crc32(head)
    return head + struct.pack("<H", crc & 0xFFFF) + payload + struct.pack("<I", zlib.crc32(payload, crc))


def _int8(x: np.ndarray) -> bytes:
    x = np.asarray(x)
    if x.dtype != np.int8:
        raise ExportError(
            "a board takes int8 values, or uint8 pictures where the client has the engine's contract "
            f"(float32 of signals); got {x.dtype}."
        )
    return np.ascontiguousarray(x).tobytes()


def _chunks(nbytes: int) -> list[tuple[int, int]]:
    return [(at, min(CHUNK, nbytes - at)) for at in range(0, nbytes, CHUNK)]
