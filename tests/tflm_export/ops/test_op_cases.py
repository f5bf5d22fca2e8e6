"""Every op of the compiler, by its rows in op_cases.py: a new op needs a row and nothing else here."""

import numpy as np
import pytest
from gradient_checker import check, check_parameters
from op_cases import CASES, OpCase
from tflite_file import oracle

from tflm_export.compiler import compile_model
from tflm_export.front.simplify import simplify
from tflm_export.machines.host import HostEngine
from tflm_export.ops import OPS
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import verify
from tflm_export.simulate.evaluate import run
from tflm_export.simulate.step import Simulator

ALL = [pytest.param(case, id=f"{kind}-{i}") for kind, cases in CASES.items() for i, case in enumerate(cases)]
PASSED = [row for row in ALL if row.values[0].function is not None]
WEIGHTED = [row for row in ALL if OPS[row.values[0].kind].axes]
FIRST = [pytest.param(cases[0], id=kind) for kind, cases in CASES.items()]


def test_every_op_has_a_case():
    assert set(CASES) == set(OPS)
    passed = {row.values[0].kind for row in PASSED}
    assert passed == {kind for kind, row in OPS.items() if row.rule}


@pytest.mark.parametrize("case", ALL)
def test_numpy_is_tflite_micro(case: OpCase):
    graph, rng, data = case.graph(), np.random.default_rng(0), case.tflite()
    xs = [rng.integers(-128, 128, graph.tensors[name].shape, np.int8) for name in graph.inputs]
    expected = litert(data, xs) if case.by_litert else oracle(data, *xs)[0]
    for form in (graph, simplify(graph)):
        found = run(form, dict(zip(form.inputs, xs, strict=True)))
        found = found[form.outputs[0]]
        np.testing.assert_array_equal(found, expected.reshape(found.shape))


@pytest.mark.parametrize("case", PASSED)
def test_the_rule_is_tensorflows_gradient(case: OpCase):
    check(case.graph(), case.function, smooth=case.smooth, tolerance=case.tolerance)


@pytest.mark.parametrize("case", WEIGHTED)
def test_gradients_of_parameters_are_tensorflows(case: OpCase):
    graph = case.graph()
    shape = graph.tensors[graph.ops[0].inputs[1]].shape
    for axis, along in OPS[case.kind].axes.items():
        channels = list(range(0, shape[along], 2)) if axis == "out" else [shape[along] - 1]
        check_parameters(graph, case.function, channels=channels, axis=axis)


@pytest.mark.parametrize("gradients", ["int16", "float32"])
@pytest.mark.parametrize("case", FIRST)
def test_the_emitted_engine_is_numpy(case: OpCase, gradients: str):
    """Kernels and calls: inference and training through the op, bit for bit."""
    reached = case.function is not None
    layers = tuple(LayerUpdate(f"x{i}/w", "out", (0, 1), "all") for i in range(len(case.xs)) if reached)
    plan = UpdatePlan(layers, optimizer=Optimizer(0.5), seed=3)
    compiled = compile_model(case.net(), plan, gradients=gradients)
    engine, simulator = HostEngine(compiled), Simulator(compiled.graph, plan)
    start, rng = engine.weights(), np.random.default_rng(1)
    for step in range(6):
        x = rng.integers(-128, 128, compiled.input.shape, np.int8)
        np.testing.assert_array_equal(engine.infer(x), simulator.infer(x))
        assert engine.train_step(x, step % 3) == pytest.approx(simulator.train_step(x, step % 3), abs=1e-4)
        for name, weights in engine.weights().items():
            np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=f"{name}, step {step}")
    moved = {name for name, weights in engine.weights().items() if (weights != start[name]).any()}
    assert moved == set(start)


@pytest.mark.parametrize("kind", ["RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE"])
def test_moves_on_the_board(kind):
    plan = UpdatePlan((LayerUpdate("x0/w", "out", (0, 1), "all"),), optimizer=Optimizer(0.5))
    result = verify(compile_model(CASES[kind][0].net(), plan), count=4, steps=4, board=True)
    assert result.ok and result.board_steps == 4, result.summary()


def litert(data: bytes, xs: list[np.ndarray]) -> np.ndarray:
    """LiteRT's reference kernels, for ops that TFLite Micro lacks."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    lite = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    lite.allocate_tensors()
    for detail, x in zip(lite.get_input_details(), xs, strict=True):
        lite.set_tensor(detail["index"], x)
    lite.invoke()
    return lite.get_tensor(lite.get_output_details()[0]["index"])
