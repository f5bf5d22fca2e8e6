"""Who does a sweep's jobs: processes of this machine, or a Ray cluster. Outcomes come as they are ready."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from tflm_export.errors import TfodlError

Outcome = tuple[str, Any]
Function = Callable[..., Any]


class Failure(str):
    """Why a job failed, in one line."""


def call(function: Function, job: Mapping[str, Any] | Sequence[Any]) -> Any:
    """`function` on a job's arguments; an exception becomes a `Failure`."""
    try:
        return function(**job) if isinstance(job, Mapping) else function(*job)
    except Exception as error:  # the job's own code: whatever it raises is its outcome
        return Failure(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def run_local(
    function: Function, jobs: Mapping[str, Any], workers: int | None, attempts: int
) -> Iterator[Outcome]:
    """Outcomes of `jobs` from `workers` processes. A job whose process dies is begun again, on a new one."""
    queue = deque(jobs.items())
    count = min(workers or os.cpu_count() or 1, len(queue))
    begun = dict.fromkeys(jobs, 0)
    team = [_Worker(function, count) for _ in range(count)]
    try:
        for worker in team:
            worker.give(queue, begun)
        while busy := [worker for worker in team if worker.job is not None]:
            ready = wait([worker.connection for worker in busy])
            for worker in (worker for worker in busy if worker.connection in ready):
                key, job = worker.job or ("", None)
                outcome = worker.take()
                if not isinstance(outcome, _Died):
                    yield key, outcome
                elif begun[key] < attempts:
                    queue.appendleft((key, job))
                else:
                    yield key, Failure(f"its process died {attempts} times ({outcome})")
                if isinstance(outcome, _Died) and queue:
                    worker.restart()
                worker.give(queue, begun)
    finally:
        for worker in team:
            worker.stop()


class _Died(str):
    """A process that ended in mid-job: how."""


class _Worker:
    """One process that does one job after the other."""

    def __init__(self, function: Function, count: int) -> None:
        self.function, self.count = function, count
        self.job: tuple[str, Any] | None = None
        self.connection, self.process = _start(function, count)

    def give(self, queue: deque[tuple[str, Any]], begun: dict[str, int]) -> None:
        """Begin the next job, if there is one."""
        self.job = queue.popleft() if queue else None
        if self.job is None:
            return
        begun[self.job[0]] += 1
        with contextlib.suppress(OSError):  # it has died: the next `take` says so
            self.connection.send(self.job[1])

    def take(self) -> Any:
        """The outcome of the present job."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            return _Died(f"exit code {self.process.exitcode}")

    def restart(self) -> None:
        self.stop()
        self.connection, self.process = _start(self.function, self.count)

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


def _start(function: Function, count: int) -> tuple[Connection, Any]:
    """A fresh interpreter (TensorFlow does not survive a fork) and the pipe to it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, pickle.dumps(function), count), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _serve(connection: Connection, function: bytes, count: int) -> None:
    """In the process: a share of the processors, then job after job until the pipe closes."""
    share = str(max(1, (os.cpu_count() or 1) // count))
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", share)
    os.environ.setdefault("OMP_NUM_THREADS", share)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    do = pickle.loads(function)
    try:
        while True:
            connection.send(call(do, connection.recv()))
    except (EOFError, OSError, KeyboardInterrupt):
        return


def run_ray(
    function: Function, jobs: Mapping[str, Any], workers: int | None, attempts: int
) -> Iterator[Outcome]:
    """Outcomes of `jobs` from a Ray cluster, `workers` in flight (None: one a processor of the cluster).

    Ray begins a job again whose worker or node dies. Raises `TfodlError` without Ray.
    """
    try:
        import ray
    except ImportError as error:
        raise TfodlError("sweep: engine 'ray' needs Ray; install tfodl[ray].") from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    task = ray.remote(max_retries=attempts - 1, num_cpus=1)(call)
    queue = deque(jobs.items())
    limit = workers or max(1, int(cast(Any, ray).cluster_resources().get("CPU", 1)))
    flying: dict[Any, str] = {}
    try:
        while queue or flying:
            while queue and len(flying) < limit:
                key, job = queue.popleft()
                flying[task.remote(function, job)] = key
            for reference in ray.wait(list(flying), num_returns=1)[0]:
                yield flying.pop(reference), _fetch(ray, reference)
    finally:
        for reference in flying:
            ray.cancel(reference, force=True)


def _fetch(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return Failure(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
