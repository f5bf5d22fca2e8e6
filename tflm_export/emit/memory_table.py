"""`memory_table`: what lies where in the arena, and in which steps, as a table for people."""

from __future__ import annotations

from tflm_export.emit.names import op_symbol, part_symbol, ring_symbol, tensor_symbols
from tflm_export.ir import Graph
from tflm_export.memory.place import MemoryPlan
from tflm_export.memory.stream import MAX_STAGES

PER_CHANNEL = ("rates", "factors")
OF_SLICES = ("slices", "sums", "bias_sums")


def transient_symbols(graph: Graph) -> dict[str, str]:
    """C++ names of the buffers that live for one step: scratch, rates, factors, rings of streams."""
    found = {f"{op.name}/scratch": f"scratch_{op_symbol(op)}" for op in graph.ops}
    found |= {f"{op.name}/{kind}": f"{kind}_{op_symbol(op)}" for op in graph.ops for kind in PER_CHANNEL}
    sliced = [op for op in graph.ops if op.kind == "SLICES"]
    found |= {f"{op.name}/{what}": part_symbol(what, op) for op in sliced for what in OF_SLICES}
    streams = [op for op in graph.ops if op.kind == "STREAM"]
    found |= {f"{op.name}/rows": "rows_x" for op in streams}
    return found | {f"{op.name}/ring{i}": ring_symbol(op, i) for op in streams for i in range(MAX_STAGES)}


def memory_table(graph: Graph, memory: MemoryPlan) -> str:
    """Markdown: every buffer by offset, with the steps that need it and the ops that these are."""
    symbols = tensor_symbols(graph) | transient_symbols(graph)
    rows = ["| offset | bytes | steps | buffer | first written by |", "|--:|--:|---|---|---|"]
    for buffer in sorted(memory.buffers, key=lambda b: (memory.offsets[b.name], b.first)):
        op = graph.ops[buffer.first]
        also = [symbols[n] for n, holder in memory.views.items() if holder == buffer.name and n != holder]
        name = symbols.get(buffer.name, buffer.name) + (f" (then {', '.join(also)})" if also else "")
        steps, by = f"{buffer.first}-{buffer.last}", f"{op.kind} {op.owner}"
        rows.append(f"| {memory.offsets[buffer.name]} | {buffer.nbytes} | {steps} | {name} | {by} |")
    head = f"Arena: {memory.arena:,} bytes; no plan can need less than {memory.lower_bound:,}.\n"
    return "\n".join([head, *rows]) + "\n"
