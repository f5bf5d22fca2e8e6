"""C++ of programs that try an engine: all its inputs in one place, all its outputs in another."""

from __future__ import annotations

from itertools import accumulate

from tflm_export.edges import Edge, inputs_of, outputs_of
from tflm_export.ir import Graph
from tflm_export.memory.row_fed import is_fed

_PLACE = "int8_t* engine_input() {{ return {name}::input(); }}\n"
_ROWS = """int8_t picture[{name}::kInputBytes];
void picture_row(int32_t y, int8_t* row) {{
  memcpy(row, picture + y * {name}::kRowBytes, {name}::kRowBytes);
}}
int8_t* engine_input() {{
  {name}::set_rows(picture_row);
  return picture;
}}
"""
_EDGES = """int8_t engine_inputs[{inputs}];
int8_t engine_outputs[{outputs}];
int8_t* engine_input() {{ return engine_inputs; }}
void engine_infer() {{
{put}
  {name}::infer();
{take}
}}
"""


def harness(graph: Graph, name: str) -> dict[str, str]:
    """Fields of the templates: `engine_input` defines a function of that name, where a whole sample goes,
    `run` is the statement that infers, `result` what it gives, of `sample_bytes` and `result_bytes`."""
    inputs, outputs = inputs_of(graph), outputs_of(graph)
    fields = {
        "run": f"{name}::infer()",
        "result": f"{name}::output()",
        "sample_bytes": f"{name}::kInputBytes",
        "result_bytes": f"{name}::kOutputs",
        "reset_state": f"{name}::reset_state();" if graph.states else "",
    }
    if len(inputs.tensors) == len(outputs.tensors) == 1:
        return fields | {"engine_input": (_ROWS if is_fed(graph.ops[0]) else _PLACE).format(name=name)}
    sizes = {"sample_bytes": str(inputs.size), "result_bytes": str(outputs.size)}
    put = "\n".join(f"  memcpy({engine}, {all_}, {n});" for engine, all_, n in _moves(inputs, name, "input"))
    take = "\n".join(
        f"  memcpy({all_}, {engine}, {n});" for engine, all_, n in _moves(outputs, name, "output")
    )
    text = _EDGES.format(name=name, inputs=inputs.size, outputs=outputs.size, put=put, take=take)
    return fields | sizes | {"engine_input": text, "run": "engine_infer()", "result": "engine_outputs"}


def _moves(edge: Edge, name: str, which: str) -> list[tuple[str, str, int]]:
    """(place in the engine, place among all, bytes) of every tensor."""
    starts = accumulate((tensor.size for tensor in edge.tensors), initial=0)
    return [
        (f"{name}::{which}{i or ''}()", f"engine_{which}s + {at}", tensor.size)
        for i, (at, tensor) in enumerate(zip(starts, edge.tensors, strict=False))
    ]
