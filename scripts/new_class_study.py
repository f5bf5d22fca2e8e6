"""A class that the net never saw, from 5 samples: how well is it known, and what does it cost the others?

    python scripts/new_class_study.py

mbv2-w0.35 at 96 px or mcunet-5fps at 128, their "49 KB" schemes, flower_photos as the pictures are. For each
held-back class the head is trained anew on half of the pictures of the four others; its fifth output is
spare. The device remembers 20 samples a class of the others, from the other half. Then come 5 samples of the
new class, each a `train_step` and a `remember`, and rest: rounds of replays. Every seed draws other samples.
Beside it stands what a head comes to that is trained anew, in float, on all known pictures, 150 of the class
among them. Writes --out, one line a run; a killed run goes on. `benchmarks/guard_tables.py` makes the table.
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
from stream_tasks import FAST, TESTS, Task, prepare

from tflm_export.errors import TfodlError
from tflm_export.front.write_tflite import patch_constants
from tflm_export.ir import Graph, Op
from tflm_export.living.choose import choose
from tflm_export.machines.living_host import LivingEngine
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import Memory
from tflm_export.simulate.evaluate import run_forward

TASKS = {
    "mbv2-w0.35": "flower_photos, same domain",
    "mcunet-5fps": "flower_photos, same domain, mcunet-5fps",
}
SHOTS, A_CLASS, REPLAYS, EPOCHS, PULL, UNUSED = 5, 20, 3, 400, 0.05, -(2**24)
FOLDER = "build/stream"

flags.DEFINE_multi_enum("net", list(TASKS), list(TASKS), "nets")
flags.DEFINE_multi_integer("held_back", [0, 2, 4], "classes that the net does not know")
flags.DEFINE_multi_integer("rest", [0, 100], "rounds of replays after the samples")
flags.DEFINE_multi_float("rate", [0.001], "learning rates")
flags.DEFINE_integer("seeds", 5, "runs a cell", lower_bound=1)
flags.DEFINE_string("cache", FOLDER, "folder for models and pictures")
flags.DEFINE_string("out", "results/stream/new_class.jsonl", "file of results")
FLAGS = flags.FLAGS


@functools.lru_cache(1)
def task_without(net: str, held_back: int) -> tuple[Task, LivingEngine]:
    """The task with the held-back class last, its output spare, and the engine, built for this host."""
    task = prepare(TASKS[net], Path(FLAGS.cache))
    last = task.classes - 1
    names = np.array([c if c < held_back else c - 1 for c in range(last + 1)])
    names[held_back] = last
    task = replace(task, y={part: names[y] for part, y in task.y.items()})
    memory = Memory(samples=A_CLASS * task.classes, replays=REPLAYS)
    plan = replace(task.plan, memory=memory)
    graph = task.compile(plan).graph
    assert graph.loss is not None
    head = next(op for op in graph.layers.values() if graph.loss.inputs[0] in op.outputs)
    known = task.y["known"] < last
    trained = _head(graph, head, task.x["known"][known], task.y["known"][known])
    tensors = {
        name: replace(t, data=trained[name]) if name in trained else t
        for name, t in task.upper.tensors.items()
    }
    tflite = patch_constants(task.tflite, trained)
    task = replace(task, tflite=tflite, upper=task.upper.replace(tensors=tensors))
    return task, LivingEngine(task.compile(replace(plan, spare_classes=1)), FAST)


def _head(graph: Graph, head: Op, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Weights and bias of a head for the classes in `y`: softmax regression on the features, at the file's
    scales; the last row spare."""
    quant, weights = tensor_quant(graph, head.inputs[0]), tensor_quant(graph, head.inputs[1])
    w, b = _regression(_features(graph, head, x), y)
    count = len(b)
    scale = np.resize(np.array(weights.scale), count + 1)
    rows = np.zeros((count + 1, w.shape[1]), np.int8)
    rows[:count] = np.clip(np.rint(w / scale[:count, None]), -127, 127)
    bias = np.full(count + 1, UNUSED, np.int32)
    bias[:count] = np.rint(b / (scale[:count] * quant.scale[0]))
    return {head.inputs[1]: rows, head.bias: bias}


