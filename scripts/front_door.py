"""Fourteen kinds of Keras model through the commands, to a device that learns: which arrive, which do not.

    python scripts/front_door.py

Pictures, recordings, sounds and arrays are written to files, the models trained shortly, saved, and handed to
`tfodl` and `tflm-export` as a user would. Then the emitted engine, built for the host, meets a changed world
(colours swapped; values weaker and moved) and learns from train samples of it; its score on others stands
before and after. To --out go runs.jsonl (one line a model; a killed run goes on) and table.md.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import app, flags
from front_door_kinds import KINDS, ROOT, World
from runs import Runs
from tqdm import tqdm

from tflm_export.compiler import Compiled
from tflm_export.engine_folder import load
from tflm_export.files import write_text
from tflm_export.machines.host import HostEngine
from tflm_export.ops.result import tensor_quant

flags.DEFINE_integer("epochs", 3, "epochs of the first training", lower_bound=1)
flags.DEFINE_list("only", [], "kinds to run; all by default")
flags.DEFINE_string("work", "build/front_door", "folder for data, models and engines")
flags.DEFINE_string("out", "results/front_door", "folder for results")
FLAGS = flags.FLAGS
COMMANDS = (
    "tfodl finetune --model {model} --data {data} --epochs 1 --calibration 32 --out tuned {options}",
    "tfodl quantize --model tuned/model.keras --data {data} --plan tuned/plan.json --epochs 1 "
    "--calibration 32 --out int8 {window}",
    "tflm_export compile int8/model.tflite --plan int8/plan.json --out engine",
    "tflm_export verify engine --count 8 --steps 4",
    "tflm_export report engine",
    "tflm_export sketch engine --board {board} --out engine.zip",
)


def made(kind: str, world: World, folder: Path) -> Path:
    """The model's file, trained shortly."""
    keras.utils.set_random_seed(0)
    row = KINDS[kind]
    model = row.net(world)
    if row.loss is None:
        model(np.zeros((1, *world.train[0].shape[1:]), np.float32))
    else:
        x, y = world.train[0].astype(np.float32), world.train[1]
        model.compile(keras.optimizers.Adam(0.003), row.loss)
        model.fit(x, x if y is None else y, epochs=FLAGS.epochs, batch_size=16, verbose=0)
    path = folder / ("model.h5" if ".h5" in kind else "model.keras")
    model.save(path)
    return path


def walk(kind: str) -> dict[str, Any]:
    """How far the model comes: seconds a command, what the last one said where it failed, what is learnt."""
    work = Path(FLAGS.work).resolve()
    folder = work / re.sub(r"\W+", "_", kind)
    folder.mkdir(parents=True, exist_ok=True)
    world = KINDS[kind].world(work)
    names = {"model": made(kind, world, folder).name, "data": world.path, "window": world.window}
    names |= {"options": f"{KINDS[kind].options} {world.window}", "board": KINDS[kind].board}
    seconds: dict[str, float] = {}
    for command in COMMANDS:
        words = command.format(**names).split()
        start = time.monotonic()
        run = subprocess.run(
            [sys.executable, "-m", f"{words[0]}.cli", *words[1:]], cwd=folder, capture_output=True, text=True,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        seconds[words[1]] = round(time.monotonic() - start, 1)
        if run.returncode:
            last = (run.stderr.strip().splitlines() or run.stdout.strip().splitlines() or ["no word"])[-1]
            return {
                "ends": words[1],
                "traceback": "Traceback" in run.stderr,
                "said": last,
                "seconds": seconds,
            }
    learnt = learns(load(folder / "engine"), world)
    return {"ends": "learning", "traceback": False, "said": "", "seconds": seconds} | learnt


def learns(compiled: Compiled, world: World) -> dict[str, Any]:
    """The engine's score in a changed world, before and after it learnt from train samples of it."""
    engine, loss = HostEngine(compiled), compiled.graph.loss
    assert loss is not None
    train, test = (compiled.quantize(changed(x)) for x, _ in (world.train, world.test))
    targets = [targets_of(compiled, y, len(world.train[0])) for _, y in (world.train, world.test)]
    name, before = score(engine, compiled, test, targets[1])
    for _ in range(2):
        for x, target in zip(train, targets[0], strict=True):
            engine.train_step(x[None], target)
    return {"score": name, "before": before, "after": score(engine, compiled, test, targets[1])[1]}


def changed(x: np.ndarray) -> np.ndarray:
    """Another world: colours swapped, or values weaker and moved."""
    if x.dtype == np.uint8:
        return np.ascontiguousarray(x[..., ::-1])
    return (0.7 * x + 0.2 * x.std()).astype(np.float32)


def targets_of(compiled: Compiled, y: Any, count: int) -> list[Any]:
    """Targets as `train_step` takes them."""
    assert compiled.graph.loss is not None
    kind = compiled.plan.loss
    if kind == "reconstruction":
        return [None] * count
    if kind == "crossentropy":
        return list(y.tolist())
    if kind == "bce":
        return list(np.asarray(y).reshape(count, -1).astype(np.int8))
    return list(tensor_quant(compiled.graph, compiled.graph.loss.inputs[0]).quantize(y.reshape(count, -1)))


def score(engine: HostEngine, compiled: Compiled, xs: np.ndarray, targets: list[Any]) -> tuple[str, float]:
    """What is measured, and its mean over the samples."""
    kind = compiled.plan.loss
    if kind == "crossentropy":
        right = [engine.predict(x[None]) == t for x, t in zip(xs, targets, strict=True)]
        return "accuracy, %", round(100 * float(np.mean(right)), 1)
    if kind == "reconstruction":
        return "reconstruction error", round(float(np.mean([engine.score(x[None]) for x in xs])), 4)
    assert compiled.graph.loss is not None
    quant = tensor_quant(compiled.graph, compiled.graph.loss.inputs[0])
    logits = [engine.logits(x[None]).reshape(-1) for x in xs]
    if kind == "bce":
        right = [(q > quant.zero_point[0]) == (t > 0) for q, t in zip(logits, targets, strict=True)]
        return "labels right, %", round(100 * float(np.mean(right)), 1)
    wrong = [quant.scale[0] * (q.astype(float) - t) for q, t in zip(logits, targets, strict=True)]
    return "squared error", round(float(np.mean(np.square(wrong))), 4)


def table(rows: list[dict[str, Any]]) -> str:
    """A line a kind."""
    lines = [
        "| kind | reaches | seconds in all | score | before | after | refused with |",
        "|---|---|--:|---|--:|--:|---|",
    ]
    for row in rows:
        reached = "a device that learns" if not row["said"] else f"refused by {row['ends']}"
        learnt = " | ".join(str(row.get(name, "")) for name in ("score", "before", "after"))
        seconds = sum(row["seconds"].values())
        lines.append(f"| {row['kind']} | {reached} | {seconds:.0f} | {learnt} | {row['said'][:240]} |")
    return "\n".join(lines) + "\n"


def main(_: Any) -> None:
    out, runs = Path(FLAGS.out), Runs(Path(FLAGS.out) / "runs.jsonl")
    for kind in tqdm(FLAGS.only or KINDS, unit="model"):
        runs.get({"kind": kind}, lambda kind=kind: walk(kind))
        write_text(out / "table.md", table(runs.rows))
    print(table(runs.rows))


if __name__ == "__main__":
    app.run(main)
