"""Nets that remember: bit for bit TFLite Micro over inferences in a row, and what is refused."""

import numpy as np
import pytest
from streaming_nets import Q, drawn_net, handle, keyword_net, once, remembering
from tflite_file import O, T, build
from tflite_micro import runtime

from tflm_export.compiler import compile_model
from tflm_export.edges import outputs_of
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import measure
from tflm_export.memory.lifetimes import lifetimes
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import samples, verify
from tflm_export.simulate.step import Simulator
from tflm_export.usual import usual_plan

NOTHING = UpdatePlan(head=False)


@pytest.fixture(scope="module")
def compiled():
    return compile_model(keyword_net(), NOTHING)


def test_verified_against_numpy_tflite_micro_and_the_board(compiled):
    result = verify(compiled, count=12, board=True)
    assert result.ok and result.tflm_mismatches == 0 and result.board_inferences == 4


def test_it_remembers_until_it_is_reset(compiled):
    engine, simulator = HostEngine(compiled), Simulator(compiled.graph, NOTHING)
    x = np.full((1, 1, 1, 8), 100, np.int8)
    first, second = engine.infer(x), engine.infer(x)
    assert (first != second).any()
    engine.reset_state()
    np.testing.assert_array_equal(engine.infer(x), first)
    np.testing.assert_array_equal(simulator.infer(x), first)
    np.testing.assert_array_equal(simulator.infer(x), second)
    simulator.reset()
    np.testing.assert_array_equal(simulator.infer(x), first)


def test_states_lie_where_nothing_else_ever_lies(compiled):
    memory, steps = compiled.memory, len(compiled.graph.ops) - 1
    for state in compiled.graph.states:
        assert memory.lifetimes[memory.views[state.tensor]] == (0, steps)
        assert memory.views[state.next] == memory.views[state.tensor]
    measured = measure(compiled, *(rows[:1] for rows in samples(compiled, None, None, 0)))
    assert measured.static_ram_bytes == memory.static_ram


@pytest.mark.parametrize(
    "seed", [*range(30), 844, 1104, 1362]
)  # in the last, copies end that hold an old value
def test_any_order_of_reads_and_assignments(seed):
    """numpy = TFLite Micro; every tenth one also in C++, where the memory plan matters."""
    data = drawn_net(seed)
    graph = simplify(read_tflite(data))
    lifetimes(graph)  # asserts that no state is read after it is written over
    oracle = runtime.Interpreter.from_bytes(data, arena_size=1 << 16)
    engines = [Simulator(graph, NOTHING)]
    engines += [HostEngine(compile_model(data, NOTHING))] if seed % 10 == 0 else []
    for x in np.random.default_rng(seed).integers(-128, 128, (5, 1, 4), np.int8):
        oracle.set_input(x, 0)
        oracle.invoke()
        expected = {name: oracle.get_output(i) for i, name in enumerate(graph.outputs)}
        for engine in engines:
            np.testing.assert_array_equal(engine.infer(x), outputs_of(graph).join(expected))


def test_its_head_learns():
    """A step goes on from the state that the last inference or step left, on the board, too."""
    plan = usual_plan(read_tflite(keyword_net())).plan
    assert plan.head
    result = verify(compile_model(keyword_net(), plan), count=6, steps=6, board=True)
    assert result.ok and result.tflm_mismatches == 0 and result.board_steps == 6, result.summary()


def test_a_layer_learns_whose_output_is_remembered():
    """Its frame of now has a gradient, those of before have none; a step leaves the state that it made."""
    plan = UpdatePlan((LayerUpdate("a/w", "out", (1, 2, 5), "none"),), optimizer=Optimizer(0.5))
    result = verify(compile_model(keyword_net(), plan), count=2, steps=8)
    assert result.ok and len(result.gradient_cosines) == 2, result.summary()


ZEROS = np.zeros((1, 4), np.int8)
MAPS = [T("x", (1, 4), **Q), T("y", (1, 4), **Q)]
READ = O("READ_VARIABLE", ["h/a"], ["y"])
ASSIGN = O("ASSIGN_VARIABLE", ["h/a", "x"], [])
TENSOR, HANDLE = handle("a")


