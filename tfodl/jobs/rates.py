"""A learning rate by a short search: a few steps at each, judged on held-out pictures."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tflm_export.errors import TfodlError
from tfodl.selective.model import SelectiveModel

RATES = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
STEPS = 20  # of each


def search_rate(model: SelectiveModel, x: Any, y: Any, held_out: tuple[Any, Any], batch: int) -> float:
    """The rate of `RATES` with the lowest held-out loss after 20 steps of the model's present plan.

    x [N, ...], y [N]: to train on, in this order. The model ends with the weights that it began with.
    Raises `TfodlError` when every rate ends in NaN.
    """
    start = model.get_weights()
    losses = {}
    for rate in RATES:
        _restart(model, start, rate)
        n = STEPS * batch
        model.fit(x[:n], y[:n], batch_size=batch, shuffle=False, verbose=0)
        loss = model.evaluate(*held_out, batch_size=256, verbose=0, return_dict=True)["loss"]
        losses[rate] = float(loss) if np.isfinite(loss) else np.inf
    best = min(losses, key=lambda rate: losses[rate])
    if not np.isfinite(losses[best]):
        raise TfodlError(
            "no learning rate from 0.0003 to 0.1 gives a finite loss; see to the data's scaling."
        )
    _restart(model, start, best)
    return best


def _restart(model: SelectiveModel, weights: list[np.ndarray], rate: float) -> None:
    """The weights again, the optimizer without memory, at `rate`."""
    model.set_weights(weights)
    for variable in model.optimizer.variables:
        if variable.path != "learning_rate" and not variable.path.endswith("/learning_rate"):
            variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate
