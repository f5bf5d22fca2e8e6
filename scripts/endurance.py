"""Does a device live long? 100,000 steps of a drifting world, with wrong labels, noise and power cuts.

    python scripts/endurance.py              # the host build; then 2,000 steps on the emulated Cortex-M4F

The engine of the demo (digits) with a memory, exemplars, a guard and a store. A season has 5,000 steps: the
domain goes from source to target and back; classes come in runs; of the pictures 2 % are noise,
and once in 1,000 steps 50 labels are drawn at random. Every 100 steps in the mean the engine saves; in half
of the saves the power fails at a random write or erase, and the device starts anew from its store, its memory
empty, or, with --memory_in=flash and half as many samples, as it was saved. Writes a line a season to --out;
a killed run goes on from the store of its last season.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from runs import Runs
from stream_tasks import TESTS, Task, prepare

from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tflm_export.files import write_bytes
from tflm_export.living.choose import make_exemplars
from tflm_export.machines.long_run import NOTHING, SAVE, HostLife, Life, on_board, on_host
from tflm_export.plan import Guard, Memory, UpdatePlan

SEASON, RUN, BURST, BETWEEN = 5000, 20, 50, 1000  # steps: a season, a class, wrong labels, bursts of them
NOISE, SAVES, OPERATIONS = 0.02, 100, 300  # share of pictures; steps a save; writes and erases until a cut
SHIPPED, PART = 5, 500  # PART: steps whose pictures the emulated board holds at a time
PARTS = ("known", "stream")  # pictures of the source and of the target domain
A_CLASS, STORE_BYTES = {"ram": 20, "flash": 10}, {"ram": 16 * 4096, "flash": 64 * 4096}

flags.DEFINE_integer("steps", 100_000, "on the host build, whole seasons", lower_bound=SEASON)
flags.DEFINE_integer("board_steps", 2000, "on the emulated board; 0: none", lower_bound=0)
flags.DEFINE_float("rate", 0.003, "learning rate")
flags.DEFINE_enum("memory_in", "ram", list(STORE_BYTES), "in flash the memory outlives the power")
flags.DEFINE_string("cache", "build/stream", "folder for models and pictures")
flags.DEFINE_string("out", "results/stream", "folder for results")
FLAGS = flags.FLAGS


def plan_of(task: Task) -> UpdatePlan:
    """What the device lives with."""
    held = A_CLASS[FLAGS.memory_in] * task.classes
    memory = Memory(samples=held, replays=3, policy="balanced", where=FLAGS.memory_in)
    optimizer = replace(task.plan.optimizer, learning_rate=FLAGS.rate)
    guard = Guard(samples=8 * task.classes, every=100)
    area = STORE_BYTES[FLAGS.memory_in]
    return replace(task.plan, memory=memory, optimizer=optimizer, guard=guard, store_bytes=area)


def life(task: Task, season: int, steps: int = SEASON) -> Life:
    """A season, drawn by its number."""
    rng = np.random.default_rng((7, season))
    classes = np.repeat(rng.integers(task.classes, size=-(-steps // RUN)), RUN)[:steps]
    target = rng.random(steps) < (1 - np.cos(2 * np.pi * np.arange(steps) / SEASON)) / 2
    x = np.stack([_picture(task, PARTS[t], c, rng) for t, c in zip(target.astype(int), classes, strict=True)])
    noise = rng.random(steps) < NOISE
    x[noise] = rng.integers(-128, 128, (noise.sum(), *x.shape[1:]), np.int8)
    wrong = np.arange(steps) % BETWEEN < BURST
    labels = np.where(wrong, rng.integers(task.classes, size=steps), classes)
    actions = np.where(rng.random(steps) < 1 / SAVES, SAVE, NOTHING).astype(np.int32)
    cut = (actions == SAVE) & (rng.random(steps) < 0.5)
    actions[cut] = rng.integers(0, OPERATIONS, cut.sum())
    return Life(x[:, None], labels, actions)


def _picture(task: Task, part: str, label: int, rng: np.random.Generator) -> np.ndarray:
    return task.x[part][rng.choice(np.flatnonzero(task.y[part] == label))]


def accuracy(host: HostLife, task: Task) -> dict[str, float]:
    """On both domains' test pictures."""
    tests = {part: zip(task.x[part], task.y[part], strict=True) for part in TESTS}
    right = {part: [host.engine.predict(x[None]) == y for x, y in pairs] for part, pairs in tests.items()}
    return {part: round(float(np.mean(found)), 4) for part, found in right.items()}


def season(task: Task, compiled: Compiled, number: int, store: Path) -> dict[str, Any]:
    """The device from the store of the season before; its store is left for the next one."""
    host = HostLife(compiled, store.read_bytes() if number else None)
    before = accuracy(host, task)
    host.live(life(task, number))
    after = accuracy(host, task)
    host.engine.save()
    write_bytes(store, host.engine.image)
    counts = {name: getattr(host, name) for name in ("saves", "cuts", "lost")}
    return {"before": before, "after": after, **counts, "erases": host.engine.pages_opened}


def on_the_board(task: Task, compiled: Compiled) -> dict[str, Any]:
    """The first steps of the first season, on the emulated board and on the host; the power fails between the
    parts, too."""
    whole, image, same = life(task, 0, FLAGS.board_steps), None, True
    total = dict.fromkeys(("saves", "cuts", "lost"), 0)
    for i in range(0, FLAGS.board_steps, PART):
        part = Life(*(array[i : i + PART] for array in (whole.x, whole.labels, whole.actions)))
        board = on_board(compiled, part, image, timeout=3600.0)
        host = on_host(compiled, part, image)
        same = same and all(np.array_equal(board.weights[name], w) for name, w in host.weights.items())
        same, image = same and board.image == host.image, board.image
        total = {name: count + getattr(board, name) for name, count in total.items()}
    return {**total, "same_as_host": same}


def main(_: list[str]) -> None:
    name = "endurance" if FLAGS.memory_in == "ram" else "endurance_in_flash"
    runs, task = Runs(Path(FLAGS.out) / f"{name}.jsonl"), prepare("digits", Path(FLAGS.cache))
    plan = plan_of(task)
    shipped = make_exemplars(task.compile(plan).graph, plan, task.x["known"], task.y["known"], SHIPPED)
    plan = replace(plan, memory=replace(plan.memory, exemplar_replays=3))
    compiled, store = task.compile(plan, shipped), Path(FLAGS.cache) / f"{name}.bin"
    for number in range(FLAGS.steps // SEASON):
        key = {"machine": "host", "rate": FLAGS.rate, "season": number}
        runs.get(key, functools.partial(season, task, compiled, number, store))
    if FLAGS.board_steps:
        key = {"machine": "cortex-m4", "rate": FLAGS.rate, "steps": FLAGS.board_steps}
        runs.get(key, functools.partial(on_the_board, task, compiled))


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"endurance: {error}") from error
