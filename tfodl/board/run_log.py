"""The log of a board's run: a text file, one JSON object a line, each written as it happens.

A line with `event` is something that happened; every other line is a training step. `time` is seconds since
the run began, everywhere. Readers leave out keys and events that they do not know.

    {"event": "begin", "time": 0.0, "engine": "digits", "model_sha256": "1f...", "classes": ["0", "1"],
     "data": "digits", "order": "classes", "seed": 0, "samples": 1000, "port": "/dev/ttyACM0"}
    {"step": 1, "time": 0.31, "label": 3, "predicted": 5, "loss": 2.19}

| step's key | |
|---|---|
| `step` | 1, 2, ...: the sample's place in the stream; goes back where the board lost what it had learned |
| `label` | the class that was taught, an int; absent from tasks without classes |
| `predicted` | what the board said before it learned, -1 without an answer; absent as `label` |
| `loss` | before the step |
| `remembered` | samples in the board's memory; absent without one |

| event | its keys, beside `time` |
|---|---|
| `begin` | `engine`, `model_sha256`, `classes` (names), `data`, `order`, `seed`, `samples`, `port` |
| `evaluated` | `step` (after how many samples), `set`, `accuracy` 0 .. 1, `confusion` [true][predicted] |
| `saved` | `step`: what the board has in flash from now on |
| `unplugged` | `step`: the last that is known to be learned |
| `resumed` | `step`: where the stream goes on behind, `restarted`: whether the board lost its RAM |
| `epoch` | `step`, `epoch`, `channels` {layer: [channel, ...]}: the board chose anew what learns |
| `class` | `label`, `name`: a class that the board did not have |
| `end` | `step`, `steps`: of the board since its start |

>>> import tempfile, pathlib
>>> path = pathlib.Path(tempfile.mkdtemp()) / "run.jsonl"
>>> with RunLog(path) as log:
...     log.event("begin", engine="digits", samples=1)
...     log.step(1, label=3, predicted=5, loss=2.5)
>>> [line.get("event", line.get("loss")) for line in read_log(path)]
['begin', 2.5]
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from tflm_export.errors import TfodlError


class RunLog:
    """Writes a run's log to `path`, which it replaces; a line is on the disk when its call returns.

    Raises `TfodlError` when the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]):
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "w", encoding="utf-8", buffering=1)  # noqa: SIM115
        except OSError as error:
            raise TfodlError(f"cannot write the log {os.fspath(path)!r}: {error.strerror}.") from error
        self._start = time.monotonic()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def event(self, name: str, /, **facts: Any) -> None:
        """Something that happened."""
        self._write({"event": name, "time": self._now()} | facts)

    def step(self, step: int, **facts: Any) -> None:
        """A training step."""
        self._write({"step": step, "time": self._now()} | facts)

    def _now(self) -> float:
        return round(time.monotonic() - self._start, 3)

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")


def read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a log; a last one that was cut is left out. Raises `TfodlError` for what is no log."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise TfodlError(f"cannot read the log {os.fspath(path)!r}: {error}.") from error
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    return [_line(text, i, path) for i, text in enumerate(lines, start=1)]


def _line(text: str, number: int, path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not {"event", "step"} & set(found):
        raise TfodlError(f"{os.fspath(path)!r} is no log of a run: line {number} is {text.strip()[:40]!r}.")
    return found
