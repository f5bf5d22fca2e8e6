"""`ValueRun`: samples without classes into a board: with numbers, several labels, or nothing to say."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tflm_export.board.client import BoardClient, TrainResult
from tfodl.board.run import Run
from tfodl.board.targets import scores


class ValueRun(Run):
    """As `Run`, of samples whose `labels` are targets, int8 [N, K]; K is 0 for an autoencoder."""

    def _prepare(self) -> None:
        self._line.do(self._give_rate)

    def _teach(self, i: int) -> tuple[dict[str, Any], bool]:
        x, target = self._samples.x[i], self._samples.labels[i]
        result: TrainResult = self._line.do(partial(BoardClient.train, x=x, target=target))
        self._line.at(result.steps)
        return {"loss": round(result.loss, 6)}, result.epoch_over

    def _evaluate(self, name: str) -> None:
        x = self._samples.test_x
        said = np.stack([self._line.do(partial(BoardClient.predict, x=sample))[1] for sample in x])
        found = scores(self._compiled, said, x, self._samples.test_labels)
        self._judged = self._step
        rounded = {key: round(value, 6) for key, value in found.items()}
        self._log.event("evaluated", step=self._step, set=name, **rounded)
        text = ", ".join(f"{key} {value:.3g}" for key, value in found.items())
        self._curve.say(f"after {self._step} samples {text} on {len(x)} held-out ones")
