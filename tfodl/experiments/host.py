"""`step_seconds`: how long the host trains a step under each of several plans, in turns in one run."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tflm_export.plan import UpdatePlan
from tfodl.experiments.learner import cache
from tfodl.experiments.transfer import Task, prepare
from tfodl.int8.qas import QAS

BATCH = 32


def step_seconds(
    task: Mapping[str, Any], plans: Mapping[str, Mapping[str, Any]], rounds: int = 30
) -> dict[str, float]:
    """Seconds of a step of the cut int8 net by the names of `plans`, the median of `rounds`.

    task: fields of `Task`. plans: an `UpdatePlan`'s JSON each, layers named as in `Int8Model`. One step of
    each follows the other, so that what else the machine does falls on all of them alike.
    """
    start = prepare(Task(**task), cache())
    x, y = start.x["int8", "train"][:BATCH], start.y["train"][:BATCH]
    models = {}
    for name, plan in plans.items():
        models[name] = start.int8()
        models[name].compile(QAS(keras.optimizers.SGD(0.01)))
        models[name].set_plan(UpdatePlan.from_json(json.dumps(plan)))
    taken: dict[str, list[float]] = {name: [] for name in plans}
    for _ in range(rounds + 1):  # the first is traced
        for name, model in models.items():
            begun = time.perf_counter()
            model.train_on_batch(x, y)
            taken[name].append(time.perf_counter() - begun)
    return {name: float(np.median(times[1:])) for name, times in taken.items()}
