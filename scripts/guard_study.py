"""Does the device know when not to learn? Streams that harm a net, with and without a guard (docs/living.md).

    python scripts/guard_study.py

Three harms, in the domain that the net knows and in a new one: few, 5 samples a class ten times over; wrong,
20 % wrong labels; rate, 200 steps at 100 times the rate and then 300 at the rate. Every seed draws other
samples, orders and wrong labels. Memory of 20 samples a class, 3 replays. Writes --out, one line a stream; a
killed run goes on. `benchmarks/guard_tables.py` makes the table.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from runs import Runs
from stream_tasks import Task, prepare

from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tflm_export.machines.living_host import LivingEngine
from tflm_export.plan import Guard, Memory
from tfodl import stream

Samples = tuple[np.ndarray, np.ndarray]

FAST = ("-O3", "-march=native", "-ffp-contract=off", "-std=c++14", "-fPIC")  # the same integers, sooner
RATES = {"digits": 0.006, "digits, new domain": 0.006}
OTHER_RATE = 0.001
HARMS = ("few", "wrong", "rate")
A_CLASS, JUDGES = 20, 8  # remembered of a class; pictures of a class that judge
SHOTS, TIMES, WRONG, HOT, STEPS, LENGTH = 5, 10, 0.2, 100, 200, 500

flags.DEFINE_list("harms", list(HARMS), f"of {', '.join(HARMS)}")
flags.DEFINE_multi_string("task", ["digits", "flower_photos, same domain", "digits, new domain"], "tasks")
flags.DEFINE_integer("seeds", 5, "streams a cell", lower_bound=1)
flags.DEFINE_string("cache", "build/stream", "folder for models and pictures")
flags.DEFINE_string("out", "results/stream/guard.jsonl", "file of results")
FLAGS = flags.FLAGS


@functools.lru_cache(2)
def engine(name: str, guarded: bool) -> tuple[Task, Compiled, LivingEngine]:
    """The engine of a task, with a guard or without, built for this host."""
    task = prepare(name.removesuffix(", new domain"), Path(FLAGS.cache))
    guard = Guard(samples=JUDGES * task.classes) if guarded else None
    compiled = task.compile(replace(task.plan, memory=Memory(samples=A_CLASS * task.classes), guard=guard))
    return task, compiled, LivingEngine(compiled, FAST)


def domain(task: Task, name: str, rng: np.random.Generator) -> tuple[Samples, Samples]:
    """What a stream is drawn from, and what the net is tested on."""
    x, y = task.x, task.y
    if name == "digits":
        places = np.array_split(rng.permutation(len(y["source"])), 2)
        one, other = ((x["source"][p], y["source"][p]) for p in places)
        return one, other
    target = x["target"], y["target"]
    if "same" in name:
        target = np.concatenate([target[0], x["source"]]), np.concatenate([target[1], y["source"]])
    return (x["stream"], y["stream"]), target


def harmful(samples: Samples, harm: str, classes: int, rng: np.random.Generator) -> Samples:
    """The stream of a harm, drawn from samples."""
    x, y = samples
    if harm == "few":
        few = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:SHOTS] for c in range(classes)])
        places = np.concatenate([rng.permutation(few) for _ in range(TIMES)])
        return x[places], y[places]
    places = rng.permutation(len(y))[:LENGTH]
    labels = y[places].copy()
    if harm == "wrong":
        wrong = rng.random(len(labels)) < WRONG
        labels[wrong] = (labels[wrong] + rng.integers(1, classes, wrong.sum())) % classes
    return x[places], labels


class Paced:
    """An engine that learns too fast for its first steps."""

    def __init__(self, host: LivingEngine, rate: float, hot: int):
        self._host, self._rate, self._hot, self._seen = host, rate, hot, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def reset(self) -> None:
        self._host.reset()
        self._seen = 0

    def train_step(self, x: np.ndarray, label: int) -> float:
        self._host.set_learning_rate(self._rate * (HOT if self._seen < self._hot else 1))
        self._seen += 1
        return self._host.train_step(x, label)

    def facts(self) -> dict[str, Any]:
        """What else is to be told of a stream."""
        return {}


def play(name: str, harm: str, guarded: bool, seed: int, paced: type[Paced]) -> dict[str, Any]:
    """One stream; accuracies before and after."""
    task, compiled, host = engine(name, guarded)
    rng = np.random.default_rng(seed)
    samples, test = domain(task, name, rng)
    rate, hot = RATES.get(name, OTHER_RATE), STEPS if harm == "rate" else 0
    shown = harmful(samples, harm, task.classes, rng)
    machine = paced(host, rate, hot)
    result = stream.play(compiled, shown, {"test": test}, machine=machine, points=1)
    before, after = (round(float(a), 4) for a in result.overall["test"])
    row = {"learning_rate": rate, "samples": len(result.labels), "before": before, "after": after}
    return row | machine.facts()


def study(paced: type[Paced], **more: Any) -> None:
    """Every stream, through engines of this kind. more: what else a row is known by."""
    runs = Runs(Path(FLAGS.out))
    for name, guarded in itertools.product(FLAGS.task, (True, False)):
        for harm, seed in itertools.product(FLAGS.harms, range(FLAGS.seeds)):
            key = {"task": name, "harm": harm, "guard": guarded, **more, "seed": seed}
            runs.get(key, functools.partial(play, name, harm, guarded, seed, paced))


def main(_: list[str]) -> None:
    study(Paced)


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"guard_study: {error}") from error
