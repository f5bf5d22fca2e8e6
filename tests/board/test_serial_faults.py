"""What goes wrong on a line: damage, cuts, lost answers, pulled cables, hosts that do not read."""

import os
import struct
import time
import zlib

import numpy as np
import pytest

from tflm_export.board.client import BoardClient
from tflm_export.board.commands import VERSION, Command
from tflm_export.board.frames import MAGIC, frame
from tflm_export.board.learned import read_weights, write_weights
from tflm_export.board.link import LinkLost
from tflm_export.board.ports import open_port
from tflm_export.errors import ExportError
from tflm_export.simulate.step import Simulator


def forged():
    """A head that announces 0xFFFFFFFF bytes under a right check."""
    raw = frame(Command.PREDICT, 9)[:4] + b"\xff\xff\xff\xff"
    return raw + struct.pack("<H", zlib.crc32(raw) & 0xFFFF)


BAD_FRAMES = {
    "unknown command": (frame(99, 1), 1),
    "no part": (frame(Command.SAVE, 1), 6),
    "too short": (frame(Command.PREDICT, 1, b"123"), 2),
    "too long": (frame(Command.INFO, 1, b"123"), 2),
    "no weights": (frame(Command.WRITE_WEIGHTS, 1, struct.pack("<HI", 0, 0)), 2),
    "too many weights": (frame(Command.WRITE_WEIGHTS, 1, bytes(300)), 2),
    "parameter": (frame(Command.READ_WEIGHTS, 1, struct.pack("<HIH", 4, 0, 1)), 5),
    "past the end": (frame(Command.READ_WEIGHTS, 1, struct.pack("<HIH", 0, 40, 9)), 5),
    "offset overflow": (frame(Command.READ_WEIGHTS, 1, struct.pack("<HIH", 0, 2**32 - 1, 2)), 5),
    "description past the end": (frame(Command.ABOUT, 1, struct.pack("<IH", 400, 9999)), 5),
    "write before begin": (frame(Command.WRITE_WEIGHTS, 1, struct.pack("<HI", 0, 0) + bytes(5)), 7),
    "damaged payload": (frame(Command.LEARNING_RATE, 1, b"\0\0\0\1")[:-5] + b"\0\0\0\0\0", 3),
    "half a frame": (frame(Command.PREDICT, 1, bytes(192))[:50], 4),
    "endless": (forged(), 2),
}


@pytest.mark.parametrize("raw, status", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_bad_frames_are_answered_and_change_nothing(client, raw, status):
    before = client.info()
    client.link.stream.write(raw)
    assert answer_to(client, raw[2])[0] == status
    assert client.info() == before


def answer_to(client, command, seconds=3):
    """The payload of the next answer to `command`."""
    reader, end = client.link._reader, time.monotonic() + seconds
    while time.monotonic() < end:
        found = reader.next()
        if found is not None and found.kind == command | 0x80:
            return found.payload
        client.link._more()
    raise AssertionError("no answer")


def test_a_forged_length_does_not_deafen_the_board(client):
    client.link.stream.write(forged() + bytes(3000))
    assert client.info().steps == 0


def test_noise_between_frames_is_skipped(client):
    info = client.info()
    for noise in (b"\xa5", MAGIC, b"loss:1\n", MAGIC + b"\1", bytes(range(256)) * 20, frame(1, 2)[:9]):
        client.link.stream.write(noise)
        assert client.info() == info


class Wrapped:
    """A stream with something wrong with it."""

    def __init__(self, stream):
        self.stream, self.close = stream, stream.close

    def read(self, size):
        return self.stream.read(size)

    def write(self, data):
        return self.stream.write(data)


class Noisy(Wrapped):
    """Flips a bit of the first copies of a training frame's payload."""

    damaged = 0

    def write(self, data):
        data = bytearray(data)
        if data[:3] == MAGIC + bytes([Command.TRAIN]) and self.damaged < 2:
            data[100] ^= 4
            self.damaged += 1
        return self.stream.write(bytes(data))


def test_damaged_frames_are_sent_again(client, pictures):
    x, labels = pictures(1)
    client.info()
    client.link.stream = Noisy(client.link.stream)
    assert client.train(x[0], labels[0]).steps == 1
    assert client.link.stream.damaged == 2


class Cutting(Wrapped):
    """Loses all that comes behind the first bytes of the next answer's final frame, once."""

    def __init__(self, stream, kept):
        super().__init__(stream)
        self.left, self.end = kept, None

    def read(self, size):
        data = self.stream.read(size)
        self.end = self.end or (data and time.monotonic() + 0.3)
        if not data or time.monotonic() > self.end:
            return data
        kept, self.left = data[: self.left], max(0, self.left - len(data))
        return kept


@pytest.mark.parametrize("kept", [0, 7, 15 + 12])
def test_a_lost_answer_is_asked_for_again_and_learns_once(client, compiled, pictures, kept):
    simulator = Simulator(compiled.graph, compiled.plan)
    x, labels = pictures(2)
    client.info()
    stream, start = client.link.stream, time.monotonic()
    client.link.stream, client.link.timeout = Cutting(stream, kept), 2
    assert client.train(x[0], labels[0]).steps == 1
    assert time.monotonic() - start < 4, "one lost answer costs one retry"
    client.link.stream = stream
    assert client.train(x[0], labels[0]).steps == 2  # the same picture once more is another step
    for _ in range(2):
        simulator.train_step(x[0], int(labels[0]))
    for name, weights in read_weights(client, compiled).items():
        np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=name)


