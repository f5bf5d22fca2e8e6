"""(training Graph, MemoryPlan) -> {path: C++ text}: constants, offsets, structs, lists of kernel calls.

Nothing here touches the disk; no arithmetic and no `#if` is ever generated (docs/compiler.md).
"""

from __future__ import annotations

import re

from tflm_export import __version__
from tflm_export.cpp import literal
from tflm_export.emit import body, variables
from tflm_export.emit.choosing import choosing_parts
from tflm_export.emit.constants import ConstantsImage, apart_parts, constants_sources, guarded
from tflm_export.emit.edges import edge_parts, title
from tflm_export.emit.engine import Engine, KernelCall
from tflm_export.emit.input import input_parts
from tflm_export.emit.living import living_parts
from tflm_export.emit.names import identifier, shape_text
from tflm_export.emit.pause import pause_parts
from tflm_export.emit.store import store_parts
from tflm_export.emit.task import class_of_output, task_parts
from tflm_export.ir import Graph
from tflm_export.living.memory import Exemplars
from tflm_export.memory.place import MemoryPlan
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import UpdatePlan
from tflm_export.template import fill

__all__ = ["KernelCall", "emit", "emit_apart", "emit_with_laps"]


def emit(
    graph: Graph,
    memory: MemoryPlan,
    plan: UpdatePlan,
    name: str = "engine",
    exemplars: Exemplars | None = None,
    pauses: bool = False,
) -> dict[str, str]:
    """The sources of an engine in namespace `name`, by file name.

    graph: from `backward.training_graph`. exemplars: samples for the plan's memory to replay, in flash.
    pauses: whether it calls a function of the sketch's behind every kernel.
    Raises `ExportError` for an op without a kernel.
    """
    return _sources(Engine(graph, plan, memory, exemplars, pauses=pauses), name)


def emit_apart(
    graph: Graph,
    memory: MemoryPlan,
    plan: UpdatePlan,
    name: str,
    exemplars: Exemplars | None,
    pauses: bool,
    address: int,
) -> tuple[dict[str, str], ConstantsImage]:
    """What `emit` gives, of an engine whose constants lie at `address` beside the program; and these."""
    engine = Engine(graph, plan, memory, exemplars, pauses=pauses)
    fields = _fields(engine, name)
    image = ConstantsImage.of(engine.tables, address)
    fields |= apart_parts(image, fields, engine.learns)
    fields["apart_include"] = f"\n{fields['store_include']}" if not engine.learns else ""
    sources = _engine_sources(engine, name, fields)
    sources[f"{name}.cpp"] = guarded(sources[f"{name}.cpp"])
    return sources | constants_sources(name, engine.tables, image), image


def emit_with_laps(
    graph: Graph, memory: MemoryPlan, plan: UpdatePlan, name: str, exemplars: Exemplars | None = None
) -> tuple[dict[str, str], list[KernelCall]]:
    """What `emit` gives, with `board_lap(i)` of the emulated board behind every call i; and the calls."""
    engine = Engine(graph, plan, memory, exemplars, laps=True)
    sources = _sources(engine, name)
    sources[f"{name}.cpp"] = f'#include "board.h"\n{sources[f"{name}.cpp"]}'
    return sources, engine.calls


def _sources(engine: Engine, name: str) -> dict[str, str]:
    fields = _fields(engine, name)
    constants = engine.tables.definitions("TFODL_TABLE")
    return _engine_sources(engine, name, fields) | {
        f"{name}_constants.h": fill("constants.h", fields | {"tables": engine.tables.declarations()}),
        f"{name}_constants.cpp": fill("constants.cpp", fields | {"tables": constants}),
    }


def _fields(engine: Engine, name: str) -> dict[str, str]:
    """Every field of the engine's templates. Fills its tables."""
    facts = _facts(engine) | (_training_facts(engine) if engine.learns else {})
    fields = {"name": identifier(name), "version": __version__} | facts | body.parts(engine)
    fields |= input_parts(engine) | edge_parts(engine) | store_parts(engine)
    fields |= pause_parts(engine, fields)
    fields |= living_parts(engine, fields)
    return fields | choosing_parts(engine, fields) | {"apart_include": ""}


def _engine_sources(engine: Engine, name: str, fields: dict[str, str]) -> dict[str, str]:
    template = "engine" if engine.learns else "inference"
    return {
        f"{name}.h": fill(f"{template}.h", fields),
        f"{name}.cpp": _without_unused(fill(f"{template}.cpp", fields)),
    }


def _without_unused(text: str) -> str:
    """An engine's text less its pointers into the arena that it does not take: compilers warn of those."""

    def kept(line: re.Match[str]) -> str:
        return line[0] if len(re.findall(rf"\b{line[1]}\(", text)) > 1 else ""

    return _POINTER.sub(kept, text)


_POINTER = re.compile(r"^\w+\* (\w+)\(int32_t offset\) \{ .* \}\n", re.M)
_S16 = "int16_t* s16(int32_t offset) { return reinterpret_cast<int16_t*>(arena + offset); }"


def _facts(e: Engine) -> dict[str, str]:
    """What the header says about the network."""
    x, y = e.tensor(e.graph.inputs[0]), e.tensor(e.graph.outputs[0])
    fields = {
        "title": title(e),
        "input_shape": shape_text(x.shape),
        "input_bytes": str(x.nbytes),
        "outputs": str(y.size),
        "arena_bytes": str(e.memory.arena),
        "class_of_output": class_of_output(e),
    }
    return fields | _quant(e, "input", x.name) | _quant(e, "output", y.name)


def _training_facts(e: Engine) -> dict[str, str]:
    """What it says about training."""
    logits = e.tensor(e.loss.inputs[0])
    trained = sum(v.count for v in e.variables if not v.pooled)
    in_float = e.gradients == "float32"
    fields = {
        "summary": _summary(e, trained),
        "logits": str(logits.size),
        "parameters": str(len(variables.resident(e))),
        "gradients": "float32" if in_float else "int16 with a power-of-two scale each",
        "gradient_type": e.gradients,
        "gradient_pointer": "" if in_float else f"{_S16}\n",
        "learning_rate": f"{e.plan.optimizer.learning_rate:g}",
    }
    return fields | task_parts(e) | _quant(e, "logits", logits.name)


def _summary(e: Engine, trained: int) -> str:
    arena = f"arena {e.memory.arena} bytes."
    if e.plan.pool is None:
        return f"{trained} values of {len(e.variables)} tensors learn; {arena}"
    chosen = f"channels of {len(e.candidates)} layers, {e.plan.pool.bytes} bytes at a time"
    return f"{trained} values and {chosen}, learn; {arena}"


def _quant(e: Engine, key: str, tensor: str) -> dict[str, str]:
    """Scale and zero point of an activation."""
    quant = tensor_quant(e.graph, tensor)
    return {f"{key}_scale": literal("float", quant.scale[0]), f"{key}_zero": str(quant.zero_point[0])}
