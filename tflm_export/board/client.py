"""Talk to a board that runs the TrainOverSerial sketch: predict, train, remember, save.

The stream is anything with `read(n) -> bytes` (fewer, or none, after its own timeout) and `write(bytes)`,
without a buffer: a `serial.Serial`, a pipe. docs/protocol.md has the protocol.

    with BoardClient.open("/dev/ttyACM0") as board:
        board.train(picture, label)
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tflm_export.board.commands import Command
from tflm_export.board.info import Info
from tflm_export.board.link import Link, Stream
from tflm_export.board.ports import open_port
from tflm_export.compiler import Compiled
from tflm_export.contracts import Contract
from tflm_export.errors import ExportError
from tflm_export.ir import QParams
from tflm_export.optimizer import is_learning_rate, no_learning_rate

CHUNK = 256  # bytes of anything long a frame
NAME_BYTES = 16


@dataclass(frozen=True)
class TrainResult:
    """`loss` before the step; `steps` since the start or a reset; `predicted` class before the step, -1
    without classes; `epoch_over`: the board may choose anew what learns (`new_epoch`)."""

    loss: float
    steps: int
    predicted: int
    epoch_over: bool


class BoardClient:
    """A board on `stream`.

    timeout: seconds to wait for an answer, or for a sign that the board is at work. on_text: gets the text
    lines between answers. pause: seconds after every 64 bytes sent, for links without flow control. retries:
    how often a frame is sent again that the board calls damaged or cut, or whose answer does not come whole.
    The frame is the same then, and the board carries out a training step once. contract: the engine's, where
    pictures are given as they are. engine: what the board must run; None: anything.

    The first command asks the board what it is. Every method raises `ExportError` when no answer comes, the
    board refuses, or speaks another version, or runs another engine, and its `LinkLost` when the cable is
    pulled.
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
        engine: Compiled | None = None,
    ):
        self.link = Link(stream, timeout, on_text, pause, retries)
        self._contract = contract if contract is not None or engine is None else engine.contract
        self._engine, self._greeted = engine, False

    @classmethod
    def open(cls, port: str, **options: Any) -> BoardClient:
        """A board on a serial port (needs pyserial)."""
        return cls(open_port(port), **options)

    def __enter__(self) -> BoardClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()

    def reconnect(self, stream: Stream) -> None:
        """Go on with the same board on another stream: a command that was not answered, given again, is not
        carried out twice."""
        self.link.reconnect(stream)
        self._greeted = False

    def info(self) -> Info:
        """What the board runs, and how it stands."""
        info = Info.from_bytes(self.link.ask(Command.INFO))
        if self._engine is not None:
            info.check(self._engine)
        self.link.avoid(info.last_sequence)
        self._greeted = True
        return info

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the board tells of its engine: names of classes, input contract, memory, store, selection."""
        size = self.info().about_bytes
        text = b"".join(self.ask(Command.ABOUT, struct.pack("<IH", at, n), n) for at, n in chunks(size))
        found: dict[str, Any] = json.loads(text)
        return found

    def predict(self, x: np.ndarray) -> tuple[int, np.ndarray]:
        """Class (-1 of an autoencoder) and int8 outputs for int8 `x`, or for the picture `x` uint8."""
        answer = self.ask(Command.PREDICT, self._input(x))
        if len(answer) < 5:
            raise ExportError(f"the board answered {len(answer)} bytes to PREDICT.")
        return struct.unpack_from("<i", answer)[0], np.frombuffer(answer, np.int8, offset=4)

    def train(self, x: np.ndarray, target: int | np.ndarray | None = None) -> TrainResult:
        """One step on `x`, as `predict` takes it, with a class, int8 values (of the output's quantisation; 1
        and 0 for binary cross-entropy), or nothing for an autoencoder."""
        wanted = _target(target)
        answer = self.ask(Command.TRAIN, wanted + self._input(x), 16)
        loss, steps, predicted, over = struct.unpack("<fIiI", answer)
        return TrainResult(loss, steps, predicted, bool(over))

    def reset(self) -> None:
        """Weights and optimizer as they were flashed."""
        self.ask(Command.RESET)

    def set_learning_rate(self, rate: float) -> None:
        """Takes effect in the next step. Raises `ExportError` for what is no learning rate, too."""
        if not is_learning_rate(rate):
            raise ExportError(no_learning_rate(rate))
        self.ask(Command.LEARNING_RATE, struct.pack("<f", rate))

    def remember(self, label: int) -> int:
        """Offer the picture that was trained on last to the memory; samples in it."""
        return self._number(Command.REMEMBER, _label(label))

    def rest(self) -> float:
        """The replays of a step, without its own sample; the loss of the last, -1 when there was none."""
        return float(struct.unpack("<f", self.ask(Command.REST, b"", 4))[0])

    def judge(self) -> tuple[bool, int]:
        """The guard's last word: whether what was learned is kept; how many pictures judged."""
        kept, count = struct.unpack("<II", self.ask(Command.JUDGE, b"", 8))
        return bool(kept), count

    def new_class(self, x: np.ndarray, name: str = "") -> tuple[int, float]:
        """Open a spare class by its first picture; its label and the loss of its first step."""
        answer = self.ask(Command.NEW_CLASS, _name(name) + self._input(x), 8)
        label, loss = struct.unpack("<if", answer)
        return label, loss

    def class_name(self, label: int, name: str | None = None) -> str:
        """A spare class's name; `name`: the one that it has from now on, at most 16 bytes."""
        given = b"" if name is None else _name(name)
        raw = self.ask(Command.CLASS_NAME, _label(label) + given, NAME_BYTES)
        return raw.rstrip(b"\0").decode("utf-8", "replace")

    def evaluate(self, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Let the board judge `x` [N, ...] with `labels` [N]; its counts [true class, predicted class]."""
        self.ask(Command.CONFUSION, b"\1")
        for sample, label in zip(x, labels, strict=True):
            self.ask(Command.EVALUATE, _label(label) + self._input(sample), 4)
        counts = np.frombuffer(self.ask(Command.CONFUSION, b"\0"), "<u2")
        side = int(len(counts) ** 0.5)
        return counts.reshape(side, side).astype(np.int64)

    def new_epoch(self) -> int:
        """Commit what was learned to flash and let the board choose anew what learns; the epoch's number."""
        return self._number(Command.NEW_EPOCH)

    def save(self) -> None:
        """Write what was learned to the board's flash, all or nothing."""
        self.ask(Command.SAVE)

    def restore(self) -> bool:
        """Go back to what was saved last; False: nothing was, and the engine is as it was flashed."""
        return bool(self._number(Command.RESTORE))

    def factory_reset(self) -> None:
        """Flash area and engine as if nothing had ever been learned."""
        self.ask(Command.FACTORY_RESET)

    def read_flash(self, nbytes: int, start: int = 0) -> bytes:
        """Bytes from `start` on of the flash area in which the engine keeps its state."""
        return b"".join(
            self.ask(Command.READ_FLASH, struct.pack("<IH", start + at, n), n) for at, n in chunks(nbytes)
        )

    def ask(self, command: Command, payload: bytes = b"", size: int | None = None) -> bytes:
        """The answer to a command behind its status; of `size` bytes, when that is given."""
        if not self._greeted:
            self.info()
        answer = self.link.ask(command, payload)
        if size is not None and len(answer) != size:
            raise ExportError(f"the board answered {len(answer)} bytes to {command.name}; expected {size}.")
        return answer

    def _number(self, command: Command, payload: bytes = b"") -> int:
        return int(struct.unpack("<I", self.ask(command, payload, 4))[0])

    def _input(self, x: np.ndarray) -> bytes:
        """`x` as the board takes it: int8 values as they are, pixels or a sensor's values by the contract."""
        x = np.asarray(x)
        if self._contract is not None and str(x.dtype) == self._contract.dtype:
            x = self._contract.quantize(x, self._quant)
        return _int8(x)

    @cached_property
    def _quant(self) -> QParams:
        info = self.info()
        return QParams((info.input_scale,), (info.input_zero,))


def chunks(nbytes: int) -> list[tuple[int, int]]:
    """Place and size of every piece.

    >>> chunks(300)
    [(0, 256), (256, 44)]
    """
    return [(at, min(CHUNK, nbytes - at)) for at in range(0, nbytes, CHUNK)]


def _name(name: str) -> bytes:
    raw = name.encode()
    if len(raw) > NAME_BYTES or "\0" in name:
        raise ExportError(f"a class's name has at most {NAME_BYTES} bytes; got {name!r} of {len(raw)}.")
    return raw.ljust(NAME_BYTES, b"\0")


def _target(target: int | np.ndarray | None) -> bytes:
    if isinstance(target, (int, np.integer)):
        return _label(target)
    return b"" if target is None else _int8(target)


def _label(label: int | np.integer[Any]) -> bytes:
    if not -(2**31) <= label < 2**31:
        raise ExportError(f"a class is a number of 32 bits; got {label}.")
    return struct.pack("<i", int(label))


def _int8(x: np.ndarray) -> bytes:
    x = np.asarray(x)
    if x.dtype != np.int8:
        raise ExportError(
            "a board takes int8 values, or uint8 pictures where the client has the engine's contract "
            f"(float32 of signals); got {x.dtype}."
        )
    return np.ascontiguousarray(x).tobytes()
