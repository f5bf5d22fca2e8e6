"""Which rule should a device choose by? Streams through engines with one pool (docs/choosing.md).

    python scripts/choose_study.py --tasks digits,flower_photos,flowers102

Tasks of scripts/stream_tasks.py, shuffled, with remembered samples and 3 replays. Every
setting has the learning rate that does best with a stream that is not counted (seed 100); a seed is that of
the stream, of random choices and of the device's rounding. Writes to --out runs.jsonl, one line a stream; a
killed run goes on. `benchmarks/choose_tables.py` makes the tables.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from runs import Runs
from stream_tasks import FAST, HELD_OUT_SEED, TESTS, Paced, Task, above, prepare

from tflm_export.errors import TfodlError
from tflm_export.machines.choosing_host import ChoosingEngine
from tflm_export.machines.living_host import LivingEngine
from tflm_export.plan import LayerUpdate, Memory, UpdatePlan
from tflm_export.pool import Pool
from tfodl import stream


@dataclass(frozen=True)
class Setup:
    """What a task's engines have in common: pool, bytes; epoch, steps; a_class: samples remembered; passes
    over the stream, each in an order of its own."""

    candidates: tuple[str, ...]
    pool: int
    epoch: int
    rates: tuple[float, ...]
    a_class: int = 20
    passes: int = 1


DEEPEST = tuple(f"#{i}" for i in (4, 5, 6, 8, 9, 10, 11))
LAST_BLOCKS = tuple(f"#{i}" for i in (51, 53, 54, 55, 56, 57, 59, 60, 61, 63, 64, 65))
SETUPS = {
    "digits": Setup(DEEPEST, 6_400, 500, (0.003, 0.006, 0.012, 0.024)),
    "flower_photos": Setup(LAST_BLOCKS, 21_504, 300, (0.001, 0.002, 0.004)),
    "flowers102": Setup(LAST_BLOCKS, 21_504, 300, (0.002, 0.004), a_class=5, passes=2),
}
SETTINGS = ("velocity", "random", "top_layers_random", "static random", "static source", "head", "all")
EVERYTHING = 2**20

flags.DEFINE_list("tasks", list(SETUPS), f"of {', '.join(SETUPS)}")
flags.DEFINE_integer("seeds", 5, "streams a cell", lower_bound=1)
flags.DEFINE_string("cache", "build/stream", "folder for models and pictures")
flags.DEFINE_string("out", "results/choose", "folder for results")
FLAGS = flags.FLAGS


def plan_of(task: Task, setting: str, seed: int, source: tuple[LayerUpdate, ...]) -> UpdatePlan:
    """The plan of a setting. source: the channels that velocity chose on the source domain."""
    setup = SETUPS[task.name]
    plan = UpdatePlan(
        memory=Memory(samples=setup.a_class * task.classes),
        optimizer=task.plan.optimizer,
        seed=seed,
        candidates=setup.candidates,
    )
    if setting == "head":
        return plan
    if setting in ("static random", "all"):
        return replace(plan, pool=Pool(setup.pool if setting == "static random" else EVERYTHING, "fixed"))
    if setting == "static source":
        return replace(plan, layers=source, pool=Pool(setup.pool, "fixed"))
    return replace(plan, pool=Pool(setup.pool, setting, epoch=setup.epoch))  # type: ignore[arg-type]


def orders(task: Task, part: str, seed: int) -> np.ndarray:
    """Places of the task's pictures `part`, as they come."""
    seeds = [seed + 1000 * i for i in range(SETUPS[task.name].passes)]
    return np.concatenate([stream.order(task.y[part], "shuffled", one) for one in seeds])


def play(task: Task, plan: UpdatePlan, part: str, rate: float, seed: int) -> dict[str, Any]:
    """One stream of the task's pictures `part`; what it did, as plain numbers."""
    compiled = task.compile(plan)
    host = LivingEngine(compiled, FAST) if plan.pool is None else ChoosingEngine(compiled, flags=FAST)
    places = orders(task, part, seed)
    tests = {name: (task.x[name], task.y[name]) for name in TESTS}
    samples = task.x[part][places], task.y[part][places]
    result = stream.play(compiled, samples, tests, machine=Paced(host, rate), points=1)
    history = [] if plan.pool is None else host.history
    before = {f"{name}_before": round(float(result.overall[name][0]), 4) for name in TESTS}
    channels = {"channels": dict(history[-1].channels)} if part == "known" else {}
    return {**before, **result.to_dict(), "epochs": len(history), **channels}


def study(runs: Runs, task: Task, setting: str, source: tuple[LayerUpdate, ...], seed: int) -> None:
    """The stream `seed` of a setting, at the rate that was best with the one that is not counted."""

    def row(rate: float, seed: int) -> dict[str, Any]:
        return play(task, plan_of(task, setting, seed, source), "stream", rate, seed)

    at_best_rate(runs, {"task": task.name, "setting": setting}, SETUPS[task.name].rates, row, seed)


def at_best_rate(
    runs: Runs,
    key: dict[str, Any],
    rates: Sequence[float],
    row: Callable[[float, int], dict[str, Any]],
    seed: int,
) -> None:
    """The stream `seed`, at the rate that was best with the one that is not counted. row(rate, seed): one
    stream; key: what its rows are known by."""

    def run(kind: str, rate: float, seed: int) -> dict[str, Any]:
        return runs.get({"kind": kind, **key, "rate": rate, "seed": seed}, lambda: row(rate, seed))

    found = {rate: run("rate", rate, HELD_OUT_SEED)["accuracy"]["target"] for rate in rates}
    run("test", max(rates, key=found.__getitem__), seed)


def source_choice(runs: Runs, task: Task) -> tuple[LayerUpdate, ...]:
    """What velocity chose in the end, on known pictures of the source domain."""
    rate = SETUPS[task.name].rates[1]
    key = {"kind": "source", "task": task.name, "setting": "velocity", "rate": rate, "seed": HELD_OUT_SEED}
    plan = plan_of(task, "velocity", HELD_OUT_SEED, ())
    row = runs.get(key, lambda: play(task, plan, "known", rate, HELD_OUT_SEED))
    return tuple(LayerUpdate(name, "out", tuple(c), "selected") for name, c in row["channels"].items() if c)


def main(_: list[str]) -> None:
    runs = Runs(Path(FLAGS.out) / "runs.jsonl")
    for name in FLAGS.tasks:
        task = prepare(name, Path(FLAGS.cache))
        task = above(task, plan_of(task, "head", 0, ()))
        source = source_choice(runs, task)
        for seed, setting in itertools.product(range(FLAGS.seeds), SETTINGS):
            study(runs, task, setting, source, seed)


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"choose_study: {error}") from error
