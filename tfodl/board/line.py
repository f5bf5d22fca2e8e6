"""`Line`: a board and its cable, which may be pulled and put in again while something is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from tflm_export.board.client import BoardClient
from tflm_export.board.info import Info
from tflm_export.board.link import LinkLost
from tflm_export.board.ports import find_port, open_port
from tflm_export.board.simulated import SimulatedBoard
from tflm_export.compiler import Compiled
from tflm_export.errors import ExportError

PAUSE = 0.3  # seconds between two looks for the board
Result = TypeVar("Result")


class Place(Protocol):
    """Where a board can be reached."""

    name: str

    def open(self) -> Any:
        """A new stream to it. Raises `ExportError` while there is none."""


class Port:
    """A serial port; None: the one with a board on it, wherever that comes up."""

    def __init__(self, port: str | None):
        self._port, self.name = port, port or "the port with a board"

    def open(self) -> Any:
        """The port."""
        return open_port(self._port or find_port())


class Simulation:
    """A board that is simulated here."""

    def __init__(self, board: SimulatedBoard):
        self._board, self.name = board, "the simulated board"

    def open(self) -> Any:
        """Its pseudo-terminal."""
        return open_port(self._board.port)


class Restarted(ExportError):
    """The board lost its RAM while the cable was out; `info` is how it stands now."""

    def __init__(self, info: Info):
        super().__init__("the board was restarted.")
        self.info = info


class Line:
    """A client whose commands outlast a pulled cable for `patience` seconds.

    `unplugged` and `resumed` are called when the cable is out, and in again; `greet` gives a board that came
    back what it may have forgotten, for without a step it cannot tell whether it kept its power.

    Raises `ExportError` where no board answers at `place`, or it runs another engine than `compiled`.
    """

    def __init__(self, place: Place, compiled: Compiled, patience: float = 60.0):
        self._place, self._patience = place, patience
        self.unplugged: Callable[[], None] = lambda: None
        self.resumed: Callable[[], None] = lambda: None
        self.greet: Callable[[BoardClient], None] = lambda board: None
        self.client = BoardClient(place.open(), engine=compiled)
        tell_silence(self.client, place.name)
        self._steps = self.client.info().steps

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.link.close()

    def do(self, action: Callable[[BoardClient], Result]) -> Result:
        """What `action` gives, begun again where the cable was pulled: what changes something is done once.

        Raises `Restarted` when the board lost its RAM meanwhile, `LinkLost` when it does not come back.
        """
        while True:
            try:
                return action(self.client)
            except LinkLost as lost:
                self.unplugged()
                self._wait(lost)

    def at(self, steps: int) -> None:
        """The board's own count of steps, by which a restarted one is told."""
        self._steps = steps

    def _wait(self, lost: LinkLost) -> None:
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            try:
                self.client.reconnect(self._place.open())
                info = self.client.info()
                self.greet(self.client)
            except ExportError:
                time.sleep(PAUSE)
                continue
            if info.steps not in (self._steps, self._steps + 1):
                self._steps = info.steps
                raise Restarted(info)
            self.resumed()
            return
        raise lost


def tell_silence(client: BoardClient, name: str) -> None:
    """Say what is waited for where the board at `name` does not answer at once, the first time."""

    def say() -> None:
        client.link.on_silence = lambda: None
        print(f"waiting {client.link.timeout:g} s for {name} to answer ...", file=sys.stderr, flush=True)

    client.link.on_silence = say
