"""The sketch behind a pseudo-terminal, under sanitizers, and the client: what each command does."""

import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from nets import residual_net

from tflm_export.board.client import BoardClient
from tflm_export.board.commands import Command
from tflm_export.board.engine_id import engine_id
from tflm_export.board.learned import read_weights, write_weights
from tflm_export.board.ports import find_port
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.write_tflite import patch_constants
from tflm_export.plan import UpdatePlan
from tflm_export.simulate.evaluate import run
from tflm_export.simulate.step import Simulator


def test_info_and_about(client, compiled):
    info = client.info()
    assert info.engine_id == engine_id(compiled)
    assert (info.input_bytes, info.outputs, info.target_bytes, info.parameters, info.classes) == (
        192,
        4,
        4,
        4,
        4,
    )
    assert (info.input_zero, info.output_zero, info.input_scale) == (-1, -128, pytest.approx(1 / 127.5))
    assert (info.steps, info.remembered, info.judges, info.epoch, info.writing) == (0, 0, 0, 0, False)
    about = client.about
    assert about["classes"] == ["ant", "bee", "cat", 'dog?? "é"\\']
    assert about["model_sha256"] == compiled.facts["model_sha256"] and about["shape"] == [8, 8, 3]
    assert about["memory"] is None and about["selection"] is None and about["store_bytes"] == 0


def test_predictions_are_those_of_the_model(client, compiled, pictures):
    graph = read_tflite(compiled.tflite)
    for x in pictures(3)[0]:
        label, outputs = client.predict(x)
        expected = run(graph, {"x": x})["p"].reshape(-1)
        np.testing.assert_array_equal(outputs, expected)
        assert label == expected.argmax()


def test_training_is_that_of_the_simulator(client, compiled, lines, pictures):
    simulator = Simulator(compiled.graph, compiled.plan)
    for step, (x, label) in enumerate(zip(*pictures(6, seed=1), strict=True), start=1):
        predicted = simulator.logits(x).argmax()
        result = client.train(x, label)
        assert (result.steps, result.predicted, result.epoch_over) == (step, predicted, False)
        assert result.loss == pytest.approx(simulator.train_step(x, label), abs=1e-4)
    weights = read_weights(client, compiled)
    for name, array in weights.items():
        np.testing.assert_array_equal(array, simulator.weights[name])
    assert len(lines) >= 5 and all(line.startswith("loss:") and "\tacc:" in line for line in lines)
    # Learned weights are a .tflite again.
    learned = read_tflite(patch_constants(compiled.tflite, weights))
    x = pictures(1, seed=2)[0][0]
    np.testing.assert_array_equal(client.predict(x)[1], run(learned, {"x": x})["p"].reshape(-1))


def test_what_is_written_starts_afresh(client, compiled, pictures):
    """After a write neither momentum nor half a batch are left: then it steps like a new simulator."""
    x, labels = pictures(7, seed=3)
    for i in range(3):
        client.train(x[i], labels[i])
    learned = read_weights(client, compiled)
    write_weights(client, compiled, learned)
    assert client.info().steps == 0
    simulator = Simulator(compiled.graph, compiled.plan)
    simulator.weights.update(learned)
    for i in range(3, 7):
        client.train(x[i], labels[i])
        simulator.train_step(x[i], labels[i])
    for name, array in read_weights(client, compiled).items():
        np.testing.assert_array_equal(array, simulator.weights[name], err_msg=name)


def test_evaluation_on_the_board(client, compiled, pictures):
    x, labels = pictures(20, seed=4)
    counts = client.evaluate(x, labels)
    expected = np.zeros((4, 4), int)
    for sample, label in zip(x, labels, strict=True):
        expected[label, client.predict(sample)[0]] += 1
    np.testing.assert_array_equal(counts, expected)
    assert client.evaluate(x[:0], labels[:0]).sum() == 0


def test_learning_rate(client, compiled, pictures):
    client.set_learning_rate(1e-30)
    flashed = read_weights(client, compiled)
    x, labels = pictures(2)
    for i in range(2):
        client.train(x[i], labels[i])
    assert all((array == flashed[name]).all() for name, array in read_weights(client, compiled).items())
    for rate in (0.0, -1.0, np.nan, np.inf, 1e20):
        with pytest.raises(ExportError, match="out of range"):
            client.ask(Command.LEARNING_RATE, struct.pack("<f", rate))


@pytest.mark.parametrize("label", [-1, 4, 2**31 - 1])
def test_a_label_out_of_range_is_refused(client, label, pictures):
    with pytest.raises(ExportError, match="refuses TRAIN: a value or index is out of range"):
        client.train(pictures(1)[0][0], label)
    with pytest.raises(ExportError, match="refuses EVALUATE: a value or index is out of range"):
        client.evaluate(pictures(1)[0], [label])


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.remember(0),
        lambda client: client.rest(),
        lambda client: client.judge(),
        lambda client: client.new_class(np.zeros((1, 8, 8, 3), np.int8), "eel"),
        lambda client: client.class_name(3),
        lambda client: client.new_epoch(),
        lambda client: client.save(),
        lambda client: client.restore(),
        lambda client: client.factory_reset(),
        lambda client: client.read_flash(8),
    ],
)
def test_what_an_engine_has_no_part_for(client, call):
    with pytest.raises(ExportError, match="the board refuses .*its engine has no part for this"):
        call(client)


def test_weights_out_of_range_are_refused(client, compiled):
    flashed = read_weights(client, compiled)
    for name, value in (("head/w", -128), ("head/b", 2**30 + 1), ("head/b", -(2**30) - 1)):
        bad = flashed[name].astype(np.int64)
        bad.flat[0] = value
        with pytest.raises(ExportError, match=f"tensor '{name}' has values outside of"):
            write_weights(client, compiled, {name: bad})
    assert all((array == flashed[name]).all() for name, array in read_weights(client, compiled).items())


def test_a_board_of_another_engine_is_refused(board, compiled):
    for other in (
        compile_model(residual_net(seed=7), compiled.plan),
        compile_model(residual_net(), UpdatePlan()),
    ):
        with BoardClient.open(board.port, timeout=5, engine=other) as client:
            with pytest.raises(
                ExportError, match="the board runs engine .* not 'engine'.*another model or plan"
            ):
                client.train(np.zeros((1, 8, 8, 3), np.int8), 0)
            with pytest.raises(ExportError, match="the board runs engine"):
                read_weights(client, other)


def test_pauses_change_nothing(client, pictures):
    client.link.pause = 1e-4
    assert client.predict(pictures(1)[0][0])[1].shape == (4,)


def test_a_port_that_is_not_there():
    with pytest.raises(ExportError, match="cannot open serial port '/dev/nothing'"):
        BoardClient.open("/dev/nothing")


@pytest.mark.parametrize(
    "vendors, found",
    [
        ([0x1234, 0x2341, None], "/dev/1"),
        ([0x2341, 0x2E8A], "boards on /dev/0, /dev/1; name one"),
        ([None], "no board is plugged in"),
    ],
)
def test_the_port_with_a_board_is_found(monkeypatch, vendors, found):
    ports = [SimpleNamespace(device=f"/dev/{i}", vid=vid) for i, vid in enumerate(vendors)]
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)
    if found.startswith("/dev"):
        assert find_port() == found
    else:
        with pytest.raises(ExportError, match=found):
            find_port()


def test_without_pyserial(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(ExportError, match=r"pip install 'tfodl\[board\]'"):
        BoardClient.open("/dev/nothing")