def test_a_sequence_number_comes_round_without_harm(client, pictures):
    """The same training frame, 256 other commands later, is another step."""
    x, labels = pictures(1)
    for step in (1, 2, 3):
        assert client.train(x[0], labels[0]).steps == step
        for _ in range(255):
            client.set_learning_rate(0.01)


def test_a_new_client_is_no_echo_of_the_last(board, client, pictures):
    x, labels = pictures(1)
    client.train(x[0], labels[0])
    for steps in (2, 3, 4):
        with board.client(timeout=5) as other:
            other.link._sequence = client.info().last_sequence - 1
            assert other.train(x[0], labels[0]).steps == steps


def test_a_pulled_cable_is_said_and_mended(board, client, compiled, pictures):
    """The step whose answer the cable took is counted once."""
    x, labels = pictures(3)
    client.train(x[0], labels[0])
    unplugging = Unplugging(client.link.stream, board)
    client.link.stream = unplugging
    with pytest.raises(LinkLost, match="connection to the board is lost.*plug it in again"):
        client.train(x[1], labels[1])
    with pytest.raises(LinkLost):
        client.info()
    board.plug()
    client.reconnect(open_port(board.port))
    assert client.info().steps == 2
    assert client.train(x[1], labels[1]).steps == 2
    assert client.train(x[2], labels[2]).steps == 3
    simulator = Simulator(compiled.graph, compiled.plan)
    for i in range(3):
        simulator.train_step(x[i], int(labels[i]))
    for name, weights in read_weights(client, compiled).items():
        np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=name)


def test_cable_and_power_go_again_and_again(board, client):
    """Forty times: the simulated board's threads never read another's file."""
    for i in range(40):
        board.unplug() if i % 2 else board.cut_power()
        if i % 2:
            board.plug()
        client.link.timeout = 3
        client.reconnect(open_port(board.port))
        assert client.info().steps == 0


class Unplugging(Wrapped):
    """Sends a frame, gives the board time to carry it out, loses the answer, and pulls the cable."""

    def __init__(self, stream, board):
        super().__init__(stream)
        self.board = board

    def write(self, data):
        self.stream.write(data)
        time.sleep(0.5)
        self.stream.read(1000)
        self.board.unplug()


def test_half_a_write_is_seen(board, compiled, client, pictures):
    """Weights written half way: the board neither predicts nor learns until they are whole."""
    x, labels = pictures(2)
    for i in range(2):
        client.train(x[i], labels[i])
    learned = read_weights(client, compiled)
    client.link.stream = FailingAfter(client.link.stream, 3)
    with pytest.raises(LinkLost):
        write_weights(client, compiled, learned)
    client.reconnect(open_port(board.port))
    assert client.info().writing
    for call in (
        lambda: client.predict(x[0]),
        lambda: client.train(x[0], 0),
        lambda: client.evaluate(x, labels),
    ):
        with pytest.raises(ExportError, match="its weights are written half way"):
            call()
    with pytest.raises(ExportError, match="refuses END_WEIGHTS: its weights are written half way"):
        client.ask(Command.END_WEIGHTS, struct.pack("<I", 1))
    write_weights(client, compiled, learned)
    assert not client.info().writing
    assert all((array == learned[name]).all() for name, array in read_weights(client, compiled).items())


class FailingAfter(Wrapped):
    """Takes a number of weights frames, and breaks."""

    def __init__(self, stream, count):
        super().__init__(stream)
        self.count = count

    def write(self, data):
        self.count -= data[2] in (Command.WRITE_WEIGHTS, Command.BEGIN_WEIGHTS)
        if self.count <= 0:
            raise OSError(5, "Input/output error")
        return self.stream.write(data)


def test_a_raw_write_is_checked_on_the_board_too(client):
    """Not every host is ours: -128 and biases beyond 2^30 are refused there, and a bias cut in two."""
    client.ask(Command.BEGIN_WEIGHTS)
    for index, at, data in (
        (0, 0, b"\x80"),
        (1, 0, struct.pack("<i", 2**30 + 1)),
        (1, 0, struct.pack("<i", -(2**31))),
        (1, 2, struct.pack("<i", 0)),
        (1, 0, b"\0\0"),
        (0, 44, bytes(5)),
    ):
        with pytest.raises(ExportError, match="out of range"):
            client.ask(Command.WRITE_WEIGHTS, struct.pack("<HI", index, at) + data)
    client.reset()


def test_a_host_that_does_not_read_does_not_stop_the_board(board, client, pictures):
    """More answers than any buffer holds, and nobody takes them: the board drops them and goes on."""
    x = pictures(1)[0][0]
    one = frame(Command.PREDICT, 3, x.tobytes())
    fd = os.open(board.port, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        sent, end = 0, time.monotonic() + 3
        while sent < 3000 * len(one) and time.monotonic() < end:
            try:
                sent += os.write(fd, (one * 20)[sent % len(one) :][:4000])
            except BlockingIOError:
                time.sleep(0.01)
    finally:
        os.close(fd)
    client.link.timeout = 10
    assert client.info().steps == 0


def test_silence_and_another_version_are_errors():
    class Silent:
        def read(self, size):
            return b""

        def write(self, data):
            pass

    class Old(Silent):
        def write(self, data):
            self.sequence = data[3]

        def read(self, size):
            return frame(Command.INFO | 0x80, self.sequence, b"\0\1" + bytes(44))

    with pytest.raises(ExportError, match="does not answer INFO within 0 s"):
        BoardClient(Silent(), timeout=0).info()
    with pytest.raises(
        ExportError, match=f"protocol version 1, this program {VERSION}; make the sketch anew"
    ):
        BoardClient(Old()).train(np.zeros(1, np.int8), 0)
