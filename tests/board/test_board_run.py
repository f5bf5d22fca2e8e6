"""A board that learns a stream: what comes of it, whatever happens to cable and power on the way."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from digits_net import LAYERS, digits_net
from nets import residual_net
from page_reader import PageReader
from task_nets import dense_net

from tflm_export.board.learned import read_weights
from tflm_export.board.simulated import SimulatedBoard
from tflm_export.compiler import compile_model
from tflm_export.front.read_tflite import constants
from tflm_export.front.spare import add_spare_classes
from tflm_export.input_contract import InputContract
from tflm_export.living.simulator import LivingSimulator
from tflm_export.machines.host import HostEngine
from tflm_export.plan import Guard, Memory, Optimizer, UpdatePlan
from tflm_export.pool import Pool
from tflm_export.report.run_lines import read_lines, read_run_file
from tflm_export.signal_contract import SignalContract
from tfodl.board.curve import Curve
from tfodl.board.line import Line, Simulation
from tfodl.board.run import Run
from tfodl.board.run_log import RunLog
from tfodl.board.samples import Samples, load_samples
from tfodl.board.targets import scores
from tfodl.cli import main

PLAN = UpdatePlan(LAYERS, optimizer=Optimizer(0.01, 0.5, batch=2), store_bytes=12 * 4096)
COUNT = 40


@pytest.fixture(scope="module")
def compiled():
    return compile_model(digits_net(), PLAN, contract=InputContract.parse("0..255", (14, 14, 1)))


@pytest.fixture(scope="module")
def folder(compiled, tmp_path_factory):
    return str(compiled.save(tmp_path_factory.mktemp("board") / "engine"))


@pytest.fixture(scope="module")
def samples(compiled):
    return load_samples(compiled, "digits", "classes", 3, COUNT, 20, "target")


@pytest.fixture(scope="module")
def expected(compiled, samples):
    """The weights of an engine that nothing happens to."""
    engine = HostEngine(compiled)
    for x, label in zip(compiled.quantize(samples.x), samples.labels, strict=True):
        engine.train_step(x[None], int(label))
    return engine.weights()


@pytest.fixture(scope="module")
def board(compiled):
    with SimulatedBoard(compiled) as board:
        yield board


def keeping():
    """With a memory in flash."""
    plan = replace(PLAN, memory=Memory(samples=12, replays=2, where="flash"))
    return compile_model(digits_net(), plan, contract=InputContract.parse("0..255", (14, 14, 1)))


def learn(board, compiled, samples, log, run=Run, **options):
    """The weights after a run on a board as it was flashed."""
    with Line(Simulation(board), compiled, patience=20) as line, RunLog(log) as written:
        line.client.factory_reset()
        line.at(0)
        run(line, compiled, samples, written, Curve(len(samples.x), io.StringIO()), **options).learn()
        return read_weights(line.client, compiled)


def assert_same(one, other):
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_a_command_teaches_a_simulated_board(folder, samples, expected, tmp_path, capsys, monkeypatch):
    """The cable is pulled in the middle, and the model that comes out is the same."""
    monkeypatch.chdir(tmp_path)
    flags = "--data digits --domain target --sim --order classes --seed 3 --tests 20 --evaluate-every 20"
    line = ["board", "learn", folder, *flags.split(), "--samples", str(COUNT), "--unplug", "25"]
    assert main([*line, "--out", "new.tflite"]) == 0
    said = capsys.readouterr().out
    assert "the cable was pulled after 25 samples" in said and "the board is back; 25 samples" in said
    known = constants((tmp_path / "new.tflite").read_bytes())
    assert_same({name: known[name][0].data for name in expected}, expected)
    lines = read_lines("run.jsonl")
    begin, steps = lines[0], [line for line in lines if "event" not in line]
    assert (
        begin["classes"] == list("0123456789") and begin["samples"] == COUNT and begin["order"] == "classes"
    )
    assert [line["step"] for line in steps] == list(range(1, COUNT + 1))
    assert [line["label"] for line in steps] == samples.labels.tolist()
    judged = [line for line in lines if line.get("event") == "evaluated"]
    assert [line["step"] for line in judged] == [0, 20, 40]
    assert all(np.array(line["confusion"]).shape == (10, 10) for line in judged)
    events = [line["event"] for line in lines if line.get("event") != "evaluated" and "event" in line]
    assert events == ["begin", "unplugged", "resumed", "saved", "end"]


def test_a_board_that_lost_its_power_goes_on_from_what_it_saved(board, compiled, samples, expected, tmp_path):
    """Weights, momentum and half a batch come back from flash: the end is the same."""
    cuts = iter([25, 33])
    when = [next(cuts)]

    def after(step):
        if when and step == when[0]:
            when[:] = list(cuts)[:1]
            board.cut_power()

    found = learn(board, compiled, samples, tmp_path / "run.jsonl", save_every=9, after=after)
    assert_same(found, expected)
    lines = read_lines(tmp_path / "run.jsonl")
    resumed = [(line["step"], line["restarted"]) for line in lines if line.get("event") == "resumed"]
    assert resumed == [(18, True), (27, True)]


def test_a_board_that_lost_its_power_before_the_first_sample_keeps_the_rate(
    board, compiled, samples, tmp_path
):
    """Zero steps are what a board has that kept its power, too."""

    class Cut(Run):
        def _evaluate(self, name):
            super()._evaluate(name)
            if self._step == 0:
                board.cut_power()

    few, log = replace(samples, x=samples.x[:4], labels=samples.labels[:4]), tmp_path / "run.jsonl"
    whole = learn(board, compiled, few, log, rate=0.5)
    assert_same(learn(board, compiled, few, log, Cut, rate=0.5), whole)
    assert [line["restarted"] for line in read_lines(log) if line.get("event") == "resumed"] == [False]


def test_a_memory_in_flash_comes_back_with_what_was_learned(samples, tmp_path):
    compiled, cuts = keeping(), [25]
    simulator = LivingSimulator(compiled.graph, compiled.plan)
    for x, label in zip(compiled.quantize(samples.x), samples.labels, strict=True):
        simulator.train_step(x[None], int(label))
        simulator.remember(int(label))
    with SimulatedBoard(compiled) as board:

        def after(step):
            if step in cuts:
                cuts.clear()
                board.cut_power()

        found = learn(board, compiled, samples, tmp_path / "run.jsonl", save_every=9, after=after)
    assert_same(found, simulator.weights)
    lines = read_lines(tmp_path / "run.jsonl")
    assert [line["step"] for line in lines if line.get("event") == "resumed"] == [18]


def test_what_was_learned_is_pulled_and_pushed(board, compiled, folder, samples, expected, tmp_path, capsys):
    assert_same(learn(board, compiled, samples, tmp_path / "run.jsonl"), expected)
    new, port = str(tmp_path / "new.tflite"), ["--port", board.port]
    assert main(["board", "pull", folder, "--out", new, *port]) == 0
    with board.client() as client:
        client.factory_reset()
    assert main(["board", "push", folder, new, *port]) == 0
    board.cut_power()
    with board.client() as client:
        assert_same(read_weights(client, compiled), expected)
    capsys.readouterr()
    assert main(["board", "about", *port]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["store_bytes"] == PLAN.store_bytes and about["steps"] == 0
    assert about["classes"] == [] and about["classes_in_use"] == 10
    (tmp_path / "other.tflite").write_bytes(residual_net())
    (tmp_path / "text.tflite").write_text("text")
    refused = {"other": "is another model's file", "none": "cannot read '", "text": "text.tflite': not a"}
    for name, said in refused.items():
        assert main(["board", "push", folder, str(tmp_path / f"{name}.tflite"), *port]) == 2
        assert said in capsys.readouterr().err
    assert main(["board", "constants", folder, *port]) == 2
    assert "its constants are part of its sketch" in capsys.readouterr().err


def test_what_a_board_that_chooses_learned_goes_into_another(samples, tmp_path, capsys):
    pool = Pool(2000, "random", epoch=12)
    plan = UpdatePlan(candidates=("#1", "#2", "#3"), memory=Memory(samples=8, replays=1), pool=pool)
    compiled = compile_model(
        digits_net(), plan, contract=InputContract.parse("0..255", (14, 14, 1)), name="choosing"
    )
    folder, new = str(compiled.save(tmp_path / "engine")), str(tmp_path / "new.tflite")
    with SimulatedBoard(compiled) as one, SimulatedBoard(compiled, program=one._program) as two:
        learned = learn(one, compiled, samples, tmp_path / "run.jsonl")
        assert any((array != compiled.graph.constant(name)).any() for name, array in learned.items())
        assert main(["board", "pull", folder, "--out", new, "--port", one.port]) == 0
        assert main(["board", "push", folder, new, "--port", two.port]) == 0
        assert "are on the board, which begins a first epoch" in capsys.readouterr().out
        two.cut_power()
        with two.client() as client, one.client() as first:
            assert_same(read_weights(client, compiled), learned)
            first.restore()
            for x in compiled.quantize(samples.x[:5]):
                assert (client.predict(x[None])[1] == first.predict(x[None])[1]).all()
            assert client.info().epoch == 0 < first.info().epoch


def test_classes_that_a_board_does_not_know_are_opened(tmp_path):
    compiled = compile_model(
        add_spare_classes(residual_net(), 2), UpdatePlan(memory=Memory(samples=8, replays=1), spare_classes=2)
    )
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (9, 8, 8, 3)).astype(np.int8)
    labels, names = np.array([0, 1, 2, 3, 4, 4, 0, 5, 5]), tuple("abcdef")
    with SimulatedBoard(compiled, names[:4]) as board, Line(Simulation(board), compiled) as line:
        with RunLog(tmp_path / "run.jsonl") as log:
            Run(line, compiled, Samples(x, labels, x, labels, names), log, Curve(9, io.StringIO())).learn(
                rest=2
            )
        assert (line.client.class_name(4), line.client.class_name(5)) == ("e", "f")
        assert line.client.info().classes == 6
    lines = read_lines(tmp_path / "run.jsonl")
    assert [(e["label"], e["name"]) for e in lines if e.get("event") == "class"] == [(4, "e"), (5, "f")]
    assert [line["remembered"] for line in lines if "remembered" in line] == [*range(1, 9), 8]


def test_a_picture_that_opens_a_class_never_judges(tmp_path):
    """Whatever the guard would hold out."""
    memory, guard = Memory(samples=8, replays=1), Guard(samples=6, held_out=2)
    compiled = compile_model(
        add_spare_classes(residual_net(), 1), UpdatePlan(memory=memory, guard=guard, spare_classes=1)
    )
    drawn = np.random.default_rng(7).integers(-128, 128, (12, 8, 8, 3)).astype(np.int8)
    log, curve = RunLog(tmp_path / "run.jsonl"), Curve(8, io.StringIO())
    with SimulatedBoard(compiled, "abcd") as board, Line(Simulation(board), compiled) as line, log:
        for picture in drawn:
            line.client.reset()
            line.client.new_class(picture)
            assert line.client.info().classes == 5
            assert (line.client.remember(4), line.client.info().judges) == (1, 0)
        line.client.reset()
        line.at(0)
        labels = np.array([0, 1, 2, 3, 4, 4, 4, 4])
        Run(line, compiled, Samples(drawn[:8], labels, drawn[:8], labels, tuple("abcde")), log, curve).learn()
    run = read_run_file(tmp_path / "run.jsonl")
    assert [event.step for event in run.of("class")] == [4]


TASKS = {  # net, what it learns by, y of the data, keys of the evaluation
    "numbers": (
        dense_net(6, 8, 2),
        "mse",
        lambda rng: rng.normal(0, 1, (60, 2)).astype(np.float32),
        ["mae", "r2"],
    ),
    "labels": (
        dense_net(6, 8, 3, end="LOGISTIC"),
        "bce",
        lambda rng: rng.integers(0, 2, (60, 3)),
        ["auc", "f1"],
    ),
    "normal": (dense_net(6, 8, 6), "reconstruction", None, ["error"]),
}


@pytest.mark.parametrize("task", TASKS)
def test_a_board_learns_other_things_than_classes(task, tmp_path, monkeypatch, capsys):
    net, loss, draw, keys = TASKS[task]
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(0, 1, (60, 6)).astype(np.float32)} | ({"y": draw(rng)} if draw else {})
    np.savez("data.npz", **arrays)
    contract = SignalContract((6,))
    compiled = compile_model(net, UpdatePlan(loss=loss), contract=contract)
    folder = str(compiled.save(tmp_path / "engine"))
    line = ["board", "learn", folder, "--data", "data.npz", "--sim", "--samples", "30", "--unplug", "20"]
    assert main([*line, "--out", "new.tflite"]) == 0
    said = capsys.readouterr().out
    assert "the cable was pulled after 20 samples" in said and "mean of the last 30" in said
    samples = load_samples(compiled, "data.npz", "shuffled", 0, 30, 200, "source")
    host, losses = HostEngine(compiled), []
    before = scores(compiled, outputs(host, compiled, samples.test_x), samples.test_x, samples.test_labels)
    for x, target in zip(compiled.quantize(samples.x), samples.labels, strict=True):
        losses.append(host.train_step(x[None], target))
    after = scores(compiled, outputs(host, compiled, samples.test_x), samples.test_x, samples.test_labels)
    run = read_run_file("run.jsonl")
    np.testing.assert_allclose([step.loss for step in run.steps], losses, atol=1e-6)
    assert list(before) == keys
    for event, found in zip(run.of("evaluated"), (before, after), strict=True):
        assert {key: event.facts[key] for key in keys} == pytest.approx(found, abs=1e-6)
    known = constants((tmp_path / "new.tflite").read_bytes())
    assert_same({name: known[name][0].data for name in host.weights()}, host.weights())
    page = PageReader((tmp_path / "board.html").read_text(encoding="utf-8"))
    assert page.pictures >= 1 and any(keys[0] in text for text in page.texts)


def outputs(host, compiled, x):
    return np.stack([host.infer(q[None]).reshape(-1) for q in compiled.quantize(x)])


def test_a_run_that_does_harm_is_advised(board, compiled, tmp_path):
    """By what the board says of the pictures before it learns that they are something else."""
    drawn = np.random.default_rng(0).integers(0, 256, (40, 14, 14, 1)).astype(np.uint8)
    engine = HostEngine(compiled)
    said = np.array([engine.infer(q[None]).argmax() for q in compiled.quantize(drawn)])
    harm = Samples(drawn, (said + 1) % 10, drawn, said, tuple("0123456789"))
    log = tmp_path / "run.jsonl"
    for labels, harmed in ((harm.labels, True), (said, False)):
        with Line(Simulation(board), compiled) as line, RunLog(log) as written:
            line.client.factory_reset()
            line.at(0)
            out = io.StringIO()
            samples = replace(harm, labels=labels)
            Run(line, compiled, samples, written, Curve(40, out), rate=0.1).learn()
        advised = "try --rate below 0.1, a memory, a guard (docs/living.md)" in out.getvalue()
        assert advised is harmed
