"""Run an emitted engine on an emulated core: cycles, stack, RAM, flash, and its very weights.

>>> measured = measure(compile_model(tflite, plan), inputs[:2], [0, 1])
>>> measured.inference.cycles < measured.train_step.cycles
True
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tflm_export.compiler import Compiled
from tflm_export.emit.harness import harness
from tflm_export.ir import Graph
from tflm_export.machines.emulator import CORTEX_M4F, O2_FLAGS, Core, Count, Memories, build, run
from tflm_export.ops import LOSSES
from tflm_export.template import fill
from tflm_export.variable import variables

TARGETS = {"label": "label_of(target)", "values": "static_cast<const int8_t*>(target)", "input": ""}


@dataclass(frozen=True)
class Measured:
    """What the board did. Counts are of the last call of each kind; stack is the deepest of all.

    train_step: all 0 where nothing learns; with an engine's replays, of pictures that it was shown before.
    outputs: int8 [inferences, ...]. weights: the trained part in RAM by tensor name, flat. replay_step: one
    replay, all 0 without a memory. flash_symbols: bytes of functions and constants by their linker's names.
    """

    inference: Count
    train_step: Count
    stack_bytes: int
    static_ram_bytes: int
    flash_bytes: int
    outputs: np.ndarray
    weights: dict[str, np.ndarray]
    replay_step: Count = Count(0, 0, 0)
    flash_symbols: Mapping[str, int] = field(default_factory=dict)


def measure(
    compiled: Compiled,
    pictures: np.ndarray,
    targets: Sequence[int | None] | np.ndarray,
    *,
    inferences: int = 1,
    flags: Sequence[str] = O2_FLAGS,
    timeout: float = 300.0,
    memories: Memories | None = None,
    core: Core = CORTEX_M4F,
) -> Measured:
    """Run `inferences` of the first pictures, then (an engine that learns) a training step on every picture.

    pictures: int8 [n, ...input shape]. targets: n class indices, or int8 [n, ...]; an engine that only infers
    and an autoencoder have None. memories: `core.roomy` measures what is too large for the board, too. Where
    the constants lie apart, the flash is the program's, without them.
    Raises `ExportError` when the tools are missing, the program does not fit or faults.
    """
    main, samples = board_program(compiled, pictures, targets, inferences)
    with tempfile.TemporaryDirectory(prefix="tfodl-measure-") as name:
        folder = compiled.save(Path(name) / "engine")
        sources = sorted((folder / "src").rglob("*.cpp"))
        elf = build(sources, [folder / "src"], main, Path(name) / "engine.elf", flags, memories, core)
        result = run(elf, {"samples.bin": samples}, timeout, beside(compiled), core)
    learns, remembers = compiled.graph.loss is not None, compiled.plan.memory is not None
    return Measured(
        result.cost("inference").count,
        result.cost("train_step").count if learns else Count(0, 0, 0),
        max(cost.stack_bytes for cost in result.costs),
        elf.static_ram_bytes,
        elf.flash_bytes,
        np.frombuffer(result.files["outputs.bin"], np.int8).reshape(inferences, -1),
        stored_weights(compiled.graph, result.files["weights.bin"]) if learns else {},
        result.cost("replay_step").count if remembers else Count(0, 0, 0),
        elf.symbols,
    )


def beside(compiled: Compiled) -> dict[int, bytes]:
    """What an engine has in flash beside its program, by address: the image of its constants."""
    image = compiled.constants
    return {} if image is None else {image.address: image.data}


def board_program(
    compiled: Compiled,
    pictures: np.ndarray,
    targets: Sequence[int | None] | np.ndarray,
    inferences: int,
    template: str = "board_main.cpp",
    **more: int,
) -> tuple[str, bytes]:
    """A `main` for the engine and its `samples.bin`: inferences of the first pictures, a step on each.

    template: another program for an engine that learns, `more` its own fields.
    """
    loss = compiled.graph.loss
    by_label = loss is not None and LOSSES[loss.kind].by_label
    if loss is None:
        targets = [None] * len(pictures)
    rows = [_sample(x, t, by_label) for x, t in zip(pictures, targets, strict=True)]
    first = [rows[i % len(rows)] for i in range(inferences)]
    fields: dict[str, str | int] = {"name": compiled.name, "inferences": inferences}
    fields |= harness(compiled.graph, compiled.name)
    if loss is None:
        return fill("board_inference.cpp", **fields), b"".join(first)
    fields |= {"steps": len(rows), **more}
    fields["cut_flash"] = fill("cut_flash.h")
    fields["parts"] = fill("board_parts.cpp", name=compiled.name)
    fields["target_bytes"] = len(rows[0]) - pictures[0].size
    fields |= _remembering(compiled)
    fields["target"] = TARGETS[LOSSES[loss.kind].target]
    return fill(template, **fields), b"".join(first + rows)


def _remembering(compiled: Compiled) -> dict[str, str]:
    """What the program of an engine with a memory does besides: remember every sample, replay at the end."""
    name = compiled.name
    if compiled.plan.memory is None:
        return dict.fromkeys(
            ("replay", "remember", "measure_replay", "open", "room", "count_room", "held"), ""
        )
    open_area, end_epoch, left, held = "", "", "", ""
    if compiled.plan.memory.where == "flash":
        open_area = fill("board_flash.cpp", name=name)
        left = f"    if ({name}::changes_left() == 0) "
        held = (
            f"  const int32_t held = {name}::remembered();\n  crc = tfodl::crc32(crc, &held, sizeof held);\n"
        )
    if compiled.plan.pool is not None:
        room = f"{name}::kAreaPages * 4096"
        open_area = (
            f"  uint8_t* memory = static_cast<uint8_t*>(board_alloc({room}));\n"
            f"  memset(memory, 0xFF, {room});\n"
            f"  tfodl::MemoryFlash area(memory, 4096, {name}::kAreaPages);\n"
            f"  {name}::open(area, memory);\n"
        )
        end_epoch = f"    if ({name}::epoch_is_over()) {name}::new_epoch();\n"
    return {
        "open": open_area,
        "room": left and f"{left}{name}::save(store);\n",
        "count_room": left and f"{left}save(area, store, -1, life);\n",
        "held": held,
        "replay": f"void replay(void*) {{ {name}::replay(); }}\n",
        "remember": f"{end_epoch}    {name}::remember(label_of(sample + {name}::kInputBytes));\n",
        "measure_replay": '  board_measure("replay_step", replay, nullptr);\n',
    }


def _sample(x: np.ndarray, target: int | np.ndarray | None, by_label: bool) -> bytes:
    """A picture and its target (a label as int32) in bytes."""
    if target is None:
        return x.astype(np.int8).tobytes()
    data = np.int32(target).tobytes() if by_label else np.asarray(target, np.int8).tobytes()
    return x.astype(np.int8).tobytes() + data


def stored_weights(graph: Graph, data: bytes) -> dict[str, np.ndarray]:
    """Trained parameters as they lie in RAM, by tensor name, from the program's `weights.bin`."""
    found, at = {}, 0
    for variable in variables(graph):
        dtype = np.int32 if variable.bias else np.int8
        found[variable.tensor] = np.frombuffer(data[at : at + variable.nbytes], dtype)
        at += variable.nbytes
    return found
