"""`verify` sees a wrong engine; `report` says what the linked program takes, and what to do about it."""

import json

import keras_nets as models
import nets
import numpy as np
import pytest
from tflite_file import O, T, build, conv_options, fused

from tflm_export.board.fit import MEMORIES
from tflm_export.boards import BOARDS, Board
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import measure
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report import report as reports
from tflm_export.report.advice import smaller_plan
from tflm_export.report.verify import Verification, samples, verify
from tflm_export.simulate.reference import Exact, cosine


@pytest.fixture(scope="module")
def measured(compiled):
    xs, ts = samples(compiled, None, None, 0)
    return measure(compiled, xs[:4], ts[:4], inferences=2)


def test_verify_a_right_engine(compiled, tmp_path):
    result = verify(compiled.save(tmp_path / "engine"), steps=8, board=True)
    assert result.ok and result.inputs == 256 and result.board_steps == 8
    assert result.lowest_cosine > 0.999
    assert "0 differ from TFLite Micro" in result.summary() and result.summary().endswith("all right")


@pytest.mark.parametrize("old, new, field", [
    ("bias1[6] TFODL_TABLE = {\n    ", "bias1[6] TFODL_TABLE = {\n    90000 + ", "tflm_mismatches"),
    ("sgd.step;\n  return tfodl", "sgd.step;\n  w9[0] = 5;\n  return tfodl", "weight_mismatches"),
])  # fmt: skip
def test_verify_sees_a_wrong_engine(compiled, tmp_path, old, new, field):
    folder = compiled.save(tmp_path / "engine")
    for path in (folder / "src").glob("engine*.cpp"):
        path.write_text(path.read_text().replace(old, new))
    result = verify(folder, count=16, steps=4)
    assert getattr(result, field) > 0 and not result.ok
    assert result.summary().endswith("NOT right")


@pytest.mark.parametrize("inputs, targets, message", [
    (np.zeros((2, 5), np.int8), [0, 1], "expected int8"),
    (np.zeros((2, 8, 8, 3), np.float32), [0, 1], "inputs are float32"),
    (np.zeros((2, 8, 8, 3), np.int8), [0], "2 inputs but 1 targets"),
])  # fmt: skip
def test_verify_refuses_wrong_samples(compiled, inputs, targets, message):
    with pytest.raises(ExportError, match=message):
        samples(compiled, inputs, targets, 0)


def test_the_plan_is_within_one_percent_of_the_linked_program(compiled, measured):
    assert measured.static_ram_bytes == pytest.approx(compiled.memory.static_ram, rel=0.01)


def test_the_board_computes_what_the_host_does(compiled, measured):
    engine = HostEngine(compiled)
    xs, ts = samples(compiled, None, None, 0)
    for i in range(2):
        np.testing.assert_array_equal(measured.outputs[i], engine.infer(xs[i]).reshape(-1))
    for x, t in zip(xs[:4], ts[:4], strict=True):
        engine.train_step(x, t)
    for name, weights in measured.weights.items():
        assert np.isin(weights, engine.weights()[name]).all()


def test_report(compiled, measured):
    report = reports.make_report(compiled, measured)
    facts = json.loads(report.to_json())
    assert facts["total_ram_bytes"] == facts["static_ram_bytes"] + facts["stack_bytes"]
    assert facts["fits"] == {"nano33ble": True} and facts["advice"] == []
    assert facts["arena_bytes"] <= 1.03 * facts["memory_lower_bound_bytes"]
    cycles, instructions = facts["cycles"], facts["instructions"]
    assert cycles["train_step"] > cycles["inference"] > instructions["inference"] > 0
    assert facts["milliseconds"]["nano33ble"]["inference"] == pytest.approx(
        cycles["inference"] / 64e3, abs=1e-3
    )
    assert f"{cycles['train_step']:,} cycles (" in report.to_text()
    assert 0 < facts["flash_reads"]["inference"] < instructions["inference"]
    rows = {row["op"]: row for row in facts["layers"]}
    assert rows["#1"]["macs_forward"] == 4 * 4 * 6 * 3 * 3 * 3 and rows["#1"]["macs_dx"] == 0
    assert rows["#2"]["macs_dw"] == 4 * 4 * 9 * 2 and rows["#2"]["trained_weights"] == 18
    assert rows["#3"]["macs_dw"] == 4 * 4 * 6 * 2 and rows["#3"]["macs_dx"] == 4 * 4 * 36
    assert rows["#3"]["kept_bytes"] == 4 * 4 * 2 + 4 * 4 * 6 // 8
    totals = {key: sum(row[f"macs_{key}"] for row in rows.values()) for key in ("forward", "dx", "dw")}
    assert totals == facts["macs"]
    assert f"| flash | {facts['flash_bytes']:,} B |" in report.to_text()


