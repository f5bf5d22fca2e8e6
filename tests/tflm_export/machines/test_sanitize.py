"""Whole engines under address and undefined-behaviour sanitizers."""

import dataclasses

import numpy as np
import pytest
from engine_cases import CASES

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.machines.host import HostEngine
from tflm_export.machines.sanitize import run_sanitized
from tflm_export.report.verify import samples
from tflm_export.variable import variables


@pytest.mark.parametrize("name", ["everything", "zoo", "mse"])
def test_no_complaint_and_the_same_weights(name):
    make, plan = CASES[name]
    compiled = compile_model(make(), plan)
    xs, ts = samples(compiled, None, None, 0)
    weights = run_sanitized(compiled, xs[:6], ts[:6])
    engine = HostEngine(compiled)
    for x, t in zip(xs[:6], ts[:6], strict=True):
        engine.train_step(x, t)
    for variable in variables(compiled.graph):
        expected = variable.take(engine.weights()[variable.tensor]).reshape(-1)
        np.testing.assert_array_equal(weights[variable.tensor], expected)


def test_a_byte_behind_the_arena_is_seen():
    make, plan = CASES["mse"]
    compiled = compile_model(make(), plan)
    text = compiled.sources["src/engine.cpp"].replace("++sgd.step;", "*s8(kArenaBytes) = 1;\n  ++sgd.step;")
    broken = dataclasses.replace(compiled, sources={**compiled.sources, "src/engine.cpp": text})
    xs, ts = samples(compiled, None, None, 0)
    with pytest.raises(ExportError, match="sanitized run: .*(overflow|insufficient space)"):
        run_sanitized(broken, xs[:1], ts[:1])
