"""The sketch's serial protocol, built for the host with sanitizers, against the Python client and noise."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tty

import numpy as np
import pytest
from nets import residual_net
from serial_board import Pipe, serial_host

from tflm_export.board.client import MAGIC, BoardClient, Command, frame
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.write_tflite import patch_constants
from tflm_export.plan import LayerUpdate, UpdatePlan
from tflm_export.simulate.evaluate import run
from tflm_export.simulate.step import Simulator

PLAN = UpdatePlan(layers=(LayerUpdate("#3", "out", (0, 2), "all"),), head=True)


@pytest.fixture(scope="module")
def compiled():
    return compile_model(residual_net(), PLAN)


@pytest.fixture(scope="module")
def program(compiled, tmp_path_factory):
    return serial_host(compiled, tmp_path_factory.mktemp("serial"))


@pytest.fixture
def lines():
    return []


@pytest.fixture
def client(program, lines):
    with BoardClient(Pipe(program), timeout=5, on_text=lines.append) as client:
        yield client


def pictures(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (count, 1, 8, 8, 3)).astype(np.int8), rng.integers(0, 4, count)


def test_info(client, compiled):
    info = client.info()
    assert info.model_id.hex() == compiled.facts["model_sha256"][:16]
    assert (info.input_bytes, info.outputs, info.target_bytes, info.parameters) == (192, 4, 4, 4)
    assert (info.input_zero, info.output_zero) == (-1, -128)
    assert info.input_scale == pytest.approx(1 / 127.5)
    assert client.parameter(1) == ("head/b", 16)


def test_predictions_are_those_of_the_model(client, compiled):
    graph = read_tflite(compiled.tflite)
    for x in pictures(3)[0]:
        label, outputs = client.predict(x)
        expected = run(graph, {"x": x})["p"].reshape(-1)
        np.testing.assert_array_equal(outputs, expected)
        assert label == expected.argmax()


def test_training_is_that_of_the_simulator(client, compiled, lines):
    simulator = Simulator(compiled.graph, compiled.plan)
    for step, (x, label) in enumerate(zip(*pictures(6, seed=1), strict=True), start=1):
        result = client.train(x, label)
        assert result.steps == step
        assert result.loss == pytest.approx(simulator.train_step(x, label), abs=1e-4)
    weights = client.read_weights(compiled)
    for name, array in weights.items():
        np.testing.assert_array_equal(array, simulator.weights[name])
    assert all(line.startswith("loss:") and "\tacc:" in line for line in lines)
    assert len(lines) >= 5
    # Learned weights are a .tflite again.
    learned = read_tflite(patch_constants(compiled.tflite, weights))
    x = pictures(1, seed=2)[0][0]
    np.testing.assert_array_equal(client.predict(x)[1], run(learned, {"x": x})["p"].reshape(-1))


def test_weights_go_back_and_reset(client, compiled):
    flashed = client.read_weights(compiled)
    x, labels = pictures(4, seed=3)
    for i in range(4):
        client.train(x[i], labels[i])
    learned = client.read_weights(compiled)
    assert any((learned[name] != flashed[name]).any() for name in flashed)
    client.reset()
    assert client.info().steps == 0
    assert all((client.read_weights(compiled)[name] == flashed[name]).all() for name in flashed)
    client.write_weights(compiled, learned)
    again = client.read_weights(compiled)
    assert all((again[name] == learned[name]).all() for name in flashed)


def test_learning_rate(client, compiled):
    client.set_learning_rate(1e-30)
    flashed = client.read_weights(compiled)
    x, labels = pictures(1)
    client.train(x[0], labels[0])
    assert all((client.read_weights(compiled)[n] == flashed[n]).all() for n in flashed)
    for rate in (0.0, -1.0, np.nan, np.inf, 1e20):
        with pytest.raises(ExportError, match="out of range"):
            client.set_learning_rate(rate)


@pytest.mark.parametrize("label", [-1, 4, 2**31 - 1])
def test_a_label_out_of_range_is_refused(client, label):
    with pytest.raises(ExportError, match="refuses TRAIN: a value or index is out of range"):
        client.train(pictures(1)[0][0], label)


def test_a_board_of_another_model_is_refused(client, compiled):
    other = compile_model(residual_net(seed=7), PLAN)
    with pytest.raises(ExportError, match="the board runs model"):
        client.read_weights(other)


BAD_FRAMES = {
    "unknown command": (frame(99, 1), "does not know"),
    "too short": (frame(Command.PREDICT, 1, b"123"), "wrong length"),
    "too long": (frame(Command.INFO, 1, b"123"), "wrong length"),
    "no weights": (frame(Command.WRITE_WEIGHTS, 1, struct.pack("<HI", 0, 0)), "wrong length"),
    "too many weights": (frame(Command.WRITE_WEIGHTS, 1, bytes(300)), "wrong length"),
    "parameter": (frame(Command.READ_WEIGHTS, 1, struct.pack("<HIH", 4, 0, 1)), "out of range"),
    "past the end": (frame(Command.READ_WEIGHTS, 1, struct.pack("<HIH", 0, 40, 9)), "out of range"),
    "offset overflow": (frame(Command.READ_WEIGHTS, 1, struct.pack("<HIH", 0, 2**32 - 1, 2)), "out of range"),
    "write past the end": (
        frame(Command.WRITE_WEIGHTS, 1, struct.pack("<HI", 0, 44) + bytes(5)),
        "out of range",
    ),
    "damaged payload": (frame(Command.LEARNING_RATE, 1, b"\0\0\0\1")[:-5] + b"\0\0\0\0\0", "damaged"),
    "half a frame": (frame(Command.PREDICT, 1, bytes(192))[:50], "stopped half way"),
    "endless": (frame(Command.PREDICT, 1, b"")[:4] + b"\xff\xff\xff\xff", "does not answer"),
}


@pytest.mark.parametrize("raw, message", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_bad_frames_are_answered_and_change_nothing(client, compiled, raw, message):
    flashed = client.read_weights(compiled)
    client._stream.write(raw)
    client._sequence, client._timeout, client._retries = 0, 2, 0
    with pytest.raises(ExportError, match=message):
        reply(client, raw)
    client._timeout = 5
    assert all((client.read_weights(compiled)[n] == flashed[n]).all() for n in flashed)


def reply(client, raw):
    """Read the answer to a frame that was written by hand, as the client would."""
    command = Command(raw[2]) if raw[2] in list(Command) else Command.INFO
    stream = client._stream
    try:
        client._stream = type("Deaf", (), {"read": stream.read, "write": lambda self, data: None})()
        if raw[2] != command:
            kind, _, answer = client._receive(float("inf"))
            assert kind == raw[2] | 0x80
            raise ExportError("does not know" if answer[0] == 1 else str(answer))
        client._ask(command)
    finally:
        client._stream = stream


def test_noise_between_frames_is_skipped(client):
    info = client.info()
    for noise in (b"\xa5", MAGIC, b"loss:1\n", MAGIC + b"\1", bytes(range(256)), frame(1, 2)[:9]):
        client._stream.write(noise)
        client._pending = b""
        client._timeout = 10
        assert client.info() == info


class Noisy:
    """A stream that flips a bit of every first copy of a training frame's payload."""

    def __init__(self, stream):
        self.stream, self.read, self.damaged = stream, stream.read, 0

    def write(self, data):
        data = bytearray(data)
        if data[:3] == MAGIC + bytes([Command.TRAIN]) and self.damaged < 2:
            data[100] ^= 4
            self.damaged += 1
        self.stream.write(bytes(data))