def test_too_large_for_a_board(compiled, measured, monkeypatch):
    ram = compile_model(nets.residual_net(), UpdatePlan()).memory.static_ram
    assert ram < measured.static_ram_bytes
    small = Board("Tiny", "a:b:c", ram, 100_000, 1000)
    monkeypatch.setitem(BOARDS, "tiny", small)
    facts = reports.make_report(compiled, measured, board="tiny").facts
    assert facts["fits"] == {"tiny": False}
    assert facts["over"]["tiny"]["ram_bytes"] == measured.static_ram_bytes - ram
    (advice,) = facts["advice"]
    assert "over static RAM by" in advice and "flash by" in advice
    assert "This part of the plan fits, " in advice
    assert "The arena is fullest, " in advice and "What learns takes " in advice
    assert "weights and biases take" in advice and "head/w" in advice
    plan = UpdatePlan.from_json(json.dumps(facts["smaller_plans"]["tiny"]))
    fitting = compile_model(nets.residual_net(), plan).memory.static_ram
    assert fitting <= ram and f"{fitting:,} B of static RAM" in advice
    assert smaller_plan(compiled, 100) is None


def test_an_optimizer_s_state_goes_first(compiled):
    heavy = Optimizer(0.02, momentum=0.9, batch=4, rounding="accumulator")
    large = compile_model(nets.residual_net(), UpdatePlan(compiled.plan.layers, optimizer=heavy))
    plan = smaller_plan(large, compiled.memory.static_ram)
    assert plan.layers == compiled.plan.layers and plan.optimizer == Optimizer(0.02)


@pytest.mark.parametrize("channels, memory", [(3, "ram"), (64, "flash")])
def test_a_net_that_not_even_the_emulated_board_could_hold(channels, memory, tmp_path):
    """400 KB of picture, or 1.3 MB of weights: still measured, and said by how much it is too large."""
    size = 370 if memory == "ram" else 8
    deep = channels * size * size if memory == "flash" else channels
    tensors = [T("x", (1, size, size, channels)), T("y", (1, size, size, channels)), T("z", (1, 320))]
    tensors.append(T("w", (320, deep), scale=0.01, data=np.ones((320, deep), np.int8)))
    tensors += [T("hw", (2,), "int32", None, data=np.array([1, 2], np.int32)), T("m", (1, channels))]
    ops = [O("RELU", ["x"], ["y"])]
    if memory == "ram":
        ops.append(O("MEAN", ["y", "hw"], ["m"], {"KeepDims": False}))
    ops.append(O("FULLY_CONNECTED", ["m" if memory == "ram" else "y", "w", ""], ["z"], fused("NONE")))
    folder = compile_model(build(tensors, ops, ["x"], ["z"]), UpdatePlan(head=False)).save(tmp_path / "e")
    facts = reports.report(folder).facts
    assert facts["fits"] == {"nano33ble": False} and list(facts["over"]["nano33ble"]) == [f"{memory}_bytes"]
    named = "x 410,700 B" if memory == "ram" else "w 1,310,720 B"
    assert named in facts["advice"][0] and f"over {MEMORIES[f'{memory}_bytes']} by " in facts["advice"][0]


