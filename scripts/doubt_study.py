"""Should a net that is sure doubt a label? Streams of few samples and of wrong labels (docs/living.md).

    python scripts/doubt_study.py

A sample whose label contradicts an answer of 90 % probability is neither learned nor remembered while at
least --trust of the last such answers were right (counts of 32, halved when they are full). Harms, nets and
seeds are those of scripts/guard_study.py, whose runs are the same without doubt. Writes --out, one line a
stream; a killed run goes on. `benchmarks/guard_tables.py` makes the table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from absl import app, flags
from guard_study import Paced, study

from tflm_export.errors import TfodlError
from tflm_export.ops.result import tensor_quant

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

    def facts(self) -> dict[str, Any]:
        return {"doubted": self.all_doubted}

    def _answer(self, x: np.ndarray) -> tuple[int, bool]:
        """What the net takes it for, and whether it is sure."""
        graph = self._host.compiled.graph
        assert graph.loss is not None
        real = tensor_quant(graph, graph.loss.inputs[0]).dequantize(self._host.logits(x)).reshape(-1)
        odds = np.exp(real - real.max())
        return int(odds.argmax()), bool(odds.max() >= SURE * odds.sum())


def main(_: list[str]) -> None:
    study(Doubting, trust=FLAGS.trust)


if __name__ == "__main__":
    try:
        app.run(main)
    except TfodlError as error:
        raise SystemExit(f"doubt_study: {error}") from error
