"""Ops of several outputs: every part where TFLite Micro has it."""

import numpy as np
import pytest
from tflite_file import O, T, build, fused, oracle

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.machines.host import HostEngine
from tflm_export.plan import UpdatePlan
from tflm_export.simulate.evaluate import run


def ints(name, *values):
    return T(name, (len(values),), "int32", None, data=np.array(values, np.int32))


SPLITS = {
    "SPLIT": ([ints("axis", 1)], ["axis", "x"], {"NumSplits": 3}),
    "SPLIT_V": ([ints("sizes", 2, -1, 2), ints("axis", -3)], ["x", "sizes", "axis"], {"NumSplits": 3}),
    "UNPACK": ([], ["x"], {"Num": 3, "Axis": -1}),
}


def net(kind, x=(1, 6, 4, 3), **changes):
    """The last part less the first."""
    constants, inputs, options = SPLITS[kind]
    part = (*x[:-1],) if kind == "UNPACK" else (x[0], 2, *x[2:])
    parts = [T(f"part{i}", part) for i in range(3)]
    split = O(kind, inputs, [t.name for t in parts], options | changes)
    less = O("SUB", ["part2", "part0"], ["y"], fused("NONE"))
    return build([T("x", x), *constants, *parts, T("y", part, scale=1.0)], [split, less], ["x"], ["y"])


@pytest.mark.parametrize("kind", SPLITS)
def test_every_part_is_tflite_micros(kind):
    data = net(kind)
    x = np.random.default_rng(0).integers(-128, 128, (1, 6, 4, 3), np.int8)
    (expected,) = oracle(data, x)
    graph = read_tflite(data)
    assert [op.name for op in graph.ops] == ["#0", "#0o2", "#1"]
    np.testing.assert_array_equal(run(graph, {"x": x})["y"], expected)
    engine = HostEngine(compile_model(data, UpdatePlan(head=False)))
    np.testing.assert_array_equal(engine.infer(x), expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (net("SPLIT", (1, 7, 4, 3)), "axis 1 of 7 does not split into 3 equal parts"),
        (net("SPLIT_V", (1, 4, 4, 3)), r"sizes \[2, 0, 2\] do not make 3 parts of 4"),
        (net("UNPACK", Axis=1), "axis 1 of 6 does not make 3 outputs"),
        (net("UNPACK", Num=2), "makes 2 parts, but has 3 outputs"),
    ],
)
def test_parts_that_do_not_fit_are_refused(data, message):
    with pytest.raises(ExportError, match=f"'#0' .*{message}"):
        read_tflite(data)
