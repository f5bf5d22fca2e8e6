"""Who comes first under a budget: pure functions of scores and costs, on the host as on the device.

>>> select([3, 9, 5], [2, 2, 2], 5).tolist()
[False, True, True]
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tflm_export.errors import TfodlError

Rule = Literal["prefix", "fill"]
RULES = ("prefix", "fill")


def check_rule(rule: str) -> None:
    """Raises `TfodlError` unless `rule` is one of `RULES`."""
    if rule not in RULES:
        raise TfodlError(f"select: rule must be one of {RULES}, got {rule!r}.")


def select(
    scores: ArrayLike, costs: ArrayLike, budget: int | float | None, rule: Rule = "prefix"
) -> NDArray[np.bool_]:
    """The neurons to train: highest scores first, until `budget` is spent.

    scores: `[n]`, any real numbers; costs: `[n]`, each >= 0, in the budget's unit; budget: None is no limit.
    rule: `"prefix"` stops at the first neuron that does not fit (eq. 6), `"fill"` skips it and goes on.
    Ties go to the lower index. Returns a mask `[n] bool`.

    Raises `TfodlError` on shapes that differ, NaN scores, negative costs or budget, or an unknown rule.
    """
    scores, costs = np.asarray(scores, np.float64), np.asarray(costs, np.float64)
    _check(scores, costs, budget, rule)
    chosen = np.zeros(scores.shape, bool)
    limit = np.inf if budget is None else budget
    order = ranking(scores)
    if rule == "prefix":
        chosen[order[np.cumsum(costs[order]) <= limit]] = True
        return chosen
    left = limit
    for index in order:
        if costs[index] <= left:
            chosen[index] = True
            left -= costs[index]
    return chosen


def ranking(scores: ArrayLike) -> NDArray[np.intp]:
    """Indices by falling score; ties by index."""
    return np.argsort(-np.asarray(scores, np.float64), kind="stable")


def _check(scores: NDArray[Any], costs: NDArray[Any], budget: int | float | None, rule: str) -> None:
    check_rule(rule)
    if scores.ndim != 1 or scores.shape != costs.shape:
        raise TfodlError(f"select: scores and costs must be [n] both, got {scores.shape} and {costs.shape}.")
    if np.isnan(scores).any() or (costs < 0).any():
        raise TfodlError("select: scores must not be NaN and costs must be >= 0.")
    if budget is not None and not budget >= 0:
        raise TfodlError(f"select: budget must be >= 0 or None, got {budget!r}.")
