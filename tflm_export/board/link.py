"""`Link`: asks a board and waits for its answer, over whatever the line does to the bytes."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from tflm_export.board.commands import OK, ONCE, TRANSIENT, WORKING, Command, reason
from tflm_export.board.frames import ANSWER, FrameReader, frame
from tflm_export.errors import ExportError

STALLED = 1.0  # seconds after which a frame that stops half way was cut
GREETING = 2.0  # seconds within which a board says what it is, but for one that starts or is at work
AGAIN = 5.0  # seconds for a frame that is sent again after silence


class LinkLost(ExportError):
    """The cable is out, or the board is gone: a new line is needed."""


class Stream(Protocol):
    """Bytes to and from a board."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; fewer when they do not come in time."""

    def write(self, data: bytes, /) -> Any:
        """Send all of `data`, at once."""


class Link:
    """A board on `stream`; `BoardClient` says what the other arguments are."""

    def __init__(
        self,
        stream: Stream,
        timeout: float,
        on_text: Callable[[str], None] | None,
        pause: float,
        retries: int,
    ):
        self.stream, self.timeout, self.retries, self.pause = stream, timeout, retries, pause
        self._on_text, self._reader = on_text, FrameReader()
        self._sequence = secrets.randbelow(256)
        self._changed: int | None = None  # the sequence of the last frame that changed something
        self._unanswered: bytes | None = None  # such a frame, when no answer came
        self.on_silence: Callable[[], None] = lambda: None  # a board does not say at once what it is

    def reconnect(self, stream: Stream) -> None:
        """Go on over another line; a frame that was not answered is known again when it is sent again."""
        self.close()
        self.stream = stream
        self._reader.clear()

    def close(self) -> None:
        """Close the stream, when it can be closed."""
        close = getattr(self.stream, "close", None)
        if close is not None:
            with contextlib.suppress(OSError):
                close()

    def avoid(self, sequence: int) -> None:
        """The board carried out a frame with this sequence last: none that is new may have it, too."""
        if self._unanswered is None:
            self._changed = sequence

    def ask(self, command: Command, payload: bytes = b"") -> bytes:
        """Send a frame, wait for its answer; the answer's payload behind its status."""
        data, sequence = self._frame(command, payload)
        if command in ONCE:
            self._changed, self._unanswered = sequence, data
        answer = self._answer(command, data)
        if not answer:
            raise ExportError(
                f"the board does not answer {command.name} within {self.timeout:g} s. Is it the right port, "
                "and does a sketch of tflm-export run there? Press its reset button, or flash the sketch."
            )
        if command in ONCE:
            self._unanswered = None
        if answer[0] != OK:
            raise ExportError(f"the board refuses {command.name}: {reason(answer[0], command)}")
        return answer[1:]

    def _answer(self, command: Command, data: bytes) -> bytes:
        """What the board says in the end; b"" for silence. What it is, is asked for `timeout` in all, for a
        board that starts does not hear it."""
        greets = command is Command.INFO
        tries = max(1, self.retries) if greets else self.retries
        answer = self._attempt(data, min(GREETING, self.timeout) if greets else None)
        if greets and not answer:
            self.on_silence()
        again = max(0.0, self.timeout - GREETING) / tries if greets else min(AGAIN, self.timeout)
        for _ in range(tries):
            if answer and answer[0] not in TRANSIENT:
                break
            answer = self._attempt(data, None if answer else again)
        return answer

    def _frame(self, command: Command, payload: bytes) -> tuple[bytes, int]:
        """A frame with a sequence of its own, or one that was not answered as it was."""
        if self._unanswered is not None and self._changed is not None:
            again = frame(command, self._changed, payload)
            if again == self._unanswered:
                return again, self._changed
        self._sequence = (self._sequence + 1) % 256
        if self._sequence == self._changed:
            self._sequence = (self._sequence + 1) % 256
        return frame(command, self._sequence, payload), self._sequence

    def _attempt(self, data: bytes, seconds: float | None = None) -> bytes:
        """The answer to one frame; b"" where none comes in `seconds` (None: the timeout), or not whole."""
        self._send(data)
        kind, sequence = data[2] | ANSWER, data[3]
        last, cut = time.monotonic(), False
        deadline = last + (self.timeout if seconds is None else seconds)
        while time.monotonic() <= deadline:
            found = self._reader.next()
            self._texts()
            if found is not None and (found.kind, found.sequence) == (kind, sequence) and found.payload:
                if found.payload[0] != WORKING:
                    return found.payload
                deadline = time.monotonic() + self.timeout
            elif found is None and self._more():
                last = time.monotonic()
            elif found is None and self._reader.in_a_frame and time.monotonic() - last > STALLED:
                self._reader.skip()
                cut = True
            elif found is None and cut:
                return b""  # an answer came in part: ask again at once
        return b""

    def _send(self, data: bytes) -> None:
        size = 64 if self.pause else len(data)
        for at in range(0, len(data), size):
            with _words():
                self.stream.write(data[at : at + size])
            if self.pause:
                time.sleep(self.pause)

    def _more(self) -> bool:
        """Take what has come in; whether anything had."""
        with _words():
            data = self.stream.read(max(1, getattr(self.stream, "in_waiting", 0)))
        self._reader.feed(data)
        return bool(data)

    def _texts(self) -> None:
        for line in self._reader.texts():
            if self._on_text is not None:
                self._on_text(line)


@contextlib.contextmanager
def _words() -> Iterator[None]:
    """Say in words when the cable is pulled or the board takes nothing."""
    try:
        yield
    except (OSError, TypeError) as error:  # pyserial's are OSErrors; of a port closed meanwhile TypeErrors
        raise LinkLost(f"the connection to the board is lost ({error}); plug it in again.") from error