def named(name, *rows):
    return build([TENSOR, *MAPS], [HANDLE, *rows, READ], ["x"], ["y"], [once({name: ZEROS})])


CALL = O("CALL_ONCE", [], [], {"InitSubgraphIndex": 1})
COMPUTED = ([T("a", (1, 4), **Q), T("b", (1, 4), **Q)], [O("RELU", ["a"], ["b"])])
DAMAGED = {
    "nobody sets it": (
        build([TENSOR, *MAPS], [HANDLE, READ], ["x"], ["y"]),
        r"READ_VARIABLE '#1' \(output 'y'\): variable 'a' is read before it has a value; set it in a sub",
    ),
    "another is set": (named("b", CALL), "variable 'a' is read before it has a value"),
    "set too late": (
        build([TENSOR, *MAPS], [HANDLE, ASSIGN, CALL, READ], ["x"], ["y"], [once({"a": ZEROS})]),
        "CALL_ONCE '#2' .*it comes after variables are used",
    ),
    "no such subgraph": (
        named("a", O("CALL_ONCE", [], [], {"InitSubgraphIndex": 7})),
        "CALL_ONCE calls subgraph 7; allowed: another one than the main 0, of 2",
    ),
    "it calls itself": (
        named("a", O("CALL_ONCE", [], [], {"InitSubgraphIndex": 0})),
        "CALL_ONCE calls subgraph 0; allowed: another one than the main 0, of 2",
    ),
    "a subgraph that computes": (
        build([TENSOR, *MAPS], [CALL, HANDLE, READ], ["x"], ["y"], [COMPUTED]),
        r"RELU '#0' .*CALL_ONCE's subgraph has it; allowed there: constants",
    ),
    "two shapes of one name": (
        remembering({"a": np.zeros((1, 5), np.int8)}, MAPS, [READ], ["y"]),
        r"READ_VARIABLE .*the variable is int8 \[1, 5\] elsewhere and int8 \[1, 4\] here; it must have one",
    ),
    "another shape assigned": (
        remembering({"a": ZEROS}, [T("x", (1, 2), **Q), MAPS[1]], [READ, ASSIGN], ["y"]),
        r"ASSIGN_VARIABLE .*the variable is int8 \[1, 4\] elsewhere and int8 \[1, 2\] here",
    ),
    "floats": (
        remembering({"a": np.float32(ZEROS)}, [MAPS[0], T("y", (1, 4), "float32", None)], [READ], ["y"]),
        "the variable is float32; allowed: int8",
    ),
    "no handle": (
        remembering({"a": ZEROS}, MAPS, [O("READ_VARIABLE", ["x"], ["y"])], ["y"]),
        "READ_VARIABLE .*its first input is no variable's handle",
    ),
    "no value": (
        remembering({"a": ZEROS}, MAPS, [READ, O("ASSIGN_VARIABLE", ["h/a"], [])], ["y"]),
        "ASSIGN_VARIABLE .*has 1 inputs and 0 outputs; allowed: 2 and 0",
    ),
    "a handle that something else reads": (
        remembering({"a": ZEROS}, MAPS, [O("RELU", ["h/a"], ["y"])], ["y"]),
        "RELU .*input tensor 'h/a' does not exist",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED)
def test_refused_in_one_line(damage):
    data, said = DAMAGED[damage]
    with pytest.raises(ExportError, match=said) as refused:
        compile_model(data, NOTHING)
    assert "\n" not in str(refused.value)


def test_a_float_output_that_is_the_state_is_the_old_one():
    """Its DEQUANTIZE goes with the edges: the value must not lie where the new one is written."""
    tensors = [*MAPS, T("f", (1, 4), "float32", None)]
    ops = [READ, ASSIGN, O("DEQUANTIZE", ["y"], ["f"])]
    result = verify(compile_model(remembering({"a": ZEROS}, tensors, ops, ["f"]), NOTHING), count=4)
    assert result.ok and result.tflm_mismatches == 0
