"""What `tfodl board` does: `learn`, `pull`, `push`, `constants`, `about`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

from tflm_export.board.constants import write_constants
from tflm_export.board.learned import read_weights, write_weights
from tflm_export.board.simulated import SimulatedBoard
from tflm_export.compiler import Compiled
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError, TfodlError
from tflm_export.files import require_writable, write_bytes, write_text
from tflm_export.front.read_tflite import constants
from tflm_export.front.write_tflite import patch_constants
from tflm_export.optimizer import is_learning_rate, no_learning_rate
from tflm_export.report.board_page import board_page
from tflm_export.report.run_lines import read_lines
from tflm_export.variable import variables
from tfodl.board.classes import BoardClasses
from tfodl.board.curve import Curve
from tfodl.board.line import Line, Place, Port, Simulation, tell_silence
from tfodl.board.run import Run
from tfodl.board.run_log import RunLog
from tfodl.board.samples import Samples, load_samples
from tfodl.board.value_run import ValueRun

LEAST = {
    "samples": 1, "tests": 1, "seed": 0, "save_every": 0, "evaluate_every": 0, "rest": 0, "unplug": 1,
}  # fmt: skip
OUT_SECONDS = 1.0  # that a simulated cable stays out


@dataclass(frozen=True)
class LearnJob:
    """What a board is to learn.

    engine: its folder. data, order, domain, seed, samples: of the stream. tests: held-out samples that judge.
    save_every, evaluate_every: samples between two; 0: at the end. rest: rounds of replays at the end.
    rate: None is the plan's. fresh: begin with what was flashed. log, html: paths of the run's log and page.
    out: the learned .tflite. unplug: samples after which a simulated cable is pulled for a second.
    port: None is the one with a board. skip_bad: leave out pictures that cannot be read. classes: names, in
    order, of a board that tells none.
    """

    engine: str
    data: str
    order: str = "shuffled"
    domain: str = "source"
    seed: int = 0
    samples: int | None = None
    tests: int = 200
    save_every: int = 0
    evaluate_every: int = 0
    rest: int = 0
    rate: float | None = None
    fresh: bool = False
    log: str = "run.jsonl"
    html: str = "board.html"
    out: str | None = None
    unplug: int | None = None
    port: str | None = None
    sim: bool = False
    skip_bad: bool = False
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise TfodlError(f"--{name.replace('_', '-')} must be at least {least}, got {value}.")
        if self.rate is not None and not is_learning_rate(self.rate):
            raise TfodlError(f"--rate: {no_learning_rate(self.rate)}")
        if self.unplug is not None and not self.sim:
            raise TfodlError("--unplug pulls a simulated cable; give --sim, or pull your own.")


def learn(job: LearnJob) -> None:
    """Stream samples into a board and watch it learn. Raises `TfodlError` for what cannot be had."""
    for path in filter(None, (job.log, job.html, job.out)):
        require_writable(path)
    compiled = load(job.engine)
    samples = load_samples(
        compiled, job.data, job.order, job.seed, job.samples, job.tests, job.domain, job.skip_bad
    )
    with _board(compiled, job, samples) as board:
        place: Place = Port(job.port) if board is None else Simulation(board)
        with Line(place, compiled) as line:
            samples = _numbered(line, compiled, job, samples)
            with RunLog(job.log) as log, _page(job):
                log.event("begin", **_facts(job, compiled, samples.names, len(samples.x), place.name))
                _teach(line, compiled, job, samples, log, board)
    print(f"log: {job.log}; page: {job.html}" + (f"; learned: {job.out}" if job.out else ""))


def _numbered(line: Line, compiled: Compiled, job: LearnJob, samples: Samples) -> Samples:
    """With the board's numbers of the classes, where there are any."""
    if compiled.plan.loss != "crossentropy":
        return samples
    known = line.do(lambda board: BoardClasses.told(board, compiled, job.classes, job.fresh))
    return known.numbered(samples, job.data)


def _teach(
    line: Line, compiled: Compiled, job: LearnJob, samples: Samples, log: RunLog, board: SimulatedBoard | None
) -> None:
    if job.fresh:
        line.do(_fresh(compiled))
        line.at(0)
    kind = Run if compiled.plan.loss == "crossentropy" else ValueRun
    run = kind(
        line, compiled, samples, log, Curve(len(samples.x)), save_every=job.save_every,
        evaluate_every=job.evaluate_every, rate=job.rate, after=_unplugging(board, job.unplug),
    )  # fmt: skip
    run.learn(job.rest)
    if job.out is not None:
        weights = line.do(lambda client: read_weights(client, compiled))
        write_bytes(job.out, patch_constants(compiled.tflite, weights))


