"""Unrolled recurrent layers: time before the batch, and tensors without a batch."""

import numpy as np
import pytest
from tflite_file import O, T, build, fused, oracle

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import verify
from tflm_export.simulate.evaluate import run

STEPS, WIDTH, UNITS = 3, 4, 5


def ints(name, *values):
    return T(name, (len(values),), "int32", None, data=np.array(values, np.int32))


def recurrent_net(turn):
    """h = tanh(x w + h u), step by step, all steps packed: as Keras's SimpleRNN(unroll=True) is converted."""
    rng = np.random.default_rng(0)
    hidden = {"scale": 1 / 128}
    tensors = [
        T("x", (1, STEPS, WIDTH), scale=0.05),
        ints("order", *((1, 0, 2) if turn == "TRANSPOSE" else (STEPS, 1, WIDTH))),
        T("time", (STEPS, 1, WIDTH), scale=0.05),
        T("w", (UNITS, WIDTH), scale=0.01, data=rng.integers(-127, 128, (UNITS, WIDTH), np.int8)),
        T("u", (UNITS, UNITS), scale=0.005, data=rng.integers(-127, 128, (UNITS, UNITS), np.int8)),
        T("packed", (STEPS, 1, UNITS), **hidden),
        T("back", (1, STEPS, UNITS), **hidden),
        T("v", (3, STEPS * UNITS), scale=0.01, data=rng.integers(-127, 128, (3, STEPS * UNITS), np.int8)),
        T("b", (3,), "int32", 0.01 / 128, data=np.zeros(3, np.int32)),
        T("y", (1, 3), scale=0.05),
    ]
    ops = [O(turn, ["x", "order"], ["time"])]
    ops.append(O("UNPACK", ["time"], [f"x{i}" for i in range(STEPS)], {"Num": STEPS, "Axis": 0}))
    for i in range(STEPS):
        tensors += [T(f"x{i}", (1, WIDTH), scale=0.05), T(f"a{i}", (1, UNITS), scale=0.03)]
        tensors += [T(f"h{i}", (1, UNITS), **hidden)]
        ops.append(O("FULLY_CONNECTED", [f"x{i}", "w"], [f"a{i}"], fused("NONE")))
        if i:
            tensors += [T(f"r{i}", (1, UNITS), scale=0.03), T(f"bare{i}", (UNITS,), scale=0.03)]
            tensors += [ints(f"units{i}", UNITS), T(f"s{i}", (1, UNITS), scale=0.04)]
            ops.append(O("FULLY_CONNECTED", [f"h{i - 1}", "u"], [f"r{i}"], fused("NONE")))
            ops.append(O("RESHAPE", [f"r{i}", f"units{i}"], [f"bare{i}"]))
            ops.append(O("ADD", [f"a{i}", f"bare{i}"], [f"s{i}"], fused("NONE")))
        ops.append(O("TANH", [f"s{i}" if i else "a0"], [f"h{i}"]))
    ops.append(O("PACK", [f"h{i}" for i in range(STEPS)], ["packed"], {"ValuesCount": STEPS, "Axis": 0}))
    turn_back = "order" if turn == "TRANSPOSE" else "order_back"
    tensors += [ints("order_back", 1, STEPS, UNITS)] if turn == "RESHAPE" else []
    ops.append(O(turn, ["packed", turn_back], ["back"]))
    ops.append(O("FULLY_CONNECTED", ["back", "v", "b"], ["y"], fused("NONE")))
    return build(tensors, ops, ["x"], ["y"])


@pytest.mark.parametrize("turn", ["RESHAPE", "TRANSPOSE"])
def test_an_unrolled_layer_is_tflite_micros(turn):
    data = recurrent_net(turn)
    graph = read_tflite(data)
    assert all(t.shape[:1] == (1,) for op in graph.ops for t in [graph.tensors[op.outputs[0]]])
    x = np.random.default_rng(1).integers(-128, 128, (8, STEPS, WIDTH), np.int8)
    found = run(graph, {"x": x})["y"]
    for row, y in zip(x, found, strict=True):
        np.testing.assert_array_equal(oracle(data, row[None])[0], y[None])


def test_its_head_learns_and_shared_weights_are_refused():
    data = recurrent_net("TRANSPOSE")
    result = verify(compile_model(data, UpdatePlan(optimizer=Optimizer(0.05))), count=8, steps=8)
    assert result.ok and result.tflm_mismatches == 0, result.summary()
    plan = UpdatePlan((LayerUpdate("u", "out", (0,), "none"),))
    with pytest.raises(ExportError, match="shared by the ops"):
        compile_model(data, plan)


@pytest.mark.parametrize("kind, y, options", [("PACK", (1, 1, 4), "ValuesCount"), ("UNPACK", (4,), "Num")])
def test_of_one_part_it_is_a_reshape(kind, y, options):
    tensors = [
        T("x", (1, 4)),
        T("p", y),
        T("size", (2,), "int32", None, data=np.int32([1, 4])),
        T("y", (1, 4)),
    ]
    ops = [O(kind, ["x"], ["p"], {options: 1, "Axis": 0}), O("RESHAPE", ["p", "size"], ["y"])]
    graph = read_tflite(build(tensors, ops, ["x"], ["y"]))
    assert [op.kind for op in graph.ops] == ["RESHAPE", "RESHAPE"]
