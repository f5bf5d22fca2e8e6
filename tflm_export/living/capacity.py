"""How many samples a memory holds, and what it takes of RAM and flash."""

from __future__ import annotations

from typing import Any

from tflm_export.errors import ExportError
from tflm_export.gradients.cut import find_cut, latent_reader
from tflm_export.ir import Graph
from tflm_export.living.memory import Exemplars
from tflm_export.living.new_classes import spare_head
from tflm_export.living.pool import most_row_bytes
from tflm_export.plan import UpdatePlan
from tflm_export.store.samples import LABEL_BYTES, SLOTS, capacity, samples_in_flash
from tflm_export.variable import variables

COUNTS_BYTES, OFFERED_BYTES, SEEN_BYTES = 16, 4, 4  # tfodl::ReplayCounts, a class, a flag
STEPS_BYTES, VERDICT_BYTES = 4, 2  # of a guard: a counter; a judge
SAMPLES_BYTES = 12  # tfodl::Samples
SUM_BYTES, OLD_BYTES = 4, 4  # of a feature, to imprint a spare class; how many classes are old


def classes(graph: Graph) -> int:
    """Classes that a training graph tells apart."""
    assert graph.loss is not None
    return graph.tensors[graph.loss.inputs[0]].size


def memory_ram(graph: Graph, plan: UpdatePlan) -> int:
    """Static RAM of the memory and of the last picture's latent, bytes; 0 for a plan without memory."""
    if plan.memory is None:
        return 0
    cut = find_cut(graph, plan)
    held = capacity(plan.memory, cut.nbytes) * sample_ram(plan, cut.nbytes)
    counts = OFFERED_BYTES * classes(graph) + COUNTS_BYTES
    spare = spare_head(graph, plan)
    sums = SUM_BYTES * graph.tensors[spare.weights].shape[1] if spare is not None else 0
    old = OLD_BYTES if spare is not None else 0
    samples = 0 if plan.memory.where == "ram" else SAMPLES_BYTES
    return cut.nbytes + held + counts + SEEN_BYTES + guard_ram(graph, plan) + sums + old + samples


def sample_ram(plan: UpdatePlan, latent_bytes: int) -> int:
    """Static RAM of a remembered sample, bytes: its label, and its latent or where in flash that is."""
    in_flash = plan.memory is not None and plan.memory.where == "flash"
    return LABEL_BYTES + (SLOTS if in_flash else latent_bytes)


def guard_ram(graph: Graph, plan: UpdatePlan) -> int:
    """Static RAM of the pictures that judge and of the last good state, bytes; 0 for a plan without guard."""
    if plan.guard is None:
        return 0
    held = plan.guard.samples * (sample_ram(plan, find_cut(graph, plan).nbytes) + VERDICT_BYTES)
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
    samples = samples_in_flash(graph, plan)
    if samples is not None:
        in_ram = sample_ram(plan, cut.nbytes)
        facts |= {"where": "flash", "ram_a_sample": in_ram, "flash_a_sample": samples.room()}
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