def _regression(features: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and biases of a softmax regression for the classes 0.. in `y`."""
    count = int(y.max()) + 1
    w, b, wanted = np.zeros((count, features.shape[1])), np.zeros(count), np.eye(count)[y]
    for _ in range(EPOCHS):
        logits = features @ w.T + b
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (p / p.sum(axis=1, keepdims=True) - wanted) / len(y)
        w -= PULL * error.T @ features
        b -= PULL * error.sum(axis=0)
    return w, b


def _features(graph: Graph, head: Op, x: np.ndarray) -> np.ndarray:
    """What enters the head, real numbers [N, F], of inputs of the upper ops."""
    rows = []
    for latent in x:
        values: dict[str, Any] = {graph.inputs[0]: latent[None]}
        for op in graph.ops:
            if op.name == head.name:
                break
            if op.role == "forward":
                run_forward(op, graph, values)
        rows.append(values[head.inputs[0]].reshape(-1))
    quant = tensor_quant(graph, head.inputs[0])
    return (np.array(rows, float) - quant.zero_point[0]) * quant.scale[0]


@functools.lru_cache(1)
def _seen(net: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Features and classes of the known pictures and of the test pictures."""
    task = prepare(TASKS[net], Path(FLAGS.cache))
    graph = task.compile(task.plan).graph
    assert graph.loss is not None
    head = next(op for op in graph.layers.values() if graph.loss.inputs[0] in op.outputs)
    found = {part: (_features(graph, head, task.x[part]), task.y[part]) for part in ("known", *TESTS)}
    test = tuple(np.concatenate([found[part][i] for part in TESTS]) for i in range(2))
    return {"known": found["known"], "test": (test[0], test[1])}


def retrain(net: str, held_back: int) -> dict[str, Any]:
    """What a head knows that is trained anew on all known pictures, beside one that never saw the class."""
    (x, y), (x_test, y_test) = _seen(net)["known"], _seen(net)["test"]
    old, old_test = y != held_back, y_test != held_back
    others = np.delete(np.arange(y.max() + 1), held_back)
    w, b = _regression(x[old], np.searchsorted(others, y[old]))
    before = others[(x_test[old_test] @ w.T + b).argmax(axis=1)] == y_test[old_test]
    w, b = _regression(x, y)
    right = (x_test @ w.T + b).argmax(axis=1) == y_test
    shares = {"new": right[~old_test], "others_before": before, "others": right[old_test]}
    return {name: round(float(share.mean()), 4) for name, share in shares.items()}


def play(net: str, held_back: int, rate: float, rest: int, seed: int) -> dict[str, Any]:
    """One run; shares of the test pictures that are right before and after."""
    task, engine = task_without(net, held_back)
    last, x, y = task.classes - 1, task.x["stream"], task.y["stream"]
    engine.reset()
    engine.set_learning_rate(rate)
    old = np.flatnonzero(y < last)
    rng = np.random.default_rng(seed)
    for i in rng.permutation(old[choose(x[old], y[old], A_CLASS, "random", seed)]):
        engine.infer(x[i : i + 1])
        engine.remember(int(y[i]))
    before = _before(net, held_back)
    for i in rng.permutation(np.flatnonzero(y == last))[:SHOTS]:
        engine.train_step(x[i : i + 1], last)
        engine.remember(last)
    for _ in range(rest * REPLAYS):
        engine.replay()
    after = _right(task, engine)
    return {"new": after[1], "others_before": before[0], "others": after[0]}


@functools.lru_cache(1)
def _before(net: str, held_back: int) -> tuple[float, float]:
    """Shares of the test pictures that are right before anything is learned."""
    task, engine = task_without(net, held_back)
    return _right(task, engine)


def _right(task: Task, engine: LivingEngine) -> tuple[float, float]:
    """Shares of the test pictures of the old classes and of the new one."""
    x = np.concatenate([task.x["target"], task.x["source"]])
    y = np.concatenate([task.y["target"], task.y["source"]])
    right = np.array([engine.predict(picture[None]) for picture in x]) == y
    new = y == task.classes - 1
    return round(float(right[~new].mean()), 4), round(float(right[new].mean()), 4)


def main(_: list[str]) -> None:
    runs = Runs(Path(FLAGS.out))
    for net, held_back in itertools.product(FLAGS.net, FLAGS.held_back):
        key = {"net": net, "held_back": held_back, "samples": "all"}
        runs.get(key, functools.partial(retrain, net, held_back))
    cells = itertools.product(FLAGS.net, FLAGS.held_back, FLAGS.rate, FLAGS.rest, range(FLAGS.seeds))
    for cell in cells:
        key = dict(zip(("net", "held_back", "learning_rate", "rest", "seed"), cell, strict=True))
        runs.get(key, functools.partial(play, *cell))


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"new_class_study: {error}") from error
