"""`propose`: among which layers a device chooses, and how much learns at a time, for a board to hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from tflm_export.board.fit import area_in_flash
from tflm_export.boards import Board
from tflm_export.compiler import derive, without_dead
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.gradients.training_graph import trained_ops, training_graph
from tflm_export.ir import Graph
from tflm_export.living.pool import candidates, costs
from tflm_export.memory.engine_size import flash_estimate
from tflm_export.ops import WEIGHTED
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.pool import Pool
from tflm_export.round_up import round_up

SHARE = 4  # of what the candidates weigh, one part learns at a time
SAMPLES = 40  # remembered, where the plan does not say
SPARE_RAM_BYTES = 512  # of RAM, for what the linker pads
LARGEST = 2**31 - 1
EMPTY: Mapping[str, Any] = MappingProxyType({})


def propose(tflite: bytes, board: Board, plan: UpdatePlan, how: Mapping[str, Any] = EMPTY) -> UpdatePlan:
    """`plan` with candidates and a pool in place of its layers, of which a board holds all, flash area too.

    The deepest layers with weights below the head, as many as fit, and a pool of a quarter of what their
    channels cost. how: other fields of the `Pool`. A plan without memory gets one of 40 samples.
    Raises `ExportError` when not even the last layer fits.
    """
    forward = simplify(read_tflite(tflite))
    plan = replace(plan, memory=plan.memory or Memory(samples=SAMPLES), candidates=(), layers=(), pool=None)
    names = [op.name for op in forward.ops if op.kind in WEIGHTED and _may_learn(forward, plan, op.name)]
    least, most = 0, len(names)
    best: UpdatePlan | None = None
    while least < most:
        count = (least + most + 1) // 2
        asked = replace(plan, candidates=tuple(names[-count:]), pool=Pool(LARGEST, **how))
        found = _fitting(forward, asked, board, how)
        least, most, best = (least, count - 1, best) if found is None else (count, most, found)
    if best is None:
        raise ExportError(
            f"{board.title}: no layer of this model fits as a candidate beside {plan.memory}; remember fewer "
            "samples, or use a smaller picture or a narrower network."
        )
    return best


def proposal_text(plan: UpdatePlan) -> str:
    """The proposal as the options that ask for it."""
    assert plan.pool is not None and plan.memory is not None
    return (
        f'--candidates "{",".join(plan.candidates)}" --pool {plan.pool.bytes} --memory {plan.memory.samples}'
    )


def _may_learn(forward: Graph, plan: UpdatePlan, name: str) -> bool:
    try:
        return bool(trained_ops(forward, replace(plan, candidates=(name,), pool=Pool(LARGEST))))
    except ExportError:
        return False


def _fitting(forward: Graph, plan: UpdatePlan, board: Board, how: Mapping[str, Any]) -> UpdatePlan | None:
    """The plan with a pool for its candidates; None where the board does not hold it."""
    live = without_dead(forward, plan)
    prices = costs(candidates(training_graph(live, plan)), plan.optimizer)
    size = max(int(prices.max()), int(prices.sum()) // SHARE)
    plan = replace(plan, pool=Pool(round_up(size), **how))
    try:
        graph, memory = derive(live, plan, "int16")
    except ExportError:
        if len(plan.candidates) == 1:
            raise
        return None
    flash = flash_estimate(graph) + area_in_flash(graph, plan, board)
    fits = memory.static_ram + SPARE_RAM_BYTES <= board.ram_bytes and flash <= board.flash_bytes
    return plan if fits else None
