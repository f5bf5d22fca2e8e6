"""`StreamResult`: what a stream did to a net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.experiments.figures import save_figure


@dataclass(frozen=True)
class StreamResult:
    """A net's accuracy while a stream went by.

    labels: of the stream's samples, int64 [N]. samples: how many were learnt from at each point, int64 [P].
    per_class: fraction right of every class's test pictures at each point, by test set, float [P, classes];
        NaN for a class without any. overall: of all test pictures, by test set, float [P].
    remembered: the samples that the memory held in the end, as places in the stream, int64 [held].
    weights: the trained tensors in the end, by name.

    >>> per_class = {"target": np.array([[0.5, 0.5], [1.0, 0.2], [0.4, 0.9]])}
    >>> overall = {"target": np.array([0.5, 0.6, 0.65])}
    >>> result = StreamResult(np.zeros(8, int), np.array([0, 4, 8]), per_class, overall)
    >>> result.accuracy("target"), round(result.forgetting("target"), 2)
    (0.65, 0.1)
    """

    labels: np.ndarray
    samples: np.ndarray
    per_class: Mapping[str, np.ndarray]
    overall: Mapping[str, np.ndarray]
    remembered: np.ndarray | None = None
    weights: Mapping[str, np.ndarray] | None = None

    def accuracy(self, test: str) -> float:
        """Fraction of test set `test` that is right in the end. Raises `TfodlError` for an unknown set."""
        return float(self.overall[self._known(test)][-1])

    def forgetting(self, test: str) -> float:
        """What was forgotten of test set `test`, a fraction; below 0 when classes end better than they were.

        The mean over classes of the best accuracy at an earlier point less the last,
        `max_{l < P} a_l,c - a_P,c` (Chaudhry et al., "Riemannian Walk for Incremental Learning", ECCV 2018,
        section 3; classes are tasks).
        """
        found = self.per_class[self._known(test)]
        if len(found) < 2:
            raise TfodlError("stream: forgetting needs two points or more; ask play for more points.")
        return float(np.nanmean(found[:-1].max(axis=0) - found[-1]))

    @property
    def memory(self) -> np.ndarray:
        """Samples of each class that the memory held in the end, int64 [classes]; zeros without a memory."""
        classes = next(iter(self.per_class.values())).shape[1]
        held = [] if self.remembered is None else self.labels[self.remembered]
        return np.bincount(np.asarray(held, np.int64), minlength=classes)

    def to_dict(self) -> dict[str, Any]:
        """The end in plain numbers, for JSON."""
        return {
            "samples": len(self.labels),
            "accuracy": {test: round(self.accuracy(test), 4) for test in self.overall},
            "forgetting": {test: round(self.forgetting(test), 4) for test in self.overall},
            "memory": self.memory.tolist(),
        }

    def plot(self, path: str | Path) -> None:
        """Draw accuracy by class over the stream, a panel a test set, above what the stream showed, as PNG.
        Raises `TfodlError` when the file cannot be written."""
        from tfodl.stream.figure import stream_figure

        save_figure(stream_figure(self), path)

    def _known(self, test: str) -> str:
        if test not in self.overall:
            raise TfodlError(f"stream: no test set {test!r}; there are {sorted(self.overall)}.")
        return test
