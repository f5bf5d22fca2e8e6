"""The parts of an engine that chooses what learns: pool, images, an epoch's end (docs/choosing.md)."""

from __future__ import annotations

import math

import numpy as np

from tflm_export.cpp import literal
from tflm_export.emit import body
from tflm_export.emit.dispatch import call
from tflm_export.emit.engine import Engine
from tflm_export.emit.names import parameter_name
from tflm_export.emit.new_classes import OPENED
from tflm_export.emit.scratch import scratch_checks
from tflm_export.emit.store import scales_in_one
from tflm_export.living.image import ImageLayout, Part, image_identity, image_layout, written_tensors
from tflm_export.living.measuring import Workspace, workspace
from tflm_export.living.new_classes import outlives_power
from tflm_export.living.pool import (
    first_choice,
    most_channels,
    similarity_shift,
    total,
)
from tflm_export.ops.convolution.update import state_arrays
from tflm_export.plan import PAGE_BYTES, UpdatePlan
from tflm_export.pool import Pool
from tflm_export.round_up import round_up
from tflm_export.template import fill

RULES = {
    "velocity": "kVelocity",
    "random": "kRandom",
    "top_layers_random": "kTopLayersRandom",
    "fixed": "kFixed",
}


_CLEAR_PADDING = (
    "  for (tfodl::GradScale& scale : scales) reinterpret_cast<uint8_t*>(&scale)[3] = 0;  // no field's\n"
)
_PUT_MEASURED = """\
  for (int32_t i = 0; i < 2 * kChannels && status == tfodl::StoreStatus::kOk; i += 16) {{
    float first[16];  // phi, then v
    int32_t n = 0;
    for (; n < 16 && i + n < 2 * kChannels; ++n) first[n] = i + n < kChannels ? 1.0f : 0.0f;
    status = images.put({at} + 4 * static_cast<uint32_t>(i), first, 4 * static_cast<uint32_t>(n));
  }}
"""


def choosing_parts(e: Engine, plain: dict[str, str]) -> dict[str, str]:
    """The fields of the templates that a pool changes, from those of the engine with a memory."""
    pool = e.plan.pool
    if pool is None:
        return {}
    layout, space = image_layout(e.graph, e.plan), workspace(e.graph, e.plan)
    fields = (
        _facts(e, pool, layout) | _guarded(e) | _tables(e, pool, layout, space) | _epoch(e, space, layout)
    )
    scales = scales_in_one(e)
    fields["clear_padding"] = _CLEAR_PADDING if scales else ""
    return scales | {
        "structs": "\n\n".join(e.structs),
        "checks": plain["checks"] + fill("choosing_parts.cpp", fields),
        "reset": f"{plain['reset']}\n  first_epoch();",
        "living": plain["living"] + fill("choosing.cpp", fields) + fill("choosing_image.cpp", fields),
        "living_header": plain["living_header"] + fill("choosing.h", fields),
        "store_include": '#include "tfodl/pool/pool.h"\n',
    }


