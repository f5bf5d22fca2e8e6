"""Constants written over the line: refused without them, whole after any cut, nothing of another engine's."""

import struct
from contextlib import nullcontext

import numpy as np
import pytest
from digits_net import LAYERS, digits_net
from nets import residual_net
from serial_board import WatchedBoard, sanitized

from tflm_export.apart import apart
from tflm_export.board.commands import Command
from tflm_export.board.constants import constants_place, write_constants
from tflm_export.board.learned import read_weights
from tflm_export.board.link import LinkLost
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.plan import UpdatePlan
from tflm_export.simulate.step import Simulator

PAGE = 4096
ORDINARY = compile_model(digits_net(), UpdatePlan(LAYERS, store_bytes=8 * PAGE))
COMPILED = apart(ORDINARY, 0x90000)
IMAGE = COMPILED.constants.data
FRAMES = 16 + -(-(len(IMAGE) - PAGE) // 256)  # that write it
ERASED = b"\xff" * (2 * PAGE)
NO_CONSTANTS, FOREIGN, OCCUPIED, RANGE = 8, 9, 10, 5
X = np.random.default_rng(2).integers(-128, 128, (30, *COMPILED.input.shape), dtype=np.int8)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return sanitized(COMPILED, tmp_path_factory.mktemp("apart"))


@pytest.fixture
def board(program):
    with WatchedBoard(COMPILED, program=program, constants=ERASED) as board:
        yield board


def lying_there(board):
    return (board._folder / "constants.bin").read_bytes()[: len(IMAGE)]


def learns_as_numpy_does(client, steps=6):
    simulator = Simulator(ORDINARY.graph, ORDINARY.plan)
    for i, x in enumerate(X[:steps]):
        assert client.train(x, i % 10).loss == pytest.approx(simulator.train_step(x, i % 10), abs=1e-3)
    for name, values in read_weights(client, ORDINARY).items():
        np.testing.assert_array_equal(values, simulator.weights[name])


def refused(client, command, payload=b""):
    """The status of a refusal."""
    answer = client.link._attempt(client.link._frame(command, payload)[0])
    assert len(answer) == 1 and answer[0] != 0
    return answer[0]


def test_nothing_runs_without_constants(board):
    picture = X[0].tobytes()
    payloads = {
        Command.PREDICT: picture,
        Command.TRAIN: bytes(4) + picture,
        Command.EVALUATE: bytes(4) + picture,
        Command.READ_WEIGHTS: struct.pack("<HIH", 0, 0, 1),
        Command.LEARNING_RATE: struct.pack("<f", 0.01),
        Command.READ_FLASH: struct.pack("<IH", 0, 1),
        **dict.fromkeys((Command.RESET, Command.BEGIN_WEIGHTS, Command.SAVE, Command.RESTORE), b""),
        Command.FACTORY_RESET: b"",
    }
    with board.client() as client:
        before = client.info()
        assert client.about["engine"] == "engine" and constants_place(client).status == "missing"
        for command, payload in payloads.items():
            assert refused(client, command, payload) == NO_CONSTANTS, command
        with pytest.raises(ExportError, match="refuses PREDICT: the constants .* tfodl board constants"):
            client.predict(X[0])
        assert client.info() == before


def test_written_it_learns_as_the_ordinary_engine(board):
    pages = []
    with board.client() as client:
        assert write_constants(client, ORDINARY, on_page=lambda *of: pages.append(of)) == 2
        assert pages == [(1, 2), (2, 2)] and lying_there(board) == IMAGE
        assert constants_place(client).status == "ok"
        learns_as_numpy_does(client)
        assert write_constants(client, COMPILED) == 0
        client.save()
    board.cut_power()
    with board.client() as client:
        assert constants_place(client).status == "ok" and client.restore()
        assert client.info().weights_crc != 0


@pytest.mark.parametrize("frames", [0, 1, 9, 15, 16, FRAMES - 1, FRAMES])
@pytest.mark.parametrize("power", [False, True])
def test_a_cut_anywhere_is_gone_on_with(program, frames, power):
    """Half way it refuses; afterwards only what is not right yet is written."""
    whole = frames == FRAMES
    with WatchedBoard(COMPILED, program=program, constants=ERASED) as board:
        with board.client(timeout=1, retries=0) as client:
            client.info()
            ask, left = client.link.ask, frames

            def cut(command, payload=b""):
                nonlocal left
                if command == Command.WRITE_CONSTANTS:
                    if left == 0:
                        board.unplug()
                    left -= 1
                return ask(command, payload)

            client.link.ask = cut
            with nullcontext() if whole else pytest.raises(LinkLost):
                write_constants(client, COMPILED)
        if power:
            board.cut_power()
        elif not whole:
            board.plug()
        with board.client() as client:
            if not whole:
                assert constants_place(client).status == ("missing" if frames == 0 else "damaged")
                assert refused(client, Command.PREDICT, X[0].tobytes()) == NO_CONSTANTS
            assert write_constants(client, COMPILED) == (0 if whole else 1 if frames >= 16 else 2)
            assert lying_there(board) == IMAGE
            learns_as_numpy_does(client, 2)


def test_a_simulated_board_has_its_own_image(program):
    with WatchedBoard(COMPILED, program=program) as board, board.client() as client:
        assert constants_place(client).status == "ok"
        learns_as_numpy_does(client, 2)


def test_a_flipped_bit_costs_one_page(program):
    bad = bytearray(IMAGE)
    bad[PAGE + 3] ^= 4
    with WatchedBoard(COMPILED, program=program, constants=bytes(bad)) as board, board.client() as client:
        assert constants_place(client).status == "damaged"
        assert refused(client, Command.PREDICT, X[0].tobytes()) == NO_CONSTANTS
        assert write_constants(client, COMPILED) == 1
        learns_as_numpy_does(client, 2)


def test_an_image_of_another_engine_is_called_so_and_written_over(program):
    other = apart(compile_model(residual_net(), UpdatePlan()), 0x90000).constants.data
    with WatchedBoard(COMPILED, program=program, constants=other) as board, board.client() as client:
        assert constants_place(client).status == "foreign"
        assert refused(client, Command.TRAIN, bytes(4) + X[0].tobytes()) == NO_CONSTANTS
        assert write_constants(client, COMPILED) == 2
        learns_as_numpy_does(client, 2)


def test_what_is_no_image_is_not_written_over_unasked(program):
    """A core that is larger than ours, say."""
    there = bytes(range(1, 251)) * 30
    with WatchedBoard(COMPILED, program=program, constants=there) as board, board.client() as client:
        with pytest.raises(ExportError, match="something else lies where its constants belong"):
            write_constants(client, COMPILED)
        assert lying_there(board) == there[: len(IMAGE)]
        assert write_constants(client, COMPILED, over=True) == 2
        learns_as_numpy_does(client, 2)


def test_frames_outside_of_the_image_change_nothing(board):
    head, word = COMPILED.constants.head, bytes(4)
    last = len(IMAGE) - PAGE
    with board.client() as client:
        write = Command.WRITE_CONSTANTS
        assert refused(client, write, struct.pack("<HH", 0, 0) + word) == FOREIGN  # nobody began
        other = apart(compile_model(residual_net(), UpdatePlan()), 0x90000).constants.head
        assert refused(client, Command.BEGIN_CONSTANTS, other + b"\0") == FOREIGN
        assert refused(client, write, struct.pack("<HH", 0, 0) + word) == FOREIGN
        assert client.ask(Command.BEGIN_CONSTANTS, head + b"\0") == b""
        for page, at, n in ((2, 0, 4), (65535, 0, 4), (0, PAGE, 4), (0, PAGE - 4, 8), (0, 2, 4), (0, 0, 5),
                            (1, last, 4), (1, last - 4, 8), (0, 65532, 4)):  # fmt: skip
            assert refused(client, write, struct.pack("<HH", page, at) + bytes(n)) == RANGE, (page, at, n)
        for page in (2, 65535):
            assert refused(client, Command.CONSTANTS_PAGE, struct.pack("<H", page)) == RANGE
        assert refused(client, Command.END_CONSTANTS) == NO_CONSTANTS
        assert refused(client, write, struct.pack("<HH", 0, 0) + word) == FOREIGN  # it ended
    assert lying_there(board) == ERASED[: len(IMAGE)]


def test_constants_of_another_net_are_refused_by_the_host(board):
    with board.client() as client:
        client._engine = None
        other = apart(compile_model(residual_net(), UpdatePlan()), 0x90000)
        with pytest.raises(ExportError, match="runs engine"):
            write_constants(client, other)


def test_a_board_with_its_constants_in_the_sketch_has_no_such_command(tmp_path):
    with (
        WatchedBoard(ORDINARY, program=sanitized(ORDINARY, tmp_path)) as board,
        board.client() as client,
        pytest.raises(ExportError, match="refuses CONSTANTS: its constants are part of its sketch"),
    ):
        write_constants(client, ORDINARY)
