"""How many samples a memory holds, and what it takes of RAM and flash."""

from __future__ import annotations

from typing import Any

from tflm_export.errors import ExportError
from tflm_export.gradients.cut import find_cut, latent_reader
from tflm_export.ir import Graph
from tflm_export.living.memory import LABEL_BYTES, Exemplars
from tflm_export.living.new_classes import outlives_power, spare_head
from tflm_export.living.pool import most_row_bytes
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.variable import variables

COUNTS_BYTES, OFFERED_BYTES, SEEN_BYTES = 16, 4, 4  # tfodl::ReplayCounts, a class, a flag
STEPS_BYTES, VERDICT_BYTES = 4, 2  # of a guard: a counter; a judge
SUM_BYTES, OLD_BYTES = 4, 4  # of a feature, to imprint a spare class; how many classes the power found


def capacity(memory: Memory, latent_bytes: int) -> int:
    """Samples that fit. Raises `ExportError` when none does.

    >>> capacity(Memory(bytes=1000), 190)
    5
    """
    if memory.samples is not None:
        return memory.samples
    each, given = latent_bytes + LABEL_BYTES, memory.bytes or 0
    if given < each:
        raise ExportError(
            f"update plan: memory of {given} bytes cannot hold one sample, which takes {each} (a latent of "
            f"{latent_bytes} and its label); give more bytes."
        )
    return given // each


def classes(graph: Graph) -> int:
    """Classes that a training graph tells apart."""
    assert graph.loss is not None
    return graph.tensors[graph.loss.inputs[0]].size


def memory_ram(graph: Graph, plan: UpdatePlan) -> int:
    """Static RAM of the memory and of the last picture's latent, bytes; 0 for a plan without memory."""
    if plan.memory is None:
        return 0
    cut = find_cut(graph, plan)
    held = capacity(plan.memory, cut.nbytes) * (cut.nbytes + LABEL_BYTES)
    counts = OFFERED_BYTES * classes(graph) + COUNTS_BYTES
    spare = spare_head(graph, plan)
    sums = SUM_BYTES * graph.tensors[spare.weights].shape[1] if spare is not None else 0
    old = OLD_BYTES if outlives_power(plan) else 0
    return cut.nbytes + held + counts + SEEN_BYTES + guard_ram(graph, plan) + sums + old


def guard_ram(graph: Graph, plan: UpdatePlan) -> int:
    """Static RAM of the pictures that judge and of the last good state, bytes; 0 for a plan without guard."""
    if plan.guard is None:
        return 0
    held = plan.guard.samples * (find_cut(graph, plan).nbytes + LABEL_BYTES + VERDICT_BYTES)
    return held + OFFERED_BYTES * classes(graph) + COUNTS_BYTES + STEPS_BYTES + good_bytes(graph, plan)


def good_bytes(graph: Graph, plan: UpdatePlan) -> int:
    """Bytes of the trained tensors and of a pool's rows, which a guard keeps a copy of."""
    return sum(v.nbytes for v in variables(graph)) + most_row_bytes(graph, plan)


def memory_facts(graph: Graph, plan: UpdatePlan, exemplars: Exemplars | None) -> dict[str, Any]:
    """What the report says of the cut and the memory; nothing for a plan without candidates and memory."""
    if plan.memory is None and not plan.candidates:
        return {}
    cut = find_cut(graph, plan)
    reader = latent_reader(graph, cut)
    facts: dict[str, Any] = {
        "tensor": cut.tensor,
        "before": f"{reader.name} {reader.kind}",
        "shape": "x".join(map(str, graph.tensors[cut.tensor].shape[1:])),
        "latent_bytes": cut.nbytes,
        "macs_above": cut.macs,
    }
    if plan.memory is not None:
        facts |= {
            "samples": capacity(plan.memory, cut.nbytes),
            "bytes_a_sample": cut.nbytes + LABEL_BYTES,
            "ram_bytes": memory_ram(graph, plan),
            "exemplars": len(exemplars) if exemplars else 0,
        }
    if plan.guard is not None:
        facts |= {"judges": plan.guard.samples, "guard_ram_bytes": guard_ram(graph, plan)}
    return {"latent": facts}


def check_exemplars(graph: Graph, plan: UpdatePlan, exemplars: Exemplars | None) -> None:
    """Raise `ExportError` unless the exemplars are latents of this engine, and its plan replays them."""
    wanted = plan.memory.exemplar_replays if plan.memory is not None else 0
    if exemplars is None:
        if wanted:
            raise ExportError(
                f"update plan: memory replays {wanted} exemplars a step, but none are given; compile with "
                "exemplars, or set exemplar_replays to 0."
            )
        return
    if not wanted:
        raise ExportError(
            "exemplars: the update plan replays none; set memory.exemplar_replays to 1 or more."
        )
    _check_shape(graph, plan, exemplars)


def _check_shape(graph: Graph, plan: UpdatePlan, exemplars: Exemplars) -> None:
    cut = find_cut(graph, plan)
    shape, found = graph.tensors[cut.tensor].shape[1:], exemplars.latents.shape[1:]
    if shape != found:
        raise ExportError(f"exemplars: latents have shape {list(found)}; the engine's have {list(shape)}.")
    low, high = int(exemplars.labels.min()), int(exemplars.labels.max())
    known = classes(graph) - plan.spare_classes
    if low < 0 or high >= known:
        wrong = low if low < 0 else high
        raise ExportError(f"exemplars: label {wrong}: allowed 0..{known - 1}.")
