"""Does the device forget less? Streams through compiled engines, with and without memory (docs/living.md).

    python scripts/stream_study.py --tasks digits,flower_photos

Plays streams class after class and shuffled through the host build: no memory; 20 samples a class, balanced
and reservoir; 1 and 3 replays; exemplars of the source domain; a step a sample, or one step for a sample and
its replays. Every setting has the learning rate that does best with a stream that is not counted (seed 100).
Writes to --out runs.jsonl, one line a stream; a killed run goes on. `benchmarks/stream_tables.py` makes the
tables.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from runs import Runs
from stream_tasks import FAST, HELD_OUT_SEED, TASKS, TESTS, Paced, Task, prepare

from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tflm_export.living.choose import make_exemplars
from tflm_export.machines.host import HostEngine
from tflm_export.machines.living_host import LivingEngine
from tflm_export.plan import Memory
from tfodl import stream

RATES = {"digits": (0.0015, 0.003, 0.006, 0.012), "flowers102": (0.0005, 0.001)}
OTHER_RATES = (0.0005, 0.001, 0.002, 0.004)
ORDERS = ("classes", "shuffled")
A_CLASS, SHIPPED, PASSES, RESTED = 20, 5, 3, 100

flags.DEFINE_list("tasks", ["digits", "flower_photos"], f"of {', '.join(TASKS)}")
flags.DEFINE_integer("seeds", 5, "streams a cell", lower_bound=1)
flags.DEFINE_list("parts", ["streams", "joint", "more", "exemplars", "summed"], "which studies to run")
flags.DEFINE_string("cache", "build/stream", "folder for models and pictures")
flags.DEFINE_string("out", "results/stream", "folder for results")
FLAGS = flags.FLAGS


@dataclass(frozen=True)
class Setting:
    """How an engine lives through a stream.

    policy: of the memory, or "none". replays, shown: a step, of the memory and of exemplars. summed: one step
    of the optimizer for a sample and its replays. rule, draw: how exemplars are chosen, and the seed.
    rest: rounds of replays after the stream.
    """

    policy: str = "none"
    replays: int = 0
    shown: int = 0
    summed: bool = False
    rule: str = "random"
    draw: int = 0
    rest: int = 0

    def compiled(self, task: Task) -> Compiled:
        """The engine of `task` with this memory."""
        if self.policy == "none":
            return task.compile(task.plan)
        memory = Memory(samples=A_CLASS * task.classes, replays=self.replays, policy=self.policy)  # type: ignore[arg-type]
        batch = 1 + self.replays + self.shown if self.summed else 1
        plan = replace(task.plan, memory=memory, optimizer=replace(task.plan.optimizer, batch=batch))
        if not self.shown:
            return task.compile(plan)
        graph = task.compile(plan).graph
        known = task.x["known"], task.y["known"]
        exemplars = make_exemplars(graph, plan, *known, SHIPPED, self.rule, self.draw)
        plan = replace(plan, memory=replace(memory, exemplar_replays=self.shown))
        return task.compile(plan, exemplars)


@functools.lru_cache(1)
def engine(task: str, setting: Setting) -> tuple[Task, Compiled, HostEngine]:
    """The engine of a setting, built for this host."""
    made = prepare(task, Path(FLAGS.cache))
    compiled = setting.compiled(made)
    return made, compiled, (HostEngine if setting.policy == "none" else LivingEngine)(compiled, FAST)


def play(task: str, setting: Setting, order: str, rate: float, seed: int, points: int) -> dict[str, Any]:
    """One stream; what it did, as plain numbers."""
    made, compiled, host = engine(task, setting)
    x, y = _samples(made, order, seed)
    tests = {name: (made.x[name], made.y[name]) for name in TESTS}
    result = stream.play(compiled, (x, y), tests, machine=Paced(host, rate), points=points, rest=setting.rest)
    before = {f"{name}_before": round(float(result.overall[name][0]), 4) for name in TESTS}
    return {**before, **result.to_dict()}


def _samples(task: Task, order: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The stream. "joint" is the upper line: target and known source pictures, shuffled, several passes."""
    if order != "joint":
        places = stream.order(task.y["stream"], order, seed)
        return task.x["stream"][places], task.y["stream"][places]
    x, y = (np.concatenate([part["stream"], part["known"]]) for part in (task.x, task.y))
    rng = np.random.default_rng(seed)
    places = np.concatenate([rng.permutation(len(y)) for _ in range(PASSES)])
    return x[places], y[places]


def study(runs: Runs, task: str, setting: Setting, order: str) -> None:
    """Choose the rate of a setting (whatever its exemplars and rest), then play the streams that count."""

    def run(setting: Setting, kind: str, rate: float, seed: int, points: int) -> dict[str, Any]:
        key = {"kind": kind, "task": task, "order": order, **vars(setting), "rate": rate, "seed": seed}
        return runs.get(key, lambda: play(task, setting, order, rate, seed, points))

    rates = RATES.get(task, OTHER_RATES)
    if setting.summed:
        rates = tuple(2 * rate for rate in rates)
    usual = replace(setting, rule="random", draw=0, rest=0)
    found = {rate: run(usual, "rate", rate, HELD_OUT_SEED, 1)["accuracy"] for rate in rates}
    best = max(rates, key=lambda rate: merit(found[rate], setting))
    for seed in range(FLAGS.seeds):
        run(setting, "test", best, seed, 5)


def merit(accuracy: dict[str, float], setting: Setting) -> float:
    """What a rate is chosen by: target accuracy; with exemplars, which are there for the source, and source
    accuracy."""
    return accuracy["target"] + (accuracy["source"] if setting.shown else 0.0)


def settings() -> dict[str, list[tuple[Setting, str]]]:
    """What every part plays: settings and orders, the most wanted first."""
    mixes, policies = ((3, 0), (1, 0), (3, 1), (1, 1)), ("balanced", "reservoir")
    single = [Setting(policy, *mix) for mix in mixes for policy in policies]
    summed = [Setting("reservoir", *mix, summed=True) for mix in ((3, 3), (3, 0))]
    more = [Setting("reservoir", *mix) for mix in ((3, 3), (3, 7))]
    rested = [Setting("reservoir", *mix, rest=RESTED) for mix in ((3, 0), (3, 3), (3, 5), (3, 7), (3, 15))]
    rules = [("random", 0), ("random", 1), ("random", 2), ("nearest", 0), ("herding", 0)]
    shipped = [Setting("reservoir", 3, 1, False, *rule) for rule in rules]
    return {
        "streams": list(itertools.product((Setting(), *single), ORDERS)),
        "joint": [(Setting(), "joint")],
        "exemplars": [(setting, "classes") for setting in shipped],
        "more": list(itertools.product([*more, *rested], ORDERS)),
        "summed": list(itertools.product(summed, ORDERS)),
        "recipe": list(itertools.product([rested[1], Setting()], ORDERS)),
        "source": list(itertools.product(rested[4:], ORDERS)),
    }


def cells() -> Iterator[tuple[str, Setting, str]]:
    """Everything that was asked for."""
    for part, task in itertools.product(FLAGS.parts, FLAGS.tasks):
        for setting, order in settings()[part]:
            yield task, setting, order


def main(_: list[str]) -> None:
    runs = Runs(Path(FLAGS.out) / "runs.jsonl")
    for task, setting, order in cells():
        study(runs, task, setting, order)


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"stream_study: {error}") from error