def test_damaged_frames_are_sent_again(client, compiled):
    x, labels = pictures(1)
    client._stream = Noisy(client._stream)
    assert client.train(x[0], labels[0]).steps == 1
    assert client._stream.damaged == 2
    client._stream = client._stream.stream


class Cutting:
    """A stream that loses the end of the first answer to a training frame."""

    def __init__(self, stream):
        self.stream, self.write, self.left = stream, stream.write, 7

    def read(self, size):
        data = self.stream.read(size)
        if self.left <= 0:
            return data
        kept, self.left = data[: self.left], self.left - len(data)
        return kept


def test_a_lost_answer_is_asked_for_again_and_learns_once(client, compiled):
    client.reset()
    simulator = Simulator(compiled.graph, compiled.plan)
    x, labels = pictures(2)
    stream = client._stream
    client._stream, client._timeout = Cutting(stream), 3
    assert client.train(x[0], labels[0]).steps == 1
    client._stream, client._timeout = stream, 5
    assert client.train(x[0], labels[0]).steps == 2  # the same picture once more is another step
    for _ in range(2):
        simulator.train_step(x[0], int(labels[0]))
    for name, weights in client.read_weights(compiled).items():
        np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=name)


def test_a_pulled_cable_is_said_in_words():
    class Pulled:
        def write(self, data):
            raise OSError(5, "Input/output error")

        def read(self, size):
            raise OSError(5, "Input/output error")

    with pytest.raises(ExportError, match="connection to the board is lost.*plug it in again"):
        BoardClient(Pulled()).info()


