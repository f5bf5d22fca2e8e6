"""What an engine has beside one input and one output: more of them, and states that last."""

from __future__ import annotations

import numpy as np

from tflm_export.cpp import literal
from tflm_export.emit.engine import Engine
from tflm_export.emit.names import display, shape_text
from tflm_export.ops.result import tensor_quant

_HEADER = """
constexpr int32_t k{place}{count} = {size};  // {shape}, int8: {name}
constexpr float k{place}Scale = {scale};
constexpr int32_t k{place}Zero = {zero};
{type}* {function}();
"""
_STATE_HEADER = """
// The net remembers: what infer(){trains} leaves goes into the next one. As it is before the first.
void reset_state();
"""
_STATE = """
// Whether the states are there.
bool begun = false;
"""
_RESET = """
void reset_state() {{
{values}
}}
"""


def edge_parts(e: Engine) -> dict[str, str]:
    """Fields of the engine's templates; all empty for one input, one output, no state."""
    places = [("Input", "Bytes", "int8_t", e.graph.inputs), ("Output", "s", "const int8_t", e.graph.outputs)]
    header, code = "", ""
    for place, count, kind, names in places:
        for i, name in enumerate(names[1:], 1):
            header += _header(e, f"{place}{i}", count, kind, name)
            code += f"{kind}* {place.lower()}{i}() {{ return s8(at::{e.symbols[name]}); }}\n"
    if not e.graph.states:
        return dict.fromkeys(("include", "state", "begin", "first"), "") | {
            "more_header": header,
            "more_code": code,
        }
    trains, begun = (" or train_step()", []) if e.learns else ("", ["  begun = true;"])
    return {
        "more_header": header + _STATE_HEADER.format(trains=trains),
        "more_code": code + _RESET.format(values="\n".join([*_first_values(e), *begun])),
        "include": "#include <string.h>\n\n",
        "state": _STATE,
        "begin": "  if (!begun) reset_state();\n",
        "first": "  reset_state();\n",
    }


def title(e: Engine) -> str:
    """`8x8x3 + 4 -> 10`."""
    sides = ([shape_text(e.tensor(n).shape) for n in names] for names in (e.graph.inputs, e.graph.outputs))
    return " -> ".join(" + ".join(side) for side in sides)


def _header(e: Engine, place: str, count: str, kind: str, name: str) -> str:
    tensor, quant = e.tensor(name), tensor_quant(e.graph, name)
    return _HEADER.format(
        place=place,
        function=place.lower(),
        count=count,
        type=kind,
        size=tensor.size,
        shape=shape_text(tensor.shape),
        name=display(name),
        scale=literal("float", quant.scale[0]),
        zero=quant.zero_point[0],
    )


def _first_values(e: Engine) -> list[str]:
    """Statements that set every state."""
    lines = []
    for i, state in enumerate(e.graph.states):
        values = np.unique(state.initial)
        place, size = f"s8(at::{e.symbols[state.tensor]})", state.initial.size
        if len(values) == 1:
            lines.append(f"  memset({place}, {values[0]}, {size});")
        else:
            table = e.tables.add("int8_t", f"first_state{i}", state.initial)
            lines.append(f"  memcpy({place}, {table}, {size});")
    return lines
