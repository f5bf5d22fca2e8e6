"""What a task changes in an engine: the target of `train_step`, what is known of its success, `predict`."""

from __future__ import annotations

from tflm_export.emit.engine import Engine
from tflm_export.ops import LOSSES
from tflm_export.ops.reconstruction_loss import error_text, reconstruction_kernel

_GUESS = """// The class with the largest logit in the last train_step, before the step; -1 before the first.
int32_t guess();

"""
_RIGHT = """// How many outputs lay on their targets' side in the last train_step, before the step.
int32_t right();

"""
_PREDICT = """// infer(), then {what}.
int32_t predict();"""
_SCORE = """// infer(), then mean((output - input)^2) in real units: the larger, the stranger.
// input() stays as it is.
float score();"""
_PREDICT_BODY = """int32_t predict() {{
  infer();
  return {which};
}}"""
_SCORE_BODY = """float score() {{
  infer();
  const uint64_t observed = tfodl::{name}({arguments});
  return {error};
}}"""
_LABEL = {
    "target": "label",
    "target_type": "int32_t ",
    "target_text": "input() and its label, 0 <= label < kLogits",
    "refusal": ",\n// or -1 for a label out of range, and then changes nothing",
    "guard": "  if (label < 0 || label >= kLogits) return -1.0f;\n",
    "verdict": "int32_t guessed = -1;\n",
    "verdict_header": _GUESS,
    "verdict_body": "int32_t guess() { return guessed; }\n\n",
}
_VALUES = {
    "target": "target",
    "target_type": "const int8_t* ",
    "target_text": "input() and its target [kLogits]",
    "refusal": "",
    "guard": "",
    "verdict": "",
    "verdict_header": "",
    "verdict_body": "",
}
_LABELS = _VALUES | {
    "target_text": "input() and its target [kLogits], 1 or 0 an output",
    "verdict": "int32_t right_ones = 0;\n",
    "verdict_header": _RIGHT,
    "verdict_body": "int32_t right() { return right_ones; }\n\n",
}
_INPUT = _VALUES | {"target": "", "target_type": "", "target_text": "input(), which the output shall be"}


def task_parts(e: Engine) -> dict[str, str]:
    """The fields of the templates of an engine that learns."""
    kind = LOSSES[e.loss.kind]
    values = _LABELS if e.loss.kind == "BINARY_CROSSENTROPY" else _VALUES
    fields = {"label": _LABEL, "values": values, "input": _INPUT}[kind.target]
    begin = f"float train_step({fields['target_type']}{fields['target']}) {{\n{fields['guard']}"
    fields = fields | {"step_begins": f"{begin}  if (!ready) reset();\n  frozen_layers();"}
    if kind.target == "input":
        return fields | {"answer_header": _SCORE, "answer": _score(e)}
    one = _one_sigmoid(e)
    what = "1 where its one output says yes, else 0" if one else "the class with the largest output"
    return fields | {
        "answer_header": _PREDICT.format(what=what),
        "answer": _PREDICT_BODY.format(which=class_of_output(e)),
    }


def class_of_output(e: Engine) -> str:
    """The class that `output()` speaks for, in C++."""
    if not _one_sigmoid(e):
        return "tfodl::argmax_s8(output(), kOutputs)"
    producer = e.graph.producer(e.graph.outputs[0])
    half = 0 if producer is not None and producer.kind == "LOGISTIC" else e.zero(e.graph.outputs[0])
    return f"output()[0] > {half} ? 1 : 0"


def _one_sigmoid(e: Engine) -> bool:
    """Whether the output is one logit or sigmoid: its class is a matter of sign."""
    output = e.graph.outputs[0]
    producer = e.graph.producer(output)
    sigmoid = producer is not None and producer.kind == "LOGISTIC"
    logit = e.graph.loss is not None and e.loss.kind == "BINARY_CROSSENTROPY"
    return e.tensor(output).size == 1 and (sigmoid or logit)


def _score(e: Engine) -> str:
    name, first = reconstruction_kernel(e, e.loss, "squares")
    arguments = ", ".join(map(str, (*first, "output()", "input()", "kOutputs")))
    return _SCORE_BODY.format(name=name, arguments=arguments, error=error_text(e, e.loss))
