"""The whole way to the board tried before anything is trained: fold, quantise, read, plan, fit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tflm_export.errors import ExportError, TfodlError
from tflm_export.plan import Budget, UpdatePlan
from tfodl.callbacks import FixedSelection, Selection
from tfodl.datasets.split import draw
from tfodl.neurons.cost import full_plan
from tfodl.quantize import convert
from tfodl.quantize.layer_map import layer_map
from tfodl.selection.engine import Engine
from tfodl.selective.model import SelectiveModel


def dry_engine(model: SelectiveModel, x: np.ndarray) -> Engine:
    """The engine sizes of `model`, quantised as it is on the inputs `x` [N, ...]: some seconds.

    Raises `TfodlError` naming the layer or op that has no way to the board.
    """
    tflite = convert.to_int8(model, x)
    try:
        return Engine(tflite, layer_map(model, tflite))
    except ExportError as error:
        raise TfodlError(f"this model does not compile for the device: {error}") from error


def check_rule(model: SelectiveModel, rule: Selection, budget: Budget) -> UpdatePlan:
    """The plan that `rule` begins with, when its engine keeps `budget` and every plan after it can compile.

    model: compiled. Its plan becomes the rule's first.
    Raises `TfodlError` that says what takes too much, or what no gradient can pass, and what to do.
    """
    verbose, rule.verbose = rule.verbose, 0
    rule.set_model(model)
    rule.on_train_begin()
    if rule.engine is not None and not isinstance(rule, FixedSelection):
        _require_trainable(rule.engine, rule.completed(full_plan(model.groups)))
    rule.on_epoch_begin(0)
    plan, engine, rule.verbose = rule.plans[-1], rule.engine, verbose
    if engine is None:
        return plan
    used = {"RAM": engine.ram_bytes(plan), "flash": engine.flash_bytes(plan)}
    limits = {"RAM": budget.ram_bytes, "flash": budget.flash_bytes}
    over = [
        f"{name} {used[name]:,} B, allowed {limit:,}"
        for name, limit in limits.items()
        if limit is not None and used[name] > limit
    ]
    if over:
        raise TfodlError(_refusal(over, engine, plan))
    return plan


def _require_trainable(engine: Engine, every: UpdatePlan) -> None:
    try:
        engine.least_ram_bytes(every)
    except TfodlError as error:
        raise TfodlError(
            f"{error} The rule may choose any layer: set trainable = False on those that cannot learn, or "
            "train the classifier alone (--method head)."
        ) from error


def _refusal(over: list[str], engine: Engine, plan: UpdatePlan) -> str:
    head = engine.ram_bytes(dataclasses.replace(plan, layers=()))
    return (
        f"what this method trains does not fit: {'; '.join(over)}. The classifier alone (--method head) takes"
        f" {head:,} B of RAM; --method top_layers_random chooses what fits; smaller pictures (--size) or a "
        "narrower network take less; --device-batch 1 without --momentum saves 4 to 8 B a trained weight; "
        "--fit none lets it pass."
    )


def samples(train: tuple[Any, Any], count: int, seed: int) -> np.ndarray:
    """`count` of the inputs [N, ...] in `train`, drawn, each class by its share of the labels [N]."""
    x, y = map(np.asarray, train)
    drawn: np.ndarray = x[draw(y, count, seed)]
    return drawn
