"""What scores are worth: `auc`, `f1`, `r2`, and the `threshold` that normal samples give."""

from __future__ import annotations

import numpy as np


def auc(normal: np.ndarray, strange: np.ndarray) -> float:
    """Area under the ROC curve: how often a strange score [M] is above a normal one [N], ties half.

    >>> auc(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0]))
    0.75
    """
    ordered = np.sort(normal)
    below = np.searchsorted(ordered, strange, "left") + np.searchsorted(ordered, strange, "right")
    return float(below.mean() / 2 / max(1, len(ordered)))


def mean_auc(y: np.ndarray, scores: np.ndarray) -> float:
    """Mean over the labels, of those that have both: y [N, L] 0 or 1, scores [N, L]; NaN where none has.

    >>> mean_auc(np.array([[0], [1]]), np.array([[0.2], [0.3]]))
    1.0
    """
    found = [auc(s[t == 0], s[t == 1]) for t, s in zip(y.T, scores.T, strict=True) if 0 < t.sum() < len(t)]
    return float(np.mean(found)) if found else float("nan")


def f1(y: np.ndarray, said: np.ndarray) -> float:
    """Over all labels together: 2 tp / (2 tp + fp + fn); y and said [N, L], 0 or 1. 1 where there is nothing.

    >>> f1(np.array([[1, 1, 0]]), np.array([[1, 0, 0]])).__round__(3)
    0.667
    """
    hits = int((y * said).sum())
    total = int(y.sum() + said.sum())
    return 2 * hits / total if total else 1.0


def r2(y: np.ndarray, said: np.ndarray) -> float:
    """Share of the variance of y [N, K] that is explained: 1 - error^2 / variance, all columns together.

    >>> r2(np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]]))
    0.5
    """
    spread = float(((y - y.mean(axis=0)) ** 2).sum())
    return 1 - float(((y - said) ** 2).sum()) / spread if spread else float("nan")


def threshold(normal: np.ndarray, alarms: float = 0.01) -> float:
    """The score that a share `alarms` of the normal scores [N] exceeds: above it, a sample is called strange.

    >>> threshold(np.arange(101.0), alarms=0.05)
    95.0
    """
    return float(np.quantile(normal, 1 - alarms))
