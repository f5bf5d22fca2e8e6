"""A plan that trains nothing: an engine that only infers, without a byte or a line for training."""

import keras_nets as models
import nets
import numpy as np
import pytest
from streaming_nets import two_edges_net
from tflite_file import O, T, build, fused, oracle

from tflm_export.board.sketch import make_sketch
from tflm_export.compiler import compile_model
from tflm_export.edges import inputs_of, outputs_of
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.input_contract import InputContract
from tflm_export.machines.emulator import VAST
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import measure
from tflm_export.plan import LayerUpdate, UpdatePlan
from tflm_export.report.report import make_report
from tflm_export.report.verify import samples, verify
from tflm_export.simulate.step import Simulator
from tflm_export.usual import usual_plan

NOTHING = UpdatePlan(head=False)


@pytest.fixture(scope="module")
def compiled():
    return compile_model(models.mobile_net(), NOTHING)


@pytest.fixture(scope="module")
def measured(compiled):
    return measure(compiled, *(rows[:2] for rows in samples(compiled, None, None, 0)), inferences=2)


@pytest.mark.parametrize("make", [nets.residual_net, models.mobile_net, models.zoo_net, models.autoencoder])
def test_verified_against_numpy_tflite_micro_and_the_board(make, tmp_path):
    result = verify(compile_model(make(), NOTHING).save(tmp_path / "engine"), count=64, board=True)
    assert result.ok and result.steps == result.board_steps == 0 and result.board_inferences > 0
    assert "this engine only infers" in result.summary()


def test_no_training_code(compiled):
    assert {op.role for op in compiled.graph.ops} == {"forward"} and compiled.graph.loss is None
    for name in ("src/engine.h", "src/engine.cpp"):
        assert not any(
            word in compiled.sources[name] for word in ("train_step", "mask", "Sgd", "GradScale", "kLogits")
        )


def test_costs_less_than_the_same_net_that_learns(compiled, measured):
    learning = compile_model(models.mobile_net(), UpdatePlan())
    other = measure(learning, *(rows[:2] for rows in samples(learning, None, None, 0)))
    assert compiled.memory.static_ram == compiled.memory.arena < learning.memory.static_ram
    assert measured.static_ram_bytes == compiled.memory.arena
    assert measured.flash_bytes < other.flash_bytes - 4000
    assert measured.train_step.cycles == 0 and measured.weights == {}
    assert measured.inference.cycles <= other.inference.cycles


def test_a_memory_outside_the_chip_changes_no_count(compiled, measured):
    vast = measure(
        compiled, *(rows[:2] for rows in samples(compiled, None, None, 0)), inferences=2, memories=VAST
    )
    assert (vast.inference, vast.flash_bytes) == (measured.inference, measured.flash_bytes)
    np.testing.assert_array_equal(vast.outputs, measured.outputs)


def test_report(compiled, measured):
    report = make_report(compiled, measured)
    assert report.facts["total_ram_bytes"] == measured.static_ram_bytes + measured.stack_bytes
    assert report.facts["flash_bytes"] == measured.flash_bytes and report.facts["trained_parameters"] == 0
    assert "| learns | nothing" in report.to_text() and "training step" not in report.to_text()


def test_it_comes_back_from_its_folder(compiled, tmp_path):
    assert load(compiled.save(tmp_path / "engine")).sources == compiled.sources


def test_it_refuses_to_learn(compiled, tmp_path):
    engine, simulator = HostEngine(compiled), Simulator(compiled.graph, compiled.plan)
    x = np.zeros((1, 12, 12, 2), np.int8)
    for learn in (engine.train_step, simulator.train_step):
        with pytest.raises(ExportError, match="only infers"):
            learn(x, 0)
    engine.reset()
    assert engine.weights() == {}
    with pytest.raises(ExportError, match="only infers"):
        make_sketch(compiled.save(tmp_path / "engine"), "nano33ble", tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_a_plan_that_names_layers_but_trains_nothing_is_a_mistake():
    with pytest.raises(ExportError, match="nothing trains in the layers"):
        compile_model(models.mobile_net(), UpdatePlan((LayerUpdate("#0"),), head=False))


def test_a_dense_layer_takes_its_input_twice_that_and_its_output():
    tensors = [T("x", (1, 640)), T("w", (128, 640), data=np.ones((128, 640), np.int8)), T("y", (1, 128))]
    data = build(tensors, [O("FULLY_CONNECTED", ["x", "w", ""], ["y"], fused("NONE"))], ["x"], ["y"])
    assert compile_model(data, NOTHING).memory.arena == 640 + 2 * 640 + 128


@pytest.fixture(scope="module")
def two_edges():
    return compile_model(two_edges_net(), NOTHING, name="two")


def test_several_inputs_and_outputs_verified(two_edges):
    result = verify(two_edges, count=16, board=True)
    assert result.ok and result.tflm_mismatches == 0 and result.board_inferences == 4


def test_several_inputs_and_outputs_by_name(two_edges):
    header = two_edges.sources["src/two.h"]
    for line in (
        "// 4x4x3 + 6 -> 6 + 6: inference",
        "int8_t* input();",
        "constexpr int32_t kInput1Bytes = 6;  // 6, int8: m",
        "constexpr float kInput1Scale = 0.05f;",
        "constexpr int32_t kInput1Zero = 2;",
        "int8_t* input1();",
        "constexpr int32_t kOutput1s = 6;  // 6, int8: y",
        "const int8_t* output1();",
    ):
        assert line in header
    x, m = np.full((1, 4, 4, 3), 9, np.int8), np.arange(6, dtype=np.int8).reshape(1, 6)
    engine = HostEngine(two_edges)
    given = inputs_of(two_edges.graph).join({"x": x, "m": m})
    z, y = outputs_of(two_edges.graph).split(engine.infer(given)).values()
    np.testing.assert_array_equal([z, y], oracle(two_edges.tflite, x, m, outputs=2))
    with pytest.raises(ExportError, match=r"input 'x', 'm': got int8 \[1, 4, 4, 3\]; expected int8 \[1, 5"):
        engine.infer(x)


def test_several_inputs_have_no_contract(two_edges):
    contract = InputContract.parse("-1..1", (4, 4, 3))
    with pytest.raises(ExportError, match="input contract: it is of one input, the model takes 2"):
        compile_model(two_edges.tflite, NOTHING, contract=contract)


def test_several_inputs_do_not_learn(two_edges):
    assert "learns needs one input, got 2" in usual_plan(read_tflite(two_edges.tflite)).unlearned
    with pytest.raises(ExportError, match="learns needs one input, got 2.*set the plan's head to false"):
        compile_model(two_edges.tflite, UpdatePlan())
