"""What to do about a board that knows less after a run than before it."""

from __future__ import annotations

import math

import numpy as np

from tflm_export.plan import UpdatePlan

ERRORS = 2.0  # standard errors of the difference that are no chance


def is_worse(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether counts [true, predicted] of the same samples speak for a loss, by more than chance; of the
    classes that were judged before.

    >>> good, bad = np.diag([50, 50]), np.array([[30, 20], [20, 30]])
    >>> is_worse(good, bad), is_worse(bad, good), is_worse(good, good - np.diag([1, 0]))
    (True, False, False)
    """
    judged = before.sum(axis=1) > 0
    right, still = int(np.diag(before)[judged].sum()), int(np.diag(after)[judged].sum())
    count = int(before.sum())
    share = (right + still) / (2 * max(1, count))
    return right - still > ERRORS * math.sqrt(2 * count * share * (1 - share))


def advice(plan: UpdatePlan, rate: float | None) -> str:
    """What to do, in one line: what an engine of `plan`, run at `rate` (None: the plan's), has not yet.

    >>> advice(UpdatePlan(), 0.5)
    'it knows less than before: --fresh goes back; try --rate below 0.5, a memory, a guard (docs/living.md)'
    """
    tries = [f"--rate below {plan.optimizer.learning_rate if rate is None else rate:g}"]
    tries += ["a memory"] * (plan.memory is None) + ["a guard"] * (plan.guard is None)
    return f"it knows less than before: --fresh goes back; try {', '.join(tries)} (docs/living.md)"
