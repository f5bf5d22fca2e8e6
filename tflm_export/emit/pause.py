"""`pause_parts`: an engine that calls a function of the sketch's between its layers (compile --pauses)."""

from __future__ import annotations

from tflm_export.emit.engine import Engine

CALL = "take_pause();"
_HEADER = """

// `pause` is called behind every kernel: the place to feed a watchdog, or to say on a line that work goes on.
// It must not use the engine. Null: none.
void set_pause(void (*pause)());"""
_STATE = """
void (*pause_of_sketch)() = nullptr;
void take_pause() {
  if (pause_of_sketch != nullptr) pause_of_sketch();
}
"""
_CODE = "void set_pause(void (*pause)()) { pause_of_sketch = pause; }\n"


def pause_parts(e: Engine, fields: dict[str, str]) -> dict[str, str]:
    """The templates' fields about the input, with the pause behind them; none where nobody asked for it."""
    if not e.pauses:
        return {}
    return {
        "input_header": fields["input_header"] + _HEADER,
        "input_state": fields["input_state"] + _STATE,
        "input_code": _CODE + fields["input_code"],
    }
