"""The parts of engine.cpp: offsets, and the lists of calls."""

from __future__ import annotations

from itertools import groupby

from tflm_export.cpp import literal
from tflm_export.emit import variables
from tflm_export.emit.dispatch import call
from tflm_export.emit.engine import Engine
from tflm_export.emit.memory_table import transient_symbols
from tflm_export.emit.names import display, shape_text
from tflm_export.emit.scratch import scratch_checks
from tflm_export.ir import Op
from tflm_export.memory.lifetimes import movable
from tflm_export.ops import LOSSES, WEIGHTED
from tflm_export.ops.convolution.update import momentum_q15
from tflm_export.ops.text import kernel_call

WIDTH = 110
_ANY = "void* any(int32_t offset) { return arena + offset; }"


def parts(e: Engine) -> dict[str, str]:
    """Every field of the templates that depends on the ops. Fills the engine's tables and structs."""
    fields = _training_parts(e) if e.learns else _inference_parts(e)
    if e.laps:
        first = "below" if e.cut is not None else "frozen" if e.learns else "infer"
        fields[first] = f"  board_lap(0);\n  board_lap(0);\n{fields[first]}"
    return fields | {"structs": "\n\n".join(e.structs)}


def _inference_parts(e: Engine) -> dict[str, str]:
    infer = _calls(e, list(e.graph.ops), False)
    return {
        "infer": infer,
        "checks": scratch_checks(e),
        "offsets": offsets(e),
        "output": e.symbols[e.graph.outputs[0]],
        "any": f"{_ANY}\n" if "any(" in infer else "",
    }


def _training_parts(e: Engine) -> dict[str, str]:
    frozen, rest, training = split(e)
    position = e.cut.position if e.cut is not None else 0
    below, above = (_calls(e, ops, True) for ops in (frozen[:position], frozen[position:]))
    return {
        "below": below,
        "above": above,
        "frozen": above,
        "infer": _calls(e, rest, False),
        "train": _train(e, training),
        "checks": scratch_checks(e),
        "reset": variables.reset(e),
        "offsets": offsets(e),
        "variables": variables.declarations(e),
        "scales": variables.scales(e),
        "output": e.symbols[e.graph.outputs[0]],
        "logits_at": e.symbols[e.loss.inputs[0]],
        "per_batch": "" if e.plan.optimizer.batch == 1 else f" / {literal('float', e.plan.optimizer.batch)}",
        "parameter_table": variables.parameter_table(e),
        "loss_value": _loss_value(e),
    }


def split(e: Engine) -> tuple[list[Op], list[Op], list[Op]]:
    """Ops of (training and inference alike, inference after these, training after these)."""
    ops = list(e.graph.ops)
    first = next(i for i, op in enumerate(ops) if op.role != "forward" or len(op.outputs) > 1)
    needed = {state.next for state in e.graph.states}
    needed |= {name for op in ops if op.role != "forward" for name in op.inputs}
    training: list[Op] = []
    for op in reversed(ops[first:]):
        if op.role != "forward" or needed & set(op.outputs):
            training.insert(0, op)
            needed |= set(op.inputs)
    return ops[:first], [op for op in ops[first:] if op.role == "forward"], training


def _calls(e: Engine, ops: list[Op], masks: bool) -> str:
    """Comment and call of every op."""
    lines: list[str] = []
    gathers: list[str] = []  # of the layer that comes next: they go under its title
    for op in ops:
        text = [line for statement in call(e, op, masks) for line in wrapped(statement)]
        if op.kind == "GATHER_CHANNELS":
            gathers += text
            continue
        lines += [f"  // {_title(e, inner)}" for inner in op.members if inner.role == "forward"]
        lines += [*gathers, *text]
        gathers = []
    return "\n".join(lines)


def _title(e: Engine, op: Op) -> str:
    """`#3 CONV_2D 1x1: 6x6x16 -> 6x6x8, 128 B of weights (name)`."""
    x, y = (shape_text(e.tensor(name).shape) for name in (op.inputs[0], op.outputs[0]))
    a = op.attrs
    kernel = f" {a['k_h']}x{a['k_w']}" if "k_h" in a else ""
    strided = f" stride {a['stride_h']}" if a.get("stride_h", 1) > 1 else ""
    weights = ""
    if op.kind in WEIGHTED:
        weights = f", {e.tensor(op.inputs[1]).nbytes} B of weights"
    row = movable(op)
    view = ", the same bytes" if row is not None and row.view else ""
    return f"{op.name} {op.kind}{kernel}{strided}: {x} -> {y}{weights}{view} ({display(op.outputs[0])})"


def wrapped(statement: str) -> list[str]:
    """A call in lines of at most 110 characters, arguments under the first, a struct on one line."""
    line, indent = f"  {statement}", " " * (statement.find("(") + 3)
    lines: list[str] = []
    while len(line) > WIDTH:
        cut = _cut(line)
        lines.append(line[:cut])
        line = indent + line[cut:].lstrip()
    return [*lines, line]


def _cut(line: str) -> int:
    """Where to break a line: behind the last comma that fits, outside of braces if there is one."""
    commas = [i + 1 for i in range(WIDTH) if line.startswith(", ", i)]
    outside = [i for i in commas if line.count("{", 0, i) == line.count("}", 0, i)]
    return (outside or commas)[-1]


