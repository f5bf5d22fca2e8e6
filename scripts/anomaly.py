"""Anomalies that a device learns to find: an autoencoder, a machine that changes, and its normal sounds.

    python scripts/anomaly.py

An autoencoder 640-128-8-128-640 learns the sounds of a machine, is quantised and compiled. Then the machine
changes: it moves to another room, under another load. The engine (on the host; the board's has the same
weights) takes one step on each of --stream normal sounds of it. Held-out sounds, normal ones and of a worn
bearing, are told apart by reconstruction error: area under the ROC curve (AUC) of the frozen int8 net, and
after learning. Cycles and RAM are those of the emulated Cortex-M4F. The sounds are generated
(`tfodl/datasets/machine.py`), not recorded.

Writes runs.jsonl (one line a seed and plan; a killed run goes on) and table.md to --out.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import app, flags
from int8_transfer import spread
from keras import layers as L
from runs import Runs
from tqdm import tqdm

from tflm_export.compiler import Compiled, compile_model
from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import measure
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tfodl import convert
from tfodl.datasets.machine import Machine
from tfodl.tasks.scores import auc

BEFORE, CHANGED = Machine(), Machine(load=1.5, room=1.0)
HIDDEN = (128, 8, 128)
HELD_OUT, TRAIN, WEAR = 300, 2000, 1.0

flags.DEFINE_integer("seeds", 5, "trainings a plan", lower_bound=1)
flags.DEFINE_integer("stream", 1000, "normal sounds of the changed machine", lower_bound=1)
flags.DEFINE_integer("epochs", 40, "epochs of the autoencoder", lower_bound=1)
flags.DEFINE_string("out", "results/anomaly", "folder for results")
FLAGS = flags.FLAGS


def whole(op: str, count: int) -> LayerUpdate:
    return LayerUpdate(op, "out", tuple(range(count)), "all")


def biases(*ops: str) -> tuple[LayerUpdate, ...]:
    return tuple(LayerUpdate(op, "out", (), "all") for op in ops)


PLANS = {  # what learns, and at which rate
    "biases of the output": (biases("#3"), 1.0),
    "all biases": (biases("#0", "#1", "#2", "#3"), 1.0),
    "all biases, weights of the bottleneck": ((*biases("#0", "#3"), whole("#1", 8), whole("#2", 128)), 0.1),
}


@cache
def quantised(seed: int) -> bytes:
    """The autoencoder of the machine as it was, int8."""
    keras.utils.set_random_seed(seed)
    x = BEFORE.sounds(TRAIN, 1000 + seed)
    hidden = [layer for width in HIDDEN for layer in (L.Dense(width), L.BatchNormalization(), L.ReLU())]
    model = keras.Sequential([keras.Input((x.shape[1],)), *hidden, L.Dense(x.shape[1])])
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    model.fit(x, x, epochs=FLAGS.epochs, batch_size=32, verbose=0)
    return convert.to_int8(model, x, isolate=True)


def compiled(plan: str, seed: int) -> Compiled:
    layers, rate = PLANS[plan]
    update = UpdatePlan(layers, head=False, loss="reconstruction", optimizer=Optimizer(rate), seed=seed)
    return compile_model(quantised(seed), update)


def detected(engine: HostEngine, machine: Machine, seed: int) -> float:
    """AUC of worn bearings among held-out sounds of `machine`."""
    kinds = (machine.sounds(HELD_OUT, 2000 + seed), machine.sounds(HELD_OUT, 3000 + seed, WEAR))
    normal, worn = (np.array([engine.score(x) for x in _int8(engine, sounds)]) for sounds in kinds)
    return round(auc(normal, worn), 4)


def learn(plan: str, seed: int) -> dict[str, Any]:
    """AUC before the change, frozen after it, and learned; what a step costs."""
    code = compiled(plan, seed)
    engine = HostEngine(code)
    stream = _int8(engine, CHANGED.sounds(FLAGS.stream, 4000 + seed))
    row: dict[str, Any] = {
        "before": detected(engine, BEFORE, seed),
        "frozen": detected(engine, CHANGED, seed),
    }
    for count, x in enumerate(stream, start=1):
        engine.train_step(x)
        if count in (100, len(stream)):
            row[f"after {count}"] = detected(engine, CHANGED, seed)
    cost = measure(code, stream[:2], [None, None])
    return row | {
        "cycles": cost.train_step.cycles,
        "inference_cycles": cost.inference.cycles,
        "ram_bytes": cost.static_ram_bytes + cost.stack_bytes,
        "flash_bytes": cost.flash_bytes,
    }


def _int8(engine: HostEngine, sounds: np.ndarray) -> np.ndarray:
    return engine.compiled.to_int8(sounds)[:, None]


def table(runs: Runs) -> str:
    """Means over seeds, a row a plan."""
    after = [name for name in runs.rows[0] if name.startswith("after")]
    names = ["before", "frozen", *after]
    lines = [
        "# An autoencoder on a machine that changes",
        "",
        f"640-128-8-128-640, int8, one step a sound at batch 1; {FLAGS.seeds} seeds, mean ± deviation of "
        f"the AUC on {HELD_OUT} normal and {HELD_OUT} worn sounds, generated (`tfodl/datasets/machine.py`). "
        "Most cycles, RAM (static and stack) and flash: emulated Cortex-M4F. Made by `scripts/anomaly.py`.",
        "",
        "| what learns | before the change | changed, frozen | "
        + " | ".join(f"{name} sounds" for name in after)
        + " | gain | cycles a step | RAM, B | flash, B |",
        "|---|" + "--:|" * (len(names) + 4),
    ]
    for plan in PLANS:
        rows = [row for row in runs.rows if row["plan"] == plan]
        cells = [spread([row[name] for row in rows]) for name in names]
        gain = np.mean([row[after[-1]] - row["frozen"] for row in rows])
        worst = {key: max(row[key] for row in rows) for key in ("cycles", "ram_bytes", "flash_bytes")}
        lines.append(
            f"| {plan} | "
            + " | ".join(f"{cell['mean']:.3f} ± {cell['sd']:.3f}" for cell in cells)
            + f" | {gain:+.3f} | {worst['cycles']:,} | {worst['ram_bytes']:,} | {worst['flash_bytes']:,} |"
        )
    return "\n".join(lines) + "\n"


def main(_: list[str]) -> None:
    out = Path(FLAGS.out)
    runs = Runs(out / "runs.jsonl")
    for seed in tqdm(range(FLAGS.seeds), "seeds"):
        for plan in PLANS:
            runs.get({"plan": plan, "seed": seed}, lambda plan=plan, seed=seed: learn(plan, seed))
    write_text(out / "table.md", table(runs))


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"anomaly: {error}") from error
