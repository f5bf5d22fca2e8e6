"""The log of a board's run: a text file, one JSON object a line, each written as it happens.

A line with `event` is something that happened; every other line is a training step. `time` is seconds since
the run began, everywhere. Who reads it (`tflm_export/report/run_lines.py`) leaves out
what is not known, and a line that was cut.

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
| | of other tasks than classes `mae`, `r2`, `auc`, `f1`, `error` for the last two |
| `saved` | `step`: what the board has in flash from now on |
| `unplugged` | `step`: the last that is known to be learned |
| `resumed` | `step`: where the stream goes on behind, `restarted`: whether the board lost its RAM |
| `epoch` | `step`, `epoch`, `channels` {layer: [channel, ...]}: the board chose anew what learns |
| `class` | `label`, `name`: a class that the board did not have |
| `end` | `step`, `steps`: of the board since its start |

>>> import tempfile, pathlib
>>> from tflm_export.report.run_lines import read_run_file
>>> path = pathlib.Path(tempfile.mkdtemp()) / "run.jsonl"
>>> with RunLog(path) as log:
...     log.event("begin", engine="digits", samples=1)
...     log.step(1, label=3, predicted=5, loss=2.5)
>>> read_run_file(path).steps[0].loss
2.5
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
