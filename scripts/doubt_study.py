"""Should a net that is sure doubt a label? Streams of few samples and of wrong labels (docs/living.md).

    python scripts/doubt_study.py

A sample whose label contradicts an answer of 90 % probability is neither learned nor remembered while at
least --trust of the last such answers were right (counts of 32, halved when they are full). Harms, nets and
seeds are those of scripts/guard_study.py, whose runs are the same without doubt. Writes --out, one line a
stream; a killed run goes on. `benchmarks/guard_tables.py` makes the table.
"""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from guard_study import OTHER_RATE, RATES, Paced, domain, engine, harmful
from runs import Runs

from tflm_export.errors import TfodlError
from tflm_export.ops.result import tensor_quant
from tfodl import stream

SURE, FULL, ENOUGH = 0.9, 32, 8

flags.DEFINE_float("trust", 0.75, "share of sure answers that must have been right")
FLAGS = flags.FLAGS
FLAGS.set_default("harms", ["few", "wrong"])
FLAGS.set_default("out", "results/stream/doubt.jsonl")


class Doubting(Paced):
    """An engine that passes over a sample whose label it doubts."""

    def reset(self) -> None:
        super().reset()
        self.sure, self.right, self.doubted, self.all_doubted = 0, 0, False, 0

    def train_step(self, x: np.ndarray, label: int) -> float:
        answer, sure = self._answer(x)
        trusted = self.sure >= ENOUGH and self.right >= FLAGS.trust * self.sure
        self.doubted = sure and trusted and answer != label
        if sure:
            self.sure, self.right = self.sure + 1, self.right + (answer == label)
        if self.sure == FULL:
            self.sure, self.right = self.sure // 2, self.right // 2
        self.all_doubted += self.doubted
        return 0.0 if self.doubted else super().train_step(x, label)

    def remember(self, label: int) -> None:
        if not self.doubted:
            self._host.remember(label)

    def _answer(self, x: np.ndarray) -> tuple[int, bool]:
        """What the net takes it for, and whether it is sure."""
        graph = self._host.compiled.graph
        assert graph.loss is not None
        real = tensor_quant(graph, graph.loss.inputs[0]).dequantize(self._host.logits(x)).reshape(-1)
        odds = np.exp(real - real.max())
        return int(odds.argmax()), bool(odds.max() >= SURE * odds.sum())


def play(name: str, harm: str, guarded: bool, seed: int) -> dict[str, Any]:
    """One stream; accuracies before and after, and how many samples were doubted."""
    task, compiled, host = engine(name, guarded)
    rng = np.random.default_rng(seed)
    samples, test = domain(task, name, rng)
    shown = harmful(samples, harm, task.classes, rng)
    machine = Doubting(host, RATES.get(name, OTHER_RATE), 0)
    result = stream.play(compiled, shown, {"test": test}, machine=machine, points=1)
    before, after = (round(float(a), 4) for a in result.overall["test"])
    return {"samples": len(result.labels), "doubted": machine.all_doubted, "before": before, "after": after}


def main(_: list[str]) -> None:
    runs = Runs(Path(FLAGS.out))
    for name, guarded in itertools.product(FLAGS.task, (True, False)):
        for harm, seed in itertools.product(FLAGS.harms, range(FLAGS.seeds)):
            key = {"task": name, "harm": harm, "guard": guarded, "trust": FLAGS.trust, "seed": seed}
            runs.get(key, functools.partial(play, name, harm, guarded, seed))


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"doubt_study: {error}") from error
