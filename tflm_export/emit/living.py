"""The parts of an engine that has a memory: latents, replay, the table of its state (docs/living.md)."""

from __future__ import annotations

from tflm_export.emit.engine import Engine
from tflm_export.emit.judging import judging_parts
from tflm_export.emit.names import shape_text
from tflm_export.emit.new_classes import OPENED, new_classes_parts
from tflm_export.emit.samples import sample_parts
from tflm_export.emit.variables import symbol_of
from tflm_export.gradients.cut import Cut, latent_reader
from tflm_export.ops.convolution.update import state_arrays
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.store.samples import LABEL_BYTES, capacity
from tflm_export.template import fill

POLICIES = {
    "reservoir": ("kReservoir", "every sample offered stays alike"),
    "balanced": ("kBalanced", "every class keeps as many"),
}
_LEARN = """namespace {

// One step on the latent in the arena.
float learn(int32_t label) {
  layers_above_cut();"""

_REST = "\n\n// What inference alone runs.\nvoid layers_to_output() {{\n{}\n}}"


_WRITTEN = """
// To be called when the trained tensors were written from outside: their classes are no young ones, and a
// guard goes back to them.
void weights_written();
"""


def living_parts(e: Engine, plain: dict[str, str]) -> dict[str, str]:
    """The fields of the templates that a memory changes, from those of the engine without it."""
    if e.cut is None or e.plan.memory is None:
        return {"living": "", "living_header": ""}
    fields = _facts(e, e.plan.memory, e.cut) | {"below": plain["below"], "above": plain["above"]}
    fields |= sample_parts(e, fields["cut"])
    whole = e.plan.pool is None and e.plan.memory.where == "ram"  # the state is bytes in RAM
    states = _state_table(e) if whole else []
    fields |= {"state_table": "\n".join(states), "states": str(len(states))}
    fields["states_header"] = f"constexpr int32_t kStates = {len(states)};\n" if states else ""
    for key, template in (("state_header", "living_state.h"), ("state", "living_state.cpp")):
        fields[key] = fill(template, fields) if whole else ""
    fields["logits_at"] = plain["logits_at"]
    judging, spare = judging_parts(e, fields), new_classes_parts(e, fields)
    fields |= judging | spare
    hoisted = e.plan.guard is not None or bool(e.plan.spare_classes)
    rest = _REST.format(plain["infer"]) if hoisted else ""
    written = _written(e)
    parts = rest + judging["judging_parts"] + spare["spare_parts"] + fields["samples_parts"].rstrip()
    forget = ("memset(offered, 0, sizeof offered);", "counts = {0, 0, 0, 0};", "seen = false;")
    return {
        "checks": plain["checks"] + fill("living_parts.cpp", fields) + parts,
        "reset": "\n".join([plain["reset"], *(f"  {line}" for line in forget)])
        + fields["forget_samples"]
        + judging["judging_reset"]
        + spare["spare_reset"],
        "infer": "  layers_to_output();" if hoisted else plain["infer"],
        "frozen": "  layers_below_cut();\n  layers_above_cut();",
        "step_begins": _LEARN,
        "living": fill("living.cpp", fields) + spare["spare_functions"] + written["code"] + plain["store"],
        "store": "",
        "living_header": fill("living.h", fields)
        + judging["judging_header"]
        + spare["spare_header"]
        + written["header"],
    }


def takes_weights(plan: UpdatePlan) -> bool:
    """Whether an engine is told that its weights were written from outside. A pool takes them in flash."""
    return plan.pool is None and (plan.guard is not None or bool(plan.spare_classes))


def _written(e: Engine) -> dict[str, str]:
    """What such an engine has for it."""
    if not takes_weights(e.plan):
        return {"code": "", "header": ""}
    body = OPENED * bool(e.plan.spare_classes) + "\n  keep();" * (e.plan.guard is not None)
    return {"code": f"\nvoid weights_written() {{{body}\n}}\n", "header": _WRITTEN}


def _facts(e: Engine, memory: Memory, cut: Cut) -> dict[str, str]:
    reader, count = latent_reader(e.graph, cut), len(e.exemplars) if e.exemplars else 0
    symbol, text = POLICIES[memory.policy]
    return {
        "before": f"{reader.name} {reader.kind}",
        "shape": shape_text(e.tensor(cut.tensor).shape),
        "cut": e.symbols[cut.tensor],
        "latent_bytes": str(cut.nbytes),
        "samples": str(capacity(memory, cut.nbytes)),
        "sample_bytes": str(cut.nbytes + LABEL_BYTES),
        "seed": str(e.plan.seed),
        "policy": symbol,
        "policy_text": text,
        "replays": str(memory.replays),
        "exemplars": str(count),
        "exemplar_replays": str(memory.exemplar_replays if count else 0),
        "replay_exemplar": _replay_exemplar(e),
        "draw": _draw(e),
    }


def _draw(e: Engine) -> str:
    draw = "replay_draw_by_class" if e.plan.spare_classes else "replay_draw"
    measured = e.plan.pool.held_out if e.plan.pool is not None else 0
    return f"{draw}_behind(memory, counts, kMeasured)" if measured else f"{draw}(memory, counts)"


def _replay_exemplar(e: Engine) -> str:
    if e.exemplars is None:
        return "  return -1.0f;"
    latents = e.tables.add("int8_t", "exemplars", e.exemplars.latents)
    labels = e.tables.add("int16_t", "exemplar_labels", e.exemplars.labels)
    stored = f"tfodl::stored_latent({latents}, kLatentBytes, place)"
    return (
        "  if (!ready) reset();\n"
        f"  const int32_t place = tfodl::exemplar_draw({e.plan.seed}u, kExemplars, counts);\n"
        f"  return learn_again({stored}, {labels}[place]);"
    )


def _state_table(e: Engine) -> list[str]:
    """A row of name, address and size for everything that learning changes."""
    symbols = {symbol_of(e, v): state_arrays(e.plan.optimizer, v) for v in e.variables}
    held = [f"{kind}_{symbol}" for symbol, kinds in symbols.items() for kind, on in kinds.items() if on]
    arrays = [*symbols, *held, "latents", "labels", "offered"]
    objects = [*(e.scale(op) for op in e.scaled_ops()), "sgd", "counts"]
    if e.plan.guard is not None:
        arrays += ["judge_latents", "judge_labels", "judge_offered", "good"]
        objects += ["judge_counts", "steps_judged"]
    objects += ["old_classes"] if e.plan.spare_classes else []
    rows = [(name, name) for name in arrays] + [(name, f"&{name}") for name in objects]
    return [f'      {{"{name}", {pointer}, sizeof {name}, 0}},' for name, pointer in rows]
