"""Many independent jobs, on this machine's processes or a Ray cluster; a killed sweep goes on where it was.

Every result is one line of a `.jsonl` file, appended as it comes. A job is known by a key made of its
function and arguments: what is in the file is not done again.

>>> import operator, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     run(operator.add, [(1, 2), (3, 4)], f"{folder}/sums.jsonl", workers=1, progress=False)
[3, 7]
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

from tqdm import tqdm

from tflm_export.errors import TfodlError
from tfodl.experiments.workers import Failure, Outcome, run_local, run_ray

ENGINES = ("local", "ray")
Arguments = Mapping[str, Any] | Sequence[Any]


def run(
    function: Callable[..., Any],
    jobs: Sequence[Arguments],
    results: str | os.PathLike[str],
    *,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    attempts: int = 3,
    progress: bool = True,
) -> list[Any]:
    """`function(**arguments)` (or `function(*arguments)`) for every job; the results in the jobs' order.

    function: of a module, so that other processes can import it; returns what JSON can hold.
    jobs: the arguments of each, JSON values; equal jobs are done once.
    results: `.jsonl` file; one line a job that is done, with its key, arguments and result.
    engine: `"local"` processes, or `"ray"`: the cluster that `ray.init` finds (RAY_ADDRESS), else a new one.
    workers: processes, or jobs in flight on the cluster; None is one a processor.
    attempts: how often a job is begun whose worker dies in mid-job.

    Raises `TfodlError` when another sweep writes to `results`, the file is damaged, or jobs failed: all
    others are done first, and the next run tries only these again.
    """
    if engine not in ENGINES:
        raise TfodlError(f"sweep: engine must be one of {ENGINES}, got {engine!r}.")
    todo = {key_of(function, job): job for job in jobs}
    with _locked(Path(results)) as stream:
        done = _read(stream, Path(results))
        missing = {key: job for key, job in todo.items() if key not in done}
        outcomes = (run_ray if engine == "ray" else run_local)(function, missing, workers, attempts)
        failures = _collect(outcomes, missing, done, stream, len(todo), progress)
    if failures:
        key, reason = next(iter(failures.items()))
        raise TfodlError(
            f"sweep: {len(failures)} of {len(todo)} jobs failed, first {dict_of(todo[key])}: {reason}. "
            "The others are done; run again to try only these."
        )
    return [done[key_of(function, job)] for job in jobs]


def key_of(function: Callable[..., Any], job: Arguments) -> str:
    """The key of a job: SHA-256 of the function's name and the arguments.

    Raises `TfodlError` when the arguments are no JSON values.
    """
    name = f"{function.__module__}.{function.__qualname__}"
    try:
        text = json.dumps([name, dict_of(job)], sort_keys=True)
    except (TypeError, ValueError) as error:
        raise TfodlError(f"sweep: arguments of a job must be JSON values, got {job!r} ({error}).") from error
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def dict_of(job: Arguments) -> dict[str, Any] | list[Any]:
    """A job's arguments as JSON has them."""
    return dict(job) if isinstance(job, Mapping) else list(job)


def load(results: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The lines of a results file: dicts of `key`, `arguments`, `result`.

    Raises `TfodlError` when it cannot be read or a line is damaged (a cut last line is left out).
    """
    try:
        data = Path(results).read_bytes()
    except OSError as error:
        raise TfodlError(f"sweep: cannot read {str(results)!r}: {error.strerror}.") from error
    return _lines(data, Path(results))


def _collect(
    outcomes: Iterator[Outcome],
    jobs: Mapping[str, Arguments],
    done: dict[str, Any],
    stream: BinaryIO,
    total: int,
    progress: bool,
) -> dict[str, str]:
    """Take results into `done` and the file as they come; returns the failures, reason by key."""
    failures: dict[str, str] = {}
    bar = tqdm(total=total, initial=total - len(jobs), desc="sweep", disable=not progress, delay=5.0)
    with contextlib.closing(outcomes), bar:  # type: ignore[type-var]
        for key, result in outcomes:
            line = None if isinstance(result, Failure) else _line(key, jobs[key], result)
            if line is None:
                failures[key] = str(result) if isinstance(result, Failure) else "result is no JSON value"
            else:
                done[key] = json.loads(line)["result"]
                _append(stream, line)
            bar.update()
    return failures


def _line(key: str, job: Arguments, result: Any) -> bytes | None:
    row = {"key": key, "arguments": dict_of(job), "result": result}
    try:
        return json.dumps(row).encode() + b"\n"
    except (TypeError, ValueError):
        return None


def _append(stream: BinaryIO, line: bytes) -> None:
    """One write, on disk before the next job counts as done."""
    try:
        stream.write(line)
        stream.flush()
        os.fsync(stream.fileno())
    except OSError as error:
        raise TfodlError(f"sweep: cannot write {stream.name!r}: {error.strerror}.") from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The results file, open to append, for this sweep alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+b")
    except OSError as error:
        raise TfodlError(f"sweep: cannot write {str(path)!r}: {error.strerror}.") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TfodlError(f"sweep: another sweep is writing to {str(path)!r}; wait for it.") from error
        yield stream


def _read(stream: BinaryIO, path: Path) -> dict[str, Any]:
    """What is done, by key; a last line that a kill cut short is taken away."""
    stream.seek(0)
    data = stream.read()
    whole = data.rfind(b"\n") + 1
    rows = _lines(data[:whole], path)
    stream.truncate(whole)
    return {row["key"]: row["result"] for row in rows}


def _lines(data: bytes, path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            row = json.loads(line)
            if not {"key", "arguments", "result"} <= set(row):
                raise ValueError("fields are missing")
        except (ValueError, TypeError) as error:
            raise TfodlError(f"sweep: {str(path)!r}, line {number}: damaged ({error}).") from error
        rows.append(row)
    return rows
