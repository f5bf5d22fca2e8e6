"""The memory of a step as plain values: what lies where in the arena, from when to when, of which kind.

>>> found = arena_map(compile_model(tflite, plan))
>>> found["steps"][0]["op"], found["buffers"][0]["kind"]
('#1', 'activations')
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tflm_export.compiler import Compiled
from tflm_export.emit.names import display, op_symbol, ring_symbol, tensor_symbols
from tflm_export.memory.place import Buffer, live_bytes
from tflm_export.memory.stream import MAX_STAGES

KINDS = ("activations", "clip masks", "gradients", "rows of streams", "scratch")
DTYPES = {"int8": "activations", "bit": "clip masks", "int16": "gradients", "float32": "gradients"}


def arena_map(compiled: Compiled) -> dict[str, Any]:
    """For reports.

    steps: what runs, in order. live: bytes alive at every step, by kind. buffers: name, symbol in the
    engine's source ("" for none), kind, offset, bytes, and `parts`, [first step, end, bytes] of its life.
    """
    memory, symbols = compiled.memory, buffer_symbols(compiled)
    steps = [{"op": op.name, "owner": op.owner, "role": op.role} for op in compiled.graph.ops]
    buffers = [
        {
            "name": display(buffer.name),
            "symbol": symbols.get(buffer.name, ""),
            "kind": buffer_kind(compiled, buffer),
            "offset": memory.offsets[buffer.name],
            "bytes": buffer.nbytes,
            "parts": [list(part) for part in buffer.parts()],
        }
        for buffer in memory.buffers
    ]
    return {"steps": steps, "live": live_by_kind(compiled), "buffers": buffers}


def live_by_kind(compiled: Compiled) -> Mapping[str, list[int]]:
    """Bytes alive at every step, of every kind."""
    found, steps = {}, len(compiled.graph.ops)
    for kind in KINDS:
        alive = live_bytes([b for b in compiled.memory.buffers if buffer_kind(compiled, b) == kind])
        found[kind] = alive + [0] * (steps - len(alive))
    return found


def buffer_kind(compiled: Compiled, buffer: Buffer) -> str:
    """One of `KINDS`."""
    tensor = compiled.graph.tensors.get(buffer.name)
    if tensor is not None:
        return DTYPES.get(tensor.dtype, "scratch")
    return "rows of streams" if "/ring" in buffer.name else "scratch"


def buffer_symbols(compiled: Compiled) -> dict[str, str]:
    """Names of the engine's own source: y3, mask3, dx3."""
    symbols: dict[str, str] = tensor_symbols(compiled.graph)
    symbols |= {f"{op.name}/scratch": f"scratch_{op_symbol(op)}" for op in compiled.graph.layers.values()}
    streams = [op for op in compiled.graph.ops if op.kind == "STREAM"]
    return symbols | {f"{op.name}/ring{i}": ring_symbol(op, i) for op in streams for i in range(MAX_STAGES)}