@contextlib.contextmanager
def _page(job: LearnJob) -> Iterator[None]:
    """Draws the run in the end, however it ended."""
    try:
        yield
    finally:
        write_text(job.html, board_page(read_lines(job.log)))


def pull(engine: str, out: str, port: str | None) -> None:
    """Write what a board learned as a model; of an engine that chooses, as of its last epoch's end."""
    compiled = load(engine)
    with Line(Port(port), compiled) as line:
        weights = line.do(lambda client: read_weights(client, compiled))
    write_bytes(out, patch_constants(compiled.tflite, weights))
    print(out)


def push(engine: str, model: str, port: str | None) -> None:
    """Write a model's weights into the board. Raises `TfodlError` for a model of another shape."""
    compiled = load(engine)
    weights = weights_of(compiled, _read(model), model)
    with Line(Port(port), compiled) as line:
        line.do(lambda client: write_weights(client, compiled, weights))
        if compiled.plan.store_bytes:
            line.do(lambda client: client.save())
    begins = ", which begins a first epoch with them" if compiled.plan.pool is not None else ""
    print(f"{len(weights)} tensors of {model} are on the board{begins}")


def put_constants(engine: str, port: str | None, over: bool = False) -> None:
    """Write an engine's constants into a board that has them beside its sketch; a pulled cable is waited for.

    over: as `write_constants` takes it. Raises `TfodlError` as that does.
    """
    compiled = load(engine)

    def told(done: int, pages: int) -> None:
        print(f"\r{done} of {pages} pages", end="", flush=True)

    with Line(Port(port), compiled) as line:
        written = line.do(lambda client: write_constants(client, compiled, over=over, on_page=told))
    print(f"\r{written} pages of constants were written" if written else "the board has its constants")


def about(port: str | None) -> dict[str, Any]:
    """What a board tells of itself and how it stands."""
    from tflm_export.board.client import BoardClient
    from tflm_export.board.ports import find_port

    port = port or find_port()
    with BoardClient.open(port) as client:
        tell_silence(client, port)
        info = vars(client.info()) | {"engine_id": client.info().engine_id.hex()}
        return client.about | info | {"classes": client.about["classes"], "classes_in_use": info["classes"]}


def weights_of(compiled: Compiled, tflite: bytes, name: str) -> dict[str, Any]:
    """The engine's trained tensors as another file of the same model has them."""
    try:
        constants(tflite)
    except ExportError as error:
        raise TfodlError(f"{name!r}: {error} Give a learned .tflite.") from error
    try:
        alike = patch_constants(tflite, _trained(compiled, compiled.tflite)) == compiled.tflite
    except ExportError:
        alike = False
    if not alike:
        raise TfodlError(
            f"{name!r} is another model's file: it differs from the model of engine {compiled.name!r} in "
            "more than the trained tensors; push what tfodl board pull, or tflm-export learned, wrote."
        )
    return _trained(compiled, tflite)


def _read(model: str) -> bytes:
    try:
        return Path(model).read_bytes()
    except OSError as error:
        raise TfodlError(f"cannot read {model!r}: {error.strerror}; give a learned .tflite.") from error


def _trained(compiled: Compiled, tflite: bytes) -> dict[str, Any]:
    known = constants(tflite)
    found = {v.tensor: known[v.tensor][0].data for v in variables(compiled.graph) if v.tensor in known}
    return {name: data for name, data in found.items() if data is not None}


@contextlib.contextmanager
def _board(compiled: Compiled, job: LearnJob, samples: Samples) -> Iterator[SimulatedBoard | None]:
    """A simulated board, named after the data where they have a name for every class; None for one of one's
    own."""
    if not job.sim:
        yield None
        return
    flashed = compiled.output.size - compiled.plan.spare_classes
    names = samples.names[:flashed] if len(samples.names) >= flashed else ()
    with SimulatedBoard(compiled, job.classes or names) as board:
        yield board


def _facts(
    job: LearnJob, compiled: Compiled, names: tuple[str, ...], count: int, port: str
) -> dict[str, Any]:
    return {
        "engine": compiled.name,
        "model_sha256": compiled.facts["model_sha256"],
        "classes": list(names),
        "data": job.data,
        "order": job.order,
        "seed": job.seed,
        "samples": count,
        "port": port,
    }


def _fresh(compiled: Compiled) -> Any:
    """The command that brings back what was flashed."""
    from tflm_export.board.client import BoardClient

    has_flash = compiled.plan.store_bytes or compiled.plan.pool is not None
    return BoardClient.factory_reset if has_flash else BoardClient.reset


def _unplugging(board: SimulatedBoard | None, when: int | None) -> Any:
    """Pulls a simulated cable after `when` samples, and puts it in again a second later."""

    def pull_out(step: int) -> None:
        if board is None or step != when:
            return
        board.unplug()
        Timer(OUT_SECONDS, board.plug).start()

    return pull_out
