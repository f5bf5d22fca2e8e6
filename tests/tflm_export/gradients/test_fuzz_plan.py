"""Damaged and wild update plans: an error or an engine, never another exception."""

import json

import numpy as np
import pytest
from nets import gated_net, residual_net

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan

WILD = [
    *(None, True, False, -1, 0, 1, 2, 3, 11, 10**9, 2**31, 2**64, -(2**70), 0.5, 1e308, 1e-320, float("nan")),
    *(
        float("inf"),
        "",
        "#0",
        "#3",
        "#99",
        "dw",
        "logits",
        "in",
        "out",
        "all",
        "none",
        "selected",
        "mse",
        "\ud800",
    ),
    *([], [0], [0, 0], [3, 1], [-1], [True], ["a"], [[0]], list(range(70)), [10**9], {}, {"a": 1}),
]
TRIES = 4  # files of --fuzz-files a try


def places(value, found=None):
    """Every (container, key) inside a JSON value."""
    found = [] if found is None else found
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        found.append((value, key))
        places(value[key], found)
    return found


def sound_plan(layer: str) -> UpdatePlan:
    return UpdatePlan(
        (LayerUpdate("#2", "out", (1,), "selected"), LayerUpdate(layer, "in", (0, 3), "all")),
        optimizer=Optimizer(0.01, momentum=0.5, batch=2, rounding="accumulator"),
        provenance={"method": "fuzz"},
    )


def wild_plan(sound: str, rng: np.random.Generator) -> str:
    """The plan with 1 to 3 values changed, dropped or doubled."""
    plan = json.loads(sound)
    for _ in range(rng.integers(1, 4)):
        at = places(plan)
        container, key = at[rng.integers(len(at))]
        match rng.integers(0, 8):
            case 0:
                del container[key]
            case 1 if isinstance(container, list):
                container.append(container[key])
            case 2 if isinstance(container, dict):
                container[str(WILD[rng.integers(len(WILD))])] = container[key]
            case _:
                container[key] = WILD[rng.integers(len(WILD))]
        plan = json.loads(json.dumps(plan))  # nothing is shared
    return json.dumps(plan)


def damaged_text(sound: str, rng: np.random.Generator) -> str:
    """The plan's text with 1 to 4 characters changed or cut out."""
    text = list(sound)
    for _ in range(rng.integers(1, 3)):
        at = int(rng.integers(len(text) - 4))
        if rng.random() < 0.5:
            text[at] = '"[]{},:0129eE-.tfn \\u'[rng.integers(21)]
        else:
            del text[at : at + int(rng.integers(1, 4))]
    return "".join(text)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("net, layer", [(residual_net, "#3"), (gated_net, "#5")])
@pytest.mark.parametrize("make", [wild_plan, damaged_text])
def test_fuzz_plans(make, net, layer, request):
    rng, model, sound = np.random.default_rng(0), net(), sound_plan(layer).to_json()
    ends = {"refused": 0, "compiled": 0}
    for _ in range(request.config.getoption("--fuzz-files") // TRIES):
        text = make(sound, rng)
        try:
            compile_model(model, UpdatePlan.from_json(text))
            ends["compiled"] += 1
        except (ExportError, TfodlError) as error:
            assert 0 < len(str(error)) < 4000 and "\n" not in str(error), str(error)
            ends["refused"] += 1
    assert min(ends.values()) > 0, ends  # the damage is neither always fatal nor always harmless
