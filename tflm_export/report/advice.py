"""What to do about an engine too large for a board: what takes the memory, which smaller plan fits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflm_export.board.fit import MEMORIES, area_in_flash
from tflm_export.boards import Board
from tflm_export.compiler import Compiled, derive, without_dead
from tflm_export.emit.names import display
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.ir import Graph
from tflm_export.memory.storage import state_bytes
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.propose import proposal_text, propose
from tflm_export.variable import variables

METHOD = "importance_random"  # what scripts/compare.py recommends
PEAK_TENSORS = 6
NAMED = 3


@dataclass(frozen=True)
class Advice:
    """`text` for people; `plan`: a smaller one that fits the board's RAM, None when not found or needed."""

    text: str
    plan: UpdatePlan | None = None


def advise(compiled: Compiled, board: Board, over: Mapping[str, int]) -> Advice:
    """By how much each memory is exceeded, what takes it, and what fits. over: of `board.fit`, some."""
    sizes = ", ".join(f"{MEMORIES[kind]} by {n:,} B" for kind, n in over.items())
    parts, plan = [f"{board.title}: over {sizes}."], None
    ram = max(over.get("ram_bytes", 0), over.get("loaded_bytes", 0))
    if "ram_bytes" in over and compiled.plan.pool is not None:
        plan, text = _proposal(compiled, board)
        parts.append(text)
    elif ram and compiled.plan.pool is None:
        plan = smaller_plan(compiled, compiled.memory.static_ram - ram)
        parts += [_ram_text(compiled), _plan_text(compiled, plan)]
    if "flash_bytes" in over:
        parts.append(_flash_text(compiled, board))
    return Advice(" ".join(parts), plan)


def _proposal(compiled: Compiled, board: Board) -> tuple[UpdatePlan | None, str]:
    """Candidates and a pool that the board holds, and what to say of them."""
    pool = compiled.plan.pool
    assert pool is not None
    how = {name: value for name, value in dataclasses.asdict(pool).items() if name != "bytes"}
    try:
        plan = propose(compiled.tflite, board, compiled.plan, how)
    except ExportError as error:
        return None, str(error)
    return plan, f"These fit: {proposal_text(plan)} (report --json: smaller_plans)."


def peak_tensors(compiled: Compiled) -> list[dict[str, Any]]:
    """The largest buffers alive at the step that needs most memory."""
    live = compiled.memory.live_bytes()
    step = int(np.argmax(live))
    alive = [b for b in compiled.memory.buffers if b.first <= step <= b.last]
    largest = sorted(alive, key=lambda b: -b.nbytes)[:PEAK_TENSORS]
    rows = [{"tensor": display(b.name), "bytes": b.nbytes, "steps": [b.first, b.last]} for b in largest]
    return [{"step": step, "op": compiled.graph.ops[step].name, "bytes": live[step]}, *rows]


def _ram_text(compiled: Compiled) -> str:
    """What the arena holds at its fullest, and what is always there."""
    peak, *tensors = peak_tensors(compiled)
    names = ", ".join(f"{t['tensor']} {t['bytes']:,} B" for t in tensors[:NAMED])
    text = f"The arena is fullest, {peak['bytes']:,} B, at step {peak['step']} ({peak['op']}): {names}."
    optimizer = compiled.plan.optimizer
    held = sorted(
        ((v.nbytes + state_bytes(v, optimizer), v) for v in variables(compiled.graph)), key=lambda r: -r[0]
    )
    total = sum(nbytes for nbytes, _ in held)
    if not total:
        return text
    names = ", ".join(f"{display(v.tensor)} {nbytes:,} B" for nbytes, v in held[:NAMED])
    return f"{text} What learns takes {total:,} B with the optimizer's state: {names}."


