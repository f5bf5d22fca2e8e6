"""`train`: `learner.train` in float: the same pictures, first head, order and rules.

Batch norm is folded, as in the published weights; the features below the cut are those of the float net. A
budget is in parameters, for a net in float has no engine.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import keras

from tfodl.experiments.learner import Learner, Recipe, cache
from tfodl.experiments.transfer import Start, Task, draw_head, prepare, real_head
from tfodl.selective.model import SelectiveModel


def train(
    task: Mapping[str, Any],
    recipe: Mapping[str, Any],
    method: str,
    budget: Mapping[str, Any],
    rate: float,
    seed: int,
    validate: bool = False,
) -> dict[str, Any]:
    """As `learner.train`, with the accuracy on the test pictures after every epoch, `test_accuracy`, and
    without bytes of RAM."""
    return learner(Task(**task)).run(Recipe(**recipe), method, budget, rate, seed, validate)


@functools.cache
def learner(task: Task) -> FloatLearner:
    """The `FloatLearner` of a task, made once."""
    return FloatLearner(prepare(task, cache()))


class FloatLearner(Learner):
    """Trains the float layers behind the cut by plain SGD."""

    arithmetic = "fp32"
    curve = True

    def __init__(self, start: Start) -> None:
        super().__init__(start, SelectiveModel(start.fp32()), keras.optimizers.SGD(1.0))
        self.int8 = start.int8()  # whose head is drawn

    def reset(self, seed: int) -> None:
        """As in int8, in real values: the head is the one that an int8 training of this seed begins with."""
        keras.utils.set_random_seed(seed)
        draw_head(self.int8, seed)
        self.model.set_weights([*self.first[:-2], *real_head(self.int8)])
