"""`SimulatedBoard`: the very sketch of an engine on this computer, behind a pseudo-terminal.

>>> with SimulatedBoard(compile_model(tflite, plan)) as board, board.client() as client:
...     client.train(inputs[0], 3).steps, client.info().steps
(1, 1)
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import threading
import time
import tty
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tflm_export.board.client import BoardClient
from tflm_export.board.host_sketch import build_sketch
from tflm_export.compiler import Compiled
from tflm_export.machines.host import FLAGS

TICK = 0.02  # seconds within which a thread sees that the cable is out


class SimulatedBoard:
    """A board with power and a cable; `port` is where its serial line can be opened. For POSIX systems.

    compiled, names, flags: as `build_sketch` takes them. program: what it built, where it did so before.
    constants: what lies in flash where an engine has its constants beside the sketch; None: its own. Flash
    outlives `cut_power`.
    """

    def __init__(
        self,
        compiled: Compiled,
        names: Sequence[str] = (),
        flags: Sequence[str] = FLAGS,
        program: Path | None = None,
        constants: bytes | None = None,
    ):
        self._compiled = compiled
        self._temporary = tempfile.TemporaryDirectory(prefix="tfodl-board-")
        self._folder = Path(self._temporary.name)
        self.port = str(self._folder / "port")
        self._program = program or build_sketch(compiled, self._folder / "library", names, flags)
        own = b"" if compiled.constants is None else compiled.constants.data
        (self._folder / "constants.bin").write_bytes(own if constants is None else constants)
        self._lock, self._ends = threading.Lock(), (-1, -1)  # of the terminal: ours, the client's
        self._closing = False
        self._process = self._power_on()
        self.plug()
        pumps = (self._to_board, self._from_board)
        self._threads = [threading.Thread(target=self._pump, args=(pump,), daemon=True) for pump in pumps]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> SimulatedBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def client(self, **options: Any) -> BoardClient:
        """A client of this board, and of no other."""
        return BoardClient.open(self.port, engine=self._compiled, **options)

    def plug(self) -> None:
        """Put the cable in: `port` is there."""
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.port)
        os.symlink(os.ttyname(theirs), self.port)
        with self._lock:
            self._ends = (ours, theirs)

    def unplug(self) -> None:
        """Pull the cable: bytes on the way are lost, the board goes on."""
        with self._lock:
            ends, self._ends = self._ends, (-1, -1)
            for end in ends:
                if end >= 0:
                    os.close(end)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.port)

    def cut_power(self) -> None:
        """Pull the cable of a board that has no other power, and put it in again: its RAM is lost."""
        self.unplug()
        self._process.kill()
        self._process.wait()
        with self._lock:
            self._process = self._power_on()
        self.plug()

    def close(self) -> int:
        """Switch the board off; the exit status of its program."""
        self._closing = True
        self.unplug()
        if self._process.stdin is not None:
            self._process.stdin.close()
        for thread in self._threads:
            thread.join()
        status = self._process.wait(10)
        self._temporary.cleanup()
        return status

    def _power_on(self) -> subprocess.Popen[bytes]:
        files = {"TFODL_FLASH": "flash.bin", "TFODL_CONSTANTS": "constants.bin"}
        environment = os.environ | {name: str(self._folder / file) for name, file in files.items()}
        return subprocess.Popen(
            [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment
        )

    def _pump(self, step: Callable[[], None]) -> None:
        while not self._closing:
            with contextlib.suppress(OSError, ValueError):  # the cable, or the power, went meanwhile
                step()

    def _to_board(self) -> None:
        data = self._take(lambda: self._ends[0])
        if data and self._process.stdin is not None:
            self._process.stdin.write(data)

    def _from_board(self) -> None:
        data = self._take(self._output)
        while data and not self._closing:
            with self._lock:
                if self._ends[0] < 0:
                    return  # nobody is there to take it
                with contextlib.suppress(BlockingIOError):
                    data = data[os.write(self._ends[0], data) :]
                    continue
            time.sleep(TICK)

    def _output(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def _take(self, end: Callable[[], int]) -> bytes:
        """What has come in at a file descriptor, read under the lock: who closes it holds that, too, and
        afterwards its number may be another file's."""
        waiting = [end()] if end() >= 0 else []
        select.select(waiting, [], [], TICK)
        with self._lock:
            ready = end() >= 0 and select.select([end()], [], [], 0)[0]
            return os.read(end(), 4096) if ready else b""