def _plan_text(compiled: Compiled, plan: UpdatePlan | None) -> str:
    static_ram = _static_ram(compiled)
    if plan is None:
        least = static_ram(UpdatePlan(head=False))
        return (
            f"No part of this plan fits (inference alone takes {least:,} B); use a smaller picture or a "
            "narrower network."
        )
    ram = f"{static_ram(plan):,} B of static RAM"
    if plan.layers == compiled.plan.layers:
        return f"The same layers fit with plain stochastic SGD (no momentum, batch 1, no accumulator): {ram}."
    kept = ", ".join(_entry(layer) for layer in plan.layers) or "the head alone"
    return (
        f"This part of the plan fits, {ram}: {kept} (report --json: smaller_plans). A choice made for this "
        f"RAM may learn more: tfodl finetune --fit, by {METHOD}, the best of the rules at equal RAM "
        "(docs/results.md)."
    )


def _entry(layer: LayerUpdate) -> str:
    return layer.name if layer.channels else f"{layer.name} (bias)"


def _flash_text(compiled: Compiled, board: Board) -> str:
    """The largest constants, which no plan changes, and the area that lies with them."""
    ops = [op for op in compiled.graph.layers.values() if op.role == "forward"]
    names = {
        name for op in ops for name in op.inputs if name and compiled.graph.tensors[name].data is not None
    }
    largest = sorted((compiled.graph.tensors[n] for n in names), key=lambda t: (-t.nbytes, t.name))
    total = sum(t.nbytes for t in largest)
    named = ", ".join(f"{display(t.name)} {t.nbytes:,} B" for t in largest[:NAMED])
    area = area_in_flash(compiled.graph, compiled.plan, board)
    return (
        f"The model's weights and biases take {total:,} B of flash: {named}. No plan makes them smaller; use "
        "a narrower network." + f" What it keeps takes {area:,} B there, too." * (area > 0)
    )


def smaller_plan(compiled: Compiled, ram_bytes: int) -> UpdatePlan | None:
    """A plan within this one whose engine's static memory is at most `ram_bytes`; None when there is none.

    Tried in order: the same layers with plain stochastic SGD; fewer layers, the first dropped; the biases
    of fewer layers. Each is compiled; the largest is found by halving, as memory falls with every layer.
    """
    static_ram = _static_ram(compiled)
    for plans in _candidates(compiled):
        low, high = 0, len(plans)
        while low < high:
            middle = (low + high) // 2
            if static_ram(plans[middle]) <= ram_bytes:
                high = middle
            else:
                low = middle + 1
        if low < len(plans):
            return plans[low]
    return None


def _candidates(compiled: Compiled) -> Iterator[list[UpdatePlan]]:
    """Lists of plans, each smaller than the one before it."""
    plan = compiled.plan
    plain = Optimizer(plan.optimizer.learning_rate, qas=plan.optimizer.qas)
    if plain != plan.optimizer:
        yield [dataclasses.replace(plan, optimizer=plain)]
    layers = sorted(plan.layers, key=lambda layer: _depth(compiled.graph, layer))
    biases = [LayerUpdate(x.name, "out", (), "all") for x in layers if x.bias == "all"]
    for optimizer in dict.fromkeys((plan.optimizer, plain)):
        smaller = dataclasses.replace(plan, optimizer=optimizer)
        yield _shrinking(smaller, layers[1:] if layers else [])
        yield _shrinking(smaller, biases)


def _shrinking(plan: UpdatePlan, layers: list[LayerUpdate]) -> list[UpdatePlan]:
    """The plan with these layers, less the first, less the first two...; those that train something."""
    plans = [dataclasses.replace(plan, layers=tuple(layers[i:])) for i in range(len(layers) + 1)]
    return [p for p in plans if p.layers or (p.head and plan.layers)]


def _static_ram(compiled: Compiled) -> Callable[[UpdatePlan], int]:
    """Static memory of the same model's engine by plan, bytes; the model is read once."""
    forward, facts = simplify(read_tflite(compiled.tflite)), compiled.facts

    def ram(plan: UpdatePlan) -> int:
        graph = forward if facts["dead"]["kept"] else without_dead(forward, plan)
        return derive(graph, plan, facts["gradients"])[1].static_ram

    return ram


def _depth(graph: Graph, layer: LayerUpdate) -> int:
    ops = graph.layers.values()
    names = [i for i, op in enumerate(ops) if layer.name in (op.name, *op.outputs, *op.inputs[1:2])]
    return min(names, default=0)