def test_pauses_change_nothing(client):
    info = client.info()
    client._pause = 1e-4
    assert client.predict(pictures(1)[0][0])[1].shape == (info.outputs,)


def test_a_serial_port(program, compiled):
    """The client on a real tty: pyserial at one end of a pseudo terminal, the program at the other."""
    master, slave = os.openpty()
    tty.setraw(master)
    process = subprocess.Popen([program], stdin=master, stdout=master)
    try:
        with BoardClient.open(os.ttyname(slave), timeout=5) as board:
            assert board.info().model_id.hex() == compiled.facts["model_sha256"][:16]
            x, labels = pictures(1)
            assert board.train(x[0], labels[0]).steps == 1
            assert set(board.read_weights(compiled)) == {"head/w", "head/b", "pw/w", "pw/b"}
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def test_a_port_that_is_not_there():
    with pytest.raises(ExportError, match="cannot open serial port '/dev/nothing'"):
        BoardClient.open("/dev/nothing")


def test_without_pyserial(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(ExportError, match=r"pip install 'tfodl\[board\]'"):
        BoardClient.open("/dev/nothing")


def test_silence_is_an_error():
    class Silent:
        def read(self, size):
            return b""

        def write(self, data):
            pass

    with pytest.raises(ExportError, match="does not answer INFO within 0 s"):
        BoardClient(Silent(), timeout=0).info()


def test_fuzz_serial(program, request):
    """Random and damaged frames, with pauses: no sanitizer report, and a sound frame is answered."""
    rng = np.random.default_rng(0)
    records = b"".join(record(rng) for _ in range(request.config.getoption("--fuzz-files") * 4))
    last = frame(Command.INFO, 77)
    records += struct.pack("<HH", 5000, 0) + struct.pack("<HH", 5000, len(last)) + last
    done = subprocess.run([program, "replay"], input=records, capture_output=True, timeout=500)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert MAGIC + bytes([Command.INFO | 0x80, 77]) in done.stdout[-64:]


def record(rng):
    """A pause and a frame: sound, damaged, cut, or noise."""
    command = int(rng.choice([1, 2, 3, 4, 4, 5, 5, 7, 8, 200]))
    exact = {2: 192, 3: 196, 4: 8, 7: 4, 8: 2, 5: int(rng.integers(6, 264))}.get(command, 0)
    size = exact if rng.random() < 0.8 else int(rng.integers(0, 300))
    payload = bytearray(rng.bytes(size))
    if command in (4, 5, 8) and size >= 2:
        struct.pack_into("<H", payload, 0, int(rng.integers(0, 6)))
    if command in (4, 5) and size >= 6:
        struct.pack_into("<I", payload, 2, int(rng.choice([0, 1, 40, 47, 48, 49, 2**31, 2**32 - 1])))
    if command == 3 and size >= 4:
        struct.pack_into("<i", payload, 0, int(rng.integers(-1, 6)))
    raw = bytearray(frame(command, int(rng.integers(0, 256)), bytes(payload)))
    if rng.random() < 0.3:
        raw[int(rng.integers(0, len(raw)))] ^= 1 << int(rng.integers(0, 8))
    if rng.random() < 0.1:
        del raw[int(rng.integers(0, len(raw))) :]
    if rng.random() < 0.05:
        raw = bytearray(rng.bytes(int(rng.integers(0, 40))))
    return struct.pack("<HH", int(rng.choice([0, 1, 999, 1001])), len(raw)) + bytes(raw)