def _train(e: Engine, ops: list[Op]) -> str:
    """Forward with clip masks, loss, then gradients and updates layer by layer."""
    start = next(i for i, op in enumerate(ops) if op.name == "loss")
    kind = LOSSES[e.loss.kind]
    lines = [_calls(e, ops[:start], True), "", "  // Loss", f"  {kind.observed} observed = 0;"]
    lines += [f"  {statement}" for statement in kind.judge(e, e.loss)]
    if e.plan.spare_classes:
        g = e.loss.outputs[0]
        pointer = e.at(g, "f32" if e.gradients == "float32" else "s16")
        lines.append(f"  memset({pointer}, 0, {e.tensor(g).nbytes});  // of spare outputs it stays 0")
    if _skips_zero(e):
        statement, *lap = call(e, ops[start])
        behind = [line for s in lap for line in wrapped(s)]
        lines += ["  const bool learns =", *wrapped(f"    {statement}"), *behind, "  if (!learns) {"]
        lines += ["    ++sgd.step;", f"    return {_loss_value(e)};", "  }"]
    else:
        lines += [line for s in call(e, ops[start]) for line in wrapped(s)]
    if e.plan.optimizer.batch > 1:
        lines += [f"  sgd.apply = (sgd.step + 1) % {e.plan.optimizer.batch} == 0;"]
    for name, group in groupby(ops[start + 1 :], key=lambda op: op.owner):
        layer = e.layers[name]
        lines += ["", f"  // {layer.name} {layer.kind} ({display(layer.outputs[0])})"]
        lines += _backward(e, layer, list(group))
    return "\n".join([*lines, "  ++sgd.step;"])


def _backward(e: Engine, layer: Op, ops: list[Op]) -> list[str]:
    """The gradients and updates of a layer; of a candidate no further down than a channel learns."""
    calls = {op.name: [line for s in call(e, op) for line in wrapped(s)] for op in ops}
    i = next((i for i, c in enumerate(e.candidates) if c.layer.name == layer.name), None)
    if i is None or e.plan.pool is None:
        return [line for op in ops for line in calls[op.name]]
    above = [f"  {line}" for op in ops if op.role == "gradient" for line in calls[op.name]]
    updates = [line for op in ops if op.role == "update" for line in calls[op.name]]
    updates = _watched(e, ops, i) + updates
    if e.plan.pool.rule == "top_layers_random":  # all layers' gradients are measured
        return [*(line[2:] for line in above), *_noted(e, ops, i), *updates]
    if not above:
        return updates
    end = [f"  if (shallowest == {i}) {{", "    ++sgd.step;", f"    return {_loss_value(e)};", "  }"]
    return [f"  if (shallowest < {i}) {{", *above, "  }", *updates, *end]


def _noted(e: Engine, ops: list[Op], i: int) -> list[str]:
    """The call that notes how large the gradient of candidate `i`'s output is."""
    g, mask = next(op.inputs for op in ops if op.role == "update")[:2]
    args = ("pool", i, e.at(g, "s16"), e.exponent(g), e.at(mask, "bits"), e.tensor(g).size)
    return wrapped(kernel_call("pool_notes", *args)[0])


def _watched(e: Engine, ops: list[Op], i: int) -> list[str]:
    """The call that marks which channels of candidate `i` have a gradient, where the pool asks for it."""
    if e.plan.pool is None or not e.plan.pool.watches:
        return []
    g, mask = next(op.inputs for op in ops if op.role == "update")[:2]
    return wrapped(
        kernel_call("pool_watches", "pool", "pool_alive", i, e.at(g, "s16"), e.at(mask, "bits"))[0]
    )


def _skips_zero(e: Engine) -> bool:
    """Whether a step without any gradient changes nothing, so that it may end at the loss."""
    return e.plan.optimizer.batch == 1 and momentum_q15(e.plan.optimizer) == 0


def _loss_value(e: Engine) -> str:
    return LOSSES[e.loss.kind].text(e, e.loss)


def offsets(e: Engine) -> str:
    """Where everything lies in the arena."""
    lines, spans = [], e.memory.lifetimes
    for name, symbol in e.symbols.items():
        if name not in e.memory.views:
            continue  # an input that comes row by row
        tensor, (first, last) = e.tensor(name), spans[e.memory.views[name]]
        text = f"constexpr int32_t {symbol} = {e.memory.offset(name)};"
        note = f"{shape_text(tensor.shape)} {tensor.dtype}, {tensor.nbytes} B, steps {first}-{last}"
        holder = e.memory.views[name]
        place = "" if holder == name else f", in place of {e.symbols[holder]}"
        lines.append(f"{text:<40}// {note}{place}")
    for name, symbol in transient_symbols(e.graph).items():
        if name in spans:
            buffer = next(b for b in e.memory.buffers if b.name == name)
            text = f"constexpr int32_t {symbol} = {e.memory.offsets[name]};"
            lines.append(f"{text:<40}// {buffer.nbytes} B, step {buffer.first}")
    return "\n".join(lines)
