"""How an engine gets its input: a place to write it to, or rows that it asks for (docs/compiler.md)."""

from __future__ import annotations

from tflm_export.emit.engine import Engine
from tflm_export.memory.row_fed import is_fed
from tflm_export.ops import LOSSES

_PLACE = """// Where the picture goes. {users} the memory up: fill it again before each.
int8_t* input();"""
_ROWS = """// Where the picture comes from: `source` writes row y, kRowBytes int8 values. infer(){steps} ask
// it for rows 0, 1, ... up to the last that they read, each once, as they need them. Without a source all is
// the zero point.
constexpr int32_t kRowBytes = {row_bytes};
using RowSource = void (*)(int32_t y, int8_t* row);
void set_rows(RowSource source);"""
_STATE = """
// Rows of the picture.
void no_rows(int32_t, int8_t* row) {
  for (int32_t i = 0; i < kRowBytes; ++i) row[i] = kInputZero;
}
RowSource row_source = no_rows;
"""
_SET = "void set_rows(RowSource source) { row_source = source ? source : no_rows; }"


def input_parts(e: Engine) -> dict[str, str]:
    """The fields of the templates that say so."""
    if not is_fed(e.graph.ops[0]):
        kept = e.learns and LOSSES[e.loss.kind].target == "input"  # until the loss has read it
        users = (
            "train_step() uses" if kept else "infer() and train_step() use" if e.learns else "infer() uses"
        )
        code = "int8_t* input() { return s8(at::x); }"
        return {"input_header": _PLACE.format(users=users), "input_state": "", "input_code": code}
    row_bytes = e.tensor(e.graph.inputs[0]).nbytes // e.tensor(e.graph.inputs[0]).shape[1]
    steps = " and train_step()" if e.learns else ""
    return {
        "input_header": _ROWS.format(steps=steps, row_bytes=row_bytes),
        "input_state": _STATE,
        "input_code": _SET,
    }
