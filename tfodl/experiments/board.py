"""`engine`: what a plan's engine takes of a board, compiled and run on an emulated Cortex-M4F."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from tflm_export.compiler import compile_model
from tflm_export.machines.measure import measure
from tflm_export.plan import UpdatePlan
from tfodl.experiments.learner import cache
from tfodl.experiments.transfer import Task, prepare
from tfodl.int8.graph import Int8Model
from tfodl.quantize.layer_map import address

STEPS = 2  # the second counts: its gradient shifts have settled


def engine(task: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, int]:
    """Bytes and cycles of one engine, for `tfodl.experiments.sweep`: JSON values in and out.

    task: fields of `Task`. plan: an `UpdatePlan`'s JSON, layers named as in `Int8Model`: `learner.train`'s.
    Returns ram_bytes (static and stack), flash_bytes, inference_cycles, step_cycles. Raises `ExportError` as
    `compile_model` and `measure` do.
    """
    start = prepare(Task(**task), cache())
    named = UpdatePlan.from_json(json.dumps(plan))
    compiled = compile_model(start.tflite, address(named, Int8Model(start.tflite), start.tflite))
    rng, graph = np.random.default_rng(0), compiled.graph
    pictures = rng.integers(-128, 128, (STEPS, *graph.tensors[graph.inputs[0]].shape)).astype(np.int8)
    found = measure(compiled, pictures, rng.integers(0, len(np.unique(start.y["train"])), STEPS))
    return {
        "ram_bytes": found.static_ram_bytes + found.stack_bytes,
        "flash_bytes": found.flash_bytes,
        "inference_cycles": found.inference.cycles,
        "step_cycles": found.train_step.cycles,
    }
