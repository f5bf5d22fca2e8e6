"""`compile_model`: the passes in order, and what comes out of them.

>>> compiled = compile_model(tflite, UpdatePlan(head=True))
>>> compiled.save("build/engine").name
'engine'
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from tflm_export import __version__
from tflm_export.compiled import Compiled
from tflm_export.contracts import Contract
from tflm_export.cpp import wrap
from tflm_export.emit import emit
from tflm_export.errors import ExportError
from tflm_export.front.dead_facts import dead_facts
from tflm_export.front.prune import prune
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.front.spare import add_spare_classes
from tflm_export.gradients.cut import find_cut
from tflm_export.gradients.paths import gradient_type
from tflm_export.gradients.training_graph import trained_ops, training_graph
from tflm_export.ir import Graph
from tflm_export.library import library_sources
from tflm_export.limits import check_arena, check_limits
from tflm_export.living.capacity import check_exemplars, memory_facts, memory_ram
from tflm_export.living.image import check_area
from tflm_export.living.measuring import workspace
from tflm_export.living.memory import Exemplars
from tflm_export.living.pool import check_pool, pool_ram
from tflm_export.living.pool_facts import pool_facts
from tflm_export.macs import count_macs
from tflm_export.memory.fuse import ENOUGH_RAM_BYTES, fuse
from tflm_export.memory.lifetimes import lifetimes
from tflm_export.memory.place import MemoryPlan, check_no_overlap, lower_bound, place
from tflm_export.memory.row_fed import feed_rows
from tflm_export.memory.squeeze import squeeze
from tflm_export.memory.storage import SLICES_STACK_BYTES, engine_ram, static_ram
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import UpdatePlan
from tflm_export.store.facts import check_samples
from tflm_export.variable import variables

__all__ = [
    "Compiled",
    "compile_model",
    "derive",
    "kept_ram",
    "plan_memory",
    "tflm_array",
    "with_spare_classes",
    "without_dead",
]

FITTING_TRIES = 4


def compile_model(
    tflite: bytes,
    plan: UpdatePlan,
    *,
    name: str = "engine",
    gradients: str = "int16",
    contract: Contract | None = None,
    keep_dead: bool = False,
    exemplars: Exemplars | None = None,
    row_fed: bool = False,
    ram_bytes: int | None = None,
    pauses: bool = False,
) -> Compiled:
    """Compile an int8 `.tflite` and an update plan to a training engine in namespace `name`.

    gradients: "int16" (fast, small) or "float32" (the reference): docs/compiler.md, "Two backward passes".
    contract: how pictures reach the model; it goes where the engine goes.
    keep_dead: compile channels of one value for every input, too (docs/compiler.md, "Dead channels").
    exemplars: samples to ship with the engine, as latents (docs/living.md).
    row_fed: the engine asks for its input row by row (docs/compiler.md, "Rows instead of a picture").
    ram_bytes: static data and stack that it may take; the more, the fewer cycles. None: few.
    pauses: the engine calls a function of the sketch's behind every kernel (docs/sketch.md).
    Raises `ExportError` for a model, plan or op that is not supported, `TfodlError` for a contract that
    cannot be this model's.
    """
    _check_provenance(tflite, plan)
    forward = simplify(read_tflite(tflite))
    live = without_dead(forward, plan)
    graph, memory = derive(forward if keep_dead else live, plan, gradients, row_fed, ram_bytes)
    check_exemplars(graph, plan, exemplars)
    engine = emit(graph, memory, plan, name, exemplars, pauses)
    sources = {f"src/{path}": text for path, text in engine.items()}
    sources |= {f"src/{path}": text for path, text in tflm_array(tflite, name).items()}
    sources |= {f"src/{path}": text for path, text in library_sources().items()}
    facts = _facts(tflite, graph, memory, name) | {"input": _input_facts(graph, contract)}
    facts |= {"row_fed": row_fed, "ram_bytes": ram_bytes, "pauses": pauses, "loss": plan.loss}
    facts["dead"] = dead_facts(forward, live, trained_ops(forward, plan), keep_dead, plan.spare_classes)
    facts |= memory_facts(graph, plan, exemplars) | pool_facts(graph, plan)
    return Compiled(tflite, plan, name, graph, memory, sources, facts, contract, exemplars)


def with_spare_classes(tflite: bytes, plan: UpdatePlan, count: int) -> tuple[bytes, UpdatePlan]:
    """Model and plan with `count` spare outputs more (docs/living.md).

    Raises `ExportError` for a plan of another model, or a model that cannot have them, `TfodlError` for a
    plan without memory or head.
    """
    _check_provenance(tflite, plan)
    wide, facts = add_spare_classes(tflite, count), dict(plan.provenance)
    if "model_sha256" in facts:
        facts["model_sha256"] = hashlib.sha256(wide).hexdigest()
    return wide, dataclasses.replace(plan, spare_classes=plan.spare_classes + count, provenance=facts)


def without_dead(forward: Graph, plan: UpdatePlan) -> Graph:
    """A simplified model without the channels that it can do without, whatever `plan` may make of it."""
    return prune(forward, {trained.op.name for trained in trained_ops(forward, plan)})


def derive(
    forward: Graph,
    plan: UpdatePlan,
    gradients: str,
    row_fed: bool = False,
    ram_bytes: int | None = None,
) -> tuple[Graph, MemoryPlan]:
    """The training graph of a simplified model under `plan`, fused, and where its tensors lie."""
    graph = check_limits(training_graph(forward, plan, gradients))
    graph = feed_rows(graph) if row_fed else graph
    graph = fuse(graph, ENOUGH_RAM_BYTES) if ram_bytes is None else _within(graph, plan, ram_bytes)
    if row_fed and plan.memory is not None and find_cut(graph, plan).position == 0:
        raise ExportError(
            "row-fed input: the plan's memory would keep whole pictures, for the first layers learn; freeze "
            "them, or compile without --row-fed."
        )
    check_pool(graph, plan)
    check_area(graph, plan)
    check_samples(graph, plan)
    return graph, plan_memory(graph, plan)


def _within(graph: Graph, plan: UpdatePlan, ram_bytes: int) -> Graph:
    """The graph fused as little as an engine in `ram_bytes` needs. Raises `ExportError` where none fits."""
    taken = engine_ram(kept_ram(graph, plan))
    found: list[tuple[int, Graph]] = []  # bytes that an engine takes
    for smaller, deeper in ((fuse, 0), (squeeze, SLICES_STACK_BYTES)):
        room = ram_bytes - taken
        for _ in range(FITTING_TRIES if room > 0 else 0):  # a placement may have gaps: then less may be alive
            fused = smaller(graph, room)
            found.append((taken + deeper + plan_memory(fused, plan).arena, fused))
            if found[-1][0] <= ram_bytes:
                return fused
            room = max(1, room - found[-1][0] + ram_bytes)
    least = squeeze(graph, 0)
    found.append((taken + SLICES_STACK_BYTES + plan_memory(least, plan).arena, least))
    needed, smallest = min(found, key=lambda one: one[0])
    if needed <= ram_bytes:
        return smallest
    raise ExportError(
        f"the engine does not fit {ram_bytes:,} B of RAM: it needs {needed:,} at least, {taken:,} of them "
        "for what learns, memory and stack; train less, keep fewer samples, or give more RAM."
    )


def plan_memory(graph: Graph, plan: UpdatePlan) -> MemoryPlan:
    """Place a training graph's tensors; checked for overlap."""
    live = lifetimes(graph)
    offsets = place(live.buffers)
    arena = max((offsets[b.name] + b.room for b in live.buffers), default=0)
    check_no_overlap(live.buffers, offsets, arena)
    if plan.pool is not None:
        arena = max(arena, workspace(graph, plan).nbytes)
    ram = check_arena(arena) + kept_ram(graph, plan)
    return MemoryPlan(live.buffers, offsets, live.views, arena, lower_bound(live.buffers), ram)