def test_verify_an_autoencoder(tmp_path):
    plan = UpdatePlan((LayerUpdate("#2", "out", (1, 2)),), head=False, loss="mse", optimizer=Optimizer(0.1))
    result = verify(
        compile_model(models.autoencoder(), plan).save(tmp_path / "e"), count=8, steps=8, board=True
    )
    assert result.ok, result.summary()


def depthwise_net(size: int, bias: str = "b") -> bytes:
    """A depthwise layer on a map of 1 channel, and a head of 3."""
    tensors = [
        T("x", (1, size, size, 1)),
        T("w", (1, 3, 3, 1), scale=0.01, data=np.full((1, 3, 3, 1), 50, np.int8)),
        T("b", (1,), "int32", 0.005, data=np.array([3], np.int32)),
        T("y", (1, size, size, 1), scale=1.0),
        T("axes", (2,), "int32", None, data=np.array([1, 2], np.int32)),
        T("m", (1, 1), scale=1.0),
        T("hw", (3, 1), scale=0.02, data=np.array([[90], [-60], [20]], np.int8)),
        T("z", (1, 3), scale=0.1),
    ]
    ops = [
        O("DEPTHWISE_CONV_2D", ["x", "w", bias], ["y"], conv_options(DepthMultiplier=1)),
        O("MEAN", ["y", "axes"], ["m"], {"KeepDims": False}),
        O("FULLY_CONNECTED", ["m", "hw", ""], ["z"], fused("NONE")),
    ]
    return build(tensors, ops, ["x"], ["z"])


def test_an_arena_that_is_found(tmp_path):
    """Ten times the file would not hold the map; a bias of one element has no direction."""
    data = depthwise_net(600)
    assert 10 * len(data) < 600 * 600
    plan = UpdatePlan((LayerUpdate("#0", "out", (), "all"),), optimizer=Optimizer(0.02))
    result = verify(compile_model(data, plan), count=4, steps=4)
    assert result.ok and result.tflm_mismatches == 0, result.summary()
    assert "4 inputs: 0 differ from TFLite Micro" in result.summary()


def test_an_oracle_that_crashes_is_a_finding():
    """TFLite Micro ends in a segmentation fault where a depthwise layer's bias is absent."""
    result = verify(compile_model(depthwise_net(9, bias=""), UpdatePlan()), count=4, steps=2)
    assert not result.ok and result.simulator_mismatches == result.weight_mismatches == 0
    assert "NOT compared with TFLite Micro: TFLite Micro was ended by SIGSEGV" in result.summary()
    assert result.summary().endswith("NOT verified")
    assert verify(compile_model(depthwise_net(9, bias=""), UpdatePlan()), count=2, steps=2, tflm=False).ok


def test_low_gradients_are_named():
    low = Verification(1, 0, 0, 1, 0, {"conv/w": 0.98, "head/w": 1.0})
    assert not low.ok and "conv/w: 0.98000" in low.summary() and "head/w" not in low.summary()
    assert "--gradients float32" in low.summary()


def test_agreement():
    one = Exact(np.array([2.0]), resolution=0.01)
    assert one.agreement(np.array([2.005])) == 1 and 0.999 < one.agreement(np.array([2.08])) < 1
    assert one.agreement(np.array([-2.0])) == 0
    assert (
        Exact(np.zeros(1), 0.0).agreement(np.zeros(1)) == 1
        and Exact(np.zeros(1), 0.0).agreement(np.ones(1)) == 0
    )
    two = np.array([1.0, 0.0])
    assert Exact(two, 0.0).agreement(2 * two) == 1 and Exact(two, 0.0).agreement(np.zeros(2)) == 0


def test_cosine():
    assert cosine(np.zeros(3), np.zeros(3)) == 1 and cosine(np.ones(3), np.zeros(3)) == 0
    assert cosine(np.array([3.0, 4.0]), np.array([3, 4])) == pytest.approx(1)


def test_a_report_says_what_cannot_learn():
    made = reports.report(compile_model(nets.gated_net(), UpdatePlan()), steps=1)
    said = "| cannot learn | weights of dilated convolutions, whose biases can: #0 |"
    assert said in made.to_text() and made.facts["dilated"] == ["#0"]