def _facts(e: Engine, pool: Pool, layout: ImageLayout) -> dict[str, str]:
    count = total(e.candidates)
    return {
        "count": str(len(e.candidates)),
        "channels": str(count),
        "axis": {"out": "output", "in": "input"}[pool.axis],
        "load": "pool_load" + _columns(pool),
        "save": "pool_save" + _columns(pool),
        "pool_bytes": str(pool.bytes),
        "pool_room": str(round_up(pool.bytes)),
        "epoch_steps": str(pool.epoch or 0),
        "held_out": str(pool.held_out),
        "area_pages": str(2 * layout.pages),
        "page_bytes": str(PAGE_BYTES),
        "most": str(most_channels(e.candidates, pool, e.plan.optimizer)),
        "chosen_bytes": str(-(-count // 8)),
        "identity": ", ".join(map(str, image_identity(e.graph, e.plan))),
        "image_bytes": str(layout.nbytes),
        "opened": OPENED if outlives_power(e.plan) else "",
        "measured": str(layout.measured),
        "chosen_at": str(layout.chosen),
        "image_tensors": str(len(written_tensors(e.graph, e.plan))),
        "put_measured": _PUT_MEASURED.format(at=layout.measured) if layout.measured >= 0 else "",
    }


def _columns(pool: Pool) -> str:
    return "_columns" if pool.axis == "in" else ""


def _guarded(e: Engine) -> dict[str, str]:
    """What a guard adds: an epoch's end is judged, and what it leaves is the good state."""
    if e.plan.guard is None:
        return {"chosen_rows": "", "keep_loaded": "", "judged": ""}
    return {
        "chosen_rows": fill("choosing_rows.cpp"),
        "keep_loaded": "\n  keep();",
        "judged": "\n  judged(false);",
    }


def _tables(e: Engine, pool: Pool, layout: ImageLayout, space: Workspace) -> dict[str, str]:
    norms = pool.rule == "top_layers_random"
    kept = state_arrays(e.plan.optimizer, e.candidates[0].weights)
    return {
        "norms": "float pool_norms[kCandidates];\n" if norms else "",
        "norms_at": "pool_norms" if norms else "nullptr",
        "clear_norms": "  memset(pool_norms, 0, sizeof pool_norms);" if norms else "",
        "seed": str(e.plan.seed),
        "rule": RULES[pool.rule],
        "fill": str(pool.spend == "fill").lower(),
        **{name: str(on).lower() for name, on in kept.items()},
        "mu": literal("float", pool.mu),
        "top": literal("float", pool.top),
        "candidates": "\n".join(_candidate(e, i, layout, space) for i in range(len(e.candidates))),
        "parts": "\n".join(_part(part) for part in layout.parts if part.nbytes),
        "image_rows": "\n".join(_image_row(part) for part in written_tensors(e.graph, e.plan)),
    }


def _watching(pool: Pool, scores: str) -> dict[str, str]:
    """What leaving out dead channels adds."""
    if not pool.watches:
        return {"alive": "", "clear_alive": "", "skip_dead": ""}
    return {
        "alive": "uint8_t pool_alive[sizeof pool_chosen];  // channels with a gradient in this epoch\n",
        "clear_alive": "\n  memset(pool_alive, 0, sizeof pool_alive);",
        "skip_dead": f"  tfodl::pool_skips_dead(pool, pool_alive, {scores});\n",
    }


def _candidate(e: Engine, i: int, layout: ImageLayout, space: Workspace) -> str:
    """One `tfodl::Candidate`."""
    c, (at, bias_at) = e.candidates[i], layout.tensors[i]
    n, pool = c.layer.label, e.plan.pool
    assert pool is not None
    bias = c.bias is not None
    output = e.tensor(c.layer.outputs[0])
    pointers = [
        f"&conv{n}",
        f"weights{n}",
        f"bias{n}",
        "nullptr" if c.weights.in_pool else f"w{n}",
        f"b{n}" if bias else "nullptr",
        f"slot{n}" if c.has_slots else "nullptr",
        f"&update_w{n}",
        f"&update_b{n}" if bias else "nullptr",
    ]
    numbers = [
        at,
        bias_at if bias else 0,
        math.prod(c.weights.shape),
        c.row,
        c.cost(e.plan.optimizer),
        c.weights.count + e.tensor(c.layer.inputs[0]).size,
        c.channels,
        c.first,
        e.zero(output.name),
        similarity_shift(e.graph, c, pool),
        output.size // output.shape[-1],
        _seen(space, i),
    ]
    return f"    {{{', '.join(pointers)},\n     {', '.join(map(str, numbers))}}},"


def _seen(space: Workspace, i: int) -> str:
    """Where a candidate's output is kept."""
    if space.graph is None:
        return "nullptr"
    in_pool, at = space.seen[i]
    return f"reinterpret_cast<int8_t*>({'pool_bytes' if in_pool else 'arena'} + {at})"


def _part(part: Part) -> str:
    return f"    {{{'&sgd' if part.symbol == 'sgd' else part.symbol}, {part.at}, {part.nbytes}}},"


def _image_row(part: Part) -> str:
    """One `tfodl::ImageTensor`."""
    assert part.variable is not None
    name, bias = parameter_name(part.variable.tensor), int(part.variable.bias)
    return f'      {{"{name}", {part.at}, {part.nbytes}, {bias}}},'


def _epoch(e: Engine, space: Workspace, layout: ImageLayout) -> dict[str, str]:
    """What an epoch's end does, and the first epoch's choice."""
    offsets = {"page": space.page, "order": space.order, "bits": space.bits, "sums": space.sums}
    scores = "f32(workspace::sums)"
    fields = {"measure": "", "save_measured": "", "velocity": "nullptr", "measuring": ""}
    if space.graph is not None:
        measured = "f32(workspace::sums)"
        scores = f"{measured} + 2 * kChannels"
        fields |= {
            "measure": "  measuring::run();",
            "save_measured": f"  images.append({measured}, 8 * kChannels);",
            "velocity": f"{measured} + kChannels",
            "measuring": _measuring(e, space, layout),
        }
    assert e.plan.pool is not None
    fields |= _watching(e.plan.pool, scores)
    first = first_choice(e.graph, e.plan)
    if first is None:
        draw = f"tfodl::pool_scores(pool, tfodl::PoolRule::kRandom, 0, nullptr, {scores});"
        choice = f"  {draw}\n  tfodl::pool_spend(pool, {scores}, order(), pool_chosen);"
    else:
        table = e.tables.add("int8_t", "first_choice", np.packbits(first, bitorder="little").view(np.int8))
        choice = f"  memcpy(pool_chosen, {table}, sizeof pool_chosen);"
    lines = [f"constexpr int32_t {name} = {at};" for name, at in offsets.items()]
    return fields | {"workspace": "\n".join(lines), "scores": scores, "first_choice": choice}


def _measuring(e: Engine, space: Workspace, layout: ImageLayout) -> str:
    """The layers above the cut once more, each candidate watched."""
    assert space.graph is not None and space.memory is not None
    plan = UpdatePlan(optimizer=e.plan.optimizer, loss=e.plan.loss, seed=e.plan.seed)
    m = Engine(space.graph, plan, space.memory, tables=e.tables, structs=e.structs)
    m.variables = e.variables
    number = {c.layer.name: i for i, c in enumerate(e.candidates)}
    lines: list[str] = []
    for op in space.graph.ops:
        lines += [line for statement in call(m, op, False) for line in body.wrapped(statement)]
        if op.name in number:
            lines.append(f"  watch({number[op.name]}, {m.at(op.outputs[0], 's8')}, today);")
    fields = {
        "offsets": body.offsets(m),
        "checks": scratch_checks(m),
        "layers": "\n".join(lines),
        "measured": str(layout.measured),
    }
    return fill("choosing_measuring.cpp", fields)