def kept_ram(graph: Graph, plan: UpdatePlan) -> int:
    """Static RAM beside the arena, bytes: what learns, memory, pool, the engine's own variables."""
    return static_ram(graph, plan.optimizer, 0) + memory_ram(graph, plan) + pool_ram(graph, plan)


def tflm_array(tflite: bytes, name: str) -> dict[str, str]:
    """The model as a C array, for TFLite Micro's interpreter; the engine does not need it."""
    words = wrap(f"0x{byte:02x}" for byte in tflite)
    header = (
        "// The model for TFLite Micro. The engine does not use it; link it for the interpreter only.\n"
        f"#pragma once\n\nnamespace {name} {{\n\nextern const unsigned char model_tflm[{len(tflite)}];\n"
        f"constexpr unsigned int kModelTflmBytes = {len(tflite)};\n\n}}  // namespace {name}\n"
    )
    body = f"alignas(16) const unsigned char model_tflm[{len(tflite)}] = {{\n{words}\n}};\n"
    spaced = f"namespace {name} {{\n\n{body}\n}}  // namespace {name}\n"
    return {f"{name}_tflm.h": header, f"{name}_tflm.cpp": f'#include "{name}_tflm.h"\n\n{spaced}'}


def _check_provenance(tflite: bytes, plan: UpdatePlan) -> None:
    """Refuse a plan that says it was made for another model."""
    expected = plan.provenance.get("model_sha256")
    actual = hashlib.sha256(tflite).hexdigest()
    if expected is not None and expected != actual:
        raise ExportError(
            f"update plan: it was made for the model with SHA-256 {str(expected)[:12]}..., this one is "
            f"{actual[:12]}...; make a plan for this model, or drop provenance.model_sha256."
        )


def _facts(tflite: bytes, graph: Graph, memory: MemoryPlan, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": __version__,
        "gradients": gradient_type(graph),
        "model_sha256": hashlib.sha256(tflite).hexdigest(),
        "model_bytes": len(tflite),
        "arena_bytes": memory.arena,
        "memory_lower_bound_bytes": memory.lower_bound,
        "planned_static_ram_bytes": memory.static_ram,
        "macs": count_macs(graph),
        "trained_parameters": sum(v.count for v in variables(graph)),
    }


def _input_facts(graph: Graph, contract: Contract | None) -> dict[str, Any] | None:
    """The contract as plain values, seen to fit the model's input."""
    if contract is None:
        return None
    if len(graph.inputs) > 1:
        raise ExportError(
            f"input contract: it is of one input, the model takes {len(graph.inputs)}: {list(graph.inputs)}; "
            "compile without it and give int8 values."
        )
    quant = tensor_quant(graph, graph.inputs[0])
    contract.check(graph.tensors[graph.inputs[0]].shape[1:], quant.scale[0], quant.zero_point[0])
    return contract.to_dict()
