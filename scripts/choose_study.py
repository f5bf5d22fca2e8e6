"""Which rule should a device choose by? Streams through engines with one pool (docs/choosing.md).

    python scripts/choose_study.py --tasks digits,flower_photos

The tasks of scripts/stream_study.py, shuffled, with 20 remembered samples a class and 3 replays. Every
setting has the learning rate that does best with a stream that is not counted (seed 100); a seed is that of
the stream, of random choices and of the device's rounding. Writes to --out runs.jsonl, one line a stream; a
killed run goes on. `benchmarks/choose_tables.py` makes the tables.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

from absl import app, flags
from int8_transfer import Runs
from stream_tasks import FAST, HELD_OUT_SEED, TESTS, Paced, Task, prepare

from tflm_export.errors import TfodlError
from tflm_export.machines.choosing_host import ChoosingEngine
from tflm_export.machines.living_host import LivingEngine
from tflm_export.plan import LayerUpdate, Memory, UpdatePlan
from tflm_export.pool import Pool
from tfodl import stream

CANDIDATES = {  # and the pool's bytes, steps an epoch, learning rates
    "digits": ((4, 5, 6, 8, 9, 10, 11), 6_400, 500, (0.003, 0.006, 0.012, 0.024)),
    "flower_photos": ((51, 53, 54, 55, 56, 57, 59, 60, 61, 63, 64, 65), 21_504, 300, (0.001, 0.002, 0.004)),
}
SETTINGS = ("velocity", "random", "top_layers_random", "static random", "static source", "head", "all")
A_CLASS, EVERYTHING = 20, 2**20

flags.DEFINE_list("tasks", list(CANDIDATES), f"of {', '.join(CANDIDATES)}")
flags.DEFINE_integer("seeds", 5, "streams a cell", lower_bound=1)
flags.DEFINE_string("cache", "build/stream", "folder for models and pictures")
flags.DEFINE_string("out", "results/choose", "folder for results")
FLAGS = flags.FLAGS


def plan_of(task: Task, setting: str, seed: int, source: tuple[LayerUpdate, ...]) -> UpdatePlan:
    """The plan of a setting. source: the channels that velocity chose on the source domain."""
    numbers, size, steps, _ = CANDIDATES[task.name]
    memory = Memory(samples=A_CLASS * task.classes)
    plan = UpdatePlan(memory=memory, optimizer=task.plan.optimizer, seed=seed)
    names = tuple(f"#{i}" for i in numbers)
    if setting == "head":
        return replace(plan, candidates=names)
    if setting in ("static random", "all"):
        room = size if setting == "static random" else EVERYTHING
        return replace(plan, candidates=names, pool=Pool(room, "fixed"))
    if setting == "static source":
        return replace(plan, candidates=names, layers=source, pool=Pool(size, "fixed"))
    return replace(plan, candidates=names, pool=Pool(size, setting, epoch=steps))  # type: ignore[arg-type]


def play(task: Task, plan: UpdatePlan, part: str, rate: float, seed: int) -> dict[str, Any]:
    """One stream of the task's pictures `part`; what it did, as plain numbers."""
    compiled = task.compile(plan)
    host = LivingEngine(compiled, FAST) if plan.pool is None else ChoosingEngine(compiled, flags=FAST)
    places = stream.order(task.y[part], "shuffled", seed)
    tests = {name: (task.x[name], task.y[name]) for name in TESTS}
    samples = task.x[part][places], task.y[part][places]
    result = stream.play(compiled, samples, tests, machine=Paced(host, rate), points=1)
    before = {f"{name}_before": round(float(result.overall[name][0]), 4) for name in TESTS}
    chosen = [] if plan.pool is None else [dict(s.channels) for s in host.history]
    return {**before, **result.to_dict(), "channels": chosen[-1] if chosen else {}, "epochs": len(chosen)}


def study(runs: Runs, task: Task, setting: str, source: tuple[LayerUpdate, ...], seed: int) -> None:
    """The stream `seed` of a setting, at the rate that was best with the one that is not counted."""
    rates = CANDIDATES[task.name][3]

    def run(kind: str, rate: float, seed: int) -> dict[str, Any]:
        key = {"kind": kind, "task": task.name, "setting": setting, "rate": rate, "seed": seed}
        return runs.get(key, lambda: play(task, plan_of(task, setting, seed, source), "stream", rate, seed))

    found = {rate: run("rate", rate, HELD_OUT_SEED)["accuracy"]["target"] for rate in rates}
    run("test", max(rates, key=found.__getitem__), seed)


def source_choice(runs: Runs, task: Task) -> tuple[LayerUpdate, ...]:
    """What velocity chose in the end, on known pictures of the source domain."""
    rate = CANDIDATES[task.name][3][1]
    key = {"kind": "source", "task": task.name, "setting": "velocity", "rate": rate, "seed": HELD_OUT_SEED}
    plan = plan_of(task, "velocity", HELD_OUT_SEED, ())
    row = runs.get(key, lambda: play(task, plan, "known", rate, HELD_OUT_SEED))
    return tuple(LayerUpdate(name, "out", tuple(c), "selected") for name, c in row["channels"].items() if c)


def main(_: list[str]) -> None:
    runs = Runs(Path(FLAGS.out) / "runs.jsonl")
    for name in FLAGS.tasks:
        task = prepare(name, Path(FLAGS.cache))
        source = source_choice(runs, task)
        for seed, setting in itertools.product(range(FLAGS.seeds), SETTINGS):
            study(runs, task, setting, source, seed)


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"choose_study: {error}") from error
