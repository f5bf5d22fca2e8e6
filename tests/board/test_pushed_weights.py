"""Weights pushed into a board that chooses what learns: pulled from one, they are the other's, or none is."""

import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from nets import residual_net
from serial_board import WatchedBoard, raw_tensors, sanitized, write_payloads
from test_living_board import POOLED, assert_same, reconnected

from tflm_export.board.commands import Command
from tflm_export.board.learned import read_selection, read_weights, write_weights
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.write_tflite import patch_constants
from tflm_export.living.choosing import ChoosingSimulator
from tflm_export.variable import numbered

OUTPUTS = replace(POOLED, spare_classes=0, guard=None)
PLANS = {"out": OUTPUTS, "in": replace(OUTPUTS, pool=replace(POOLED.pool, rule="random", axis="in"))}


@pytest.fixture(scope="module", params=PLANS)
def pooled(request, tmp_path_factory):
    """An engine, its sketch, and weights that a board of it learned."""
    compiled = compile_model(residual_net(), PLANS[request.param])
    program = sanitized(compiled, tmp_path_factory.mktemp("pooled"))
    with WatchedBoard(compiled, program=program) as board, board.client(timeout=10) as client:
        teach(client, 25, seed=1)
        client.new_epoch()
        return compiled, program, read_weights(client, compiled)


@pytest.fixture
def client(pooled):
    """A board that learned something else, and ended an epoch."""
    compiled, program, _ = pooled
    with WatchedBoard(compiled, program=program) as board, board.client(timeout=10) as client:
        teach(client, 7, seed=2)
        client.new_epoch()
        client.board = board
        yield client


def samples(count, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (count, 1, 8, 8, 3)).astype(np.int8), rng.integers(0, 4, count)


def teach(client, count, seed, *simulators):
    for x, label in zip(*samples(count, seed), strict=True):
        if client.train(x, int(label)).epoch_over:
            client.new_epoch()
        client.remember(int(label))
        for simulator in simulators:
            simulator.train_step(x, int(label))
            simulator.remember(int(label))


def same(found, expected):
    return all((array == expected[name]).all() for name, array in found.items())


def test_what_one_board_learned_another_learns_on(pooled, client):
    """It predicts and learns as a board whose model has these weights, its first epoch's choice anew."""
    compiled, _, learned = pooled
    write_weights(client, compiled, learned)
    info = client.info()
    assert (info.writing, info.epoch, info.steps, info.remembered) == (False, 0, 0, 0)
    flashed = compile_model(patch_constants(compiled.tflite, learned), compiled.plan)
    simulator = ChoosingSimulator(flashed.graph, flashed.plan)
    assert read_selection(client, compiled) == simulator.history[0]
    assert same(read_weights(client, compiled), learned)
    for x in samples(4, seed=3)[0]:
        assert client.predict(x)[0] == simulator.logits(x).argmax()
    teach(client, 22, 4, simulator)
    assert client.new_epoch() == 3
    simulator.new_epoch()
    assert_same(read_weights(client, compiled), simulator)
    assert read_selection(client, compiled) == simulator.history[-1]


def test_what_was_written_outlives_the_power(pooled, client):
    compiled, _, learned = pooled
    write_weights(client, compiled, learned)
    x = samples(1, seed=3)[0][0]
    said = client.predict(x)[1]
    client.board.cut_power()
    reconnected(client.board, client)
    assert same(read_weights(client, compiled), learned) and (client.predict(x)[1] == said).all()
    write_weights(client, compiled, {})  # nothing named: all as flashed
    assert same(read_weights(client, compiled), {n: compiled.graph.constant(n) for n in learned})


@pytest.mark.parametrize("way", ["power", "restore", "reset"])
def test_half_a_write_is_no_write(pooled, client, way):
    """Until the end it neither predicts nor learns; cut, it has the epoch that it ended last."""
    compiled, _, learned = pooled
    before, selection = read_weights(client, compiled), read_selection(client, compiled)
    frames = write_payloads(raw_tensors(compiled, learned))
    client.ask(Command.BEGIN_WEIGHTS)
    for frame in frames[:3]:
        client.ask(Command.WRITE_WEIGHTS, frame)
    x, labels = samples(1, seed=3)
    refused = {
        "PREDICT": lambda: client.predict(x[0]),
        "TRAIN": lambda: client.train(x[0], 0),
        "EVALUATE": lambda: client.evaluate(x, labels),
        "REMEMBER": lambda: client.remember(0),
        "NEW_EPOCH": client.new_epoch,
        "END_WEIGHTS": lambda: client.ask(Command.END_WEIGHTS, struct.pack("<I", 1)),
    }
    for name, call in refused.items():
        with pytest.raises(ExportError, match=f"refuses {name}: its weights are written half way"):
            call()
    assert client.info().writing
    if way == "power":
        client.board.cut_power()
        reconnected(client.board, client)
    elif way == "restore":
        assert client.restore() is True
    else:
        client.reset()
    assert not client.info().writing and client.info().epoch == (0 if way == "reset" else 1)
    assert same(read_weights(client, compiled), before)
    assert read_selection(client, compiled) == selection
    with pytest.raises(ExportError, match="its weights are written half way"):
        client.ask(Command.WRITE_WEIGHTS, frames[3])
    assert client.new_epoch() == (1 if way == "reset" else 2)


def test_pieces_in_any_order_and_twice(pooled, client):
    compiled, _, learned = pooled
    raw = raw_tensors(compiled, learned)
    end, frames = struct.pack("<I", zlib.crc32(b"".join(raw))), write_payloads(raw)
    client.ask(Command.BEGIN_WEIGHTS)
    for frame in (*frames[::-2], *frames[::2], *frames):
        client.ask(Command.WRITE_WEIGHTS, frame)
    client.ask(Command.END_WEIGHTS, end)
    assert same(read_weights(client, compiled), learned)
    with pytest.raises(ExportError, match="refuses END_WEIGHTS: its weights are written half way"):
        client.ask(Command.END_WEIGHTS, end)


def test_other_values_than_were_written_are_refused(pooled, client):
    """A word of flash is written once: another value wants a new begin, and nothing of its frame is taken."""
    compiled, _, learned = pooled
    raw = raw_tensors(compiled, learned)
    frames = write_payloads(raw)
    client.ask(Command.BEGIN_WEIGHTS)
    for frame in frames:
        client.ask(Command.WRITE_WEIGHTS, frame)
    bad = bytearray(frames[-1])
    bad[-1] ^= 1
    with pytest.raises(ExportError, match="refuses WRITE_WEIGHTS: its weights are written half way"):
        client.ask(Command.WRITE_WEIGHTS, bytes(bad))
    client.ask(Command.END_WEIGHTS, struct.pack("<I", zlib.crc32(b"".join(raw))))
    assert same(read_weights(client, compiled), learned)


def test_a_raw_write_is_checked_on_the_board_too(pooled, client):
    compiled = pooled[0]
    known = numbered(compiled.graph)
    bias, weight = next(i for i, v in enumerate(known) if v.bias), len(known) - 1
    size = known[weight].written_bytes
    before = read_weights(client, compiled)
    client.ask(Command.BEGIN_WEIGHTS)
    for tensor, at, data in (
        (weight, 0, b"\1\1\1\x80"),
        (weight, size - 4, b"\1\1\1\1\1"),
        (weight, size, b"\1"),
        (weight, 2**32 - 4, b"\1\1\1\1"),
        (weight, 2, b"\1\1\1\1"),
        (weight, 0, b"\1\1\1"),
        (bias, 0, struct.pack("<i", 2**30 + 1)),
        (bias, 0, struct.pack("<i", -(2**31))),
        (bias, 2, struct.pack("<i", 0)),
        (len(known), 0, b"\1\1\1\1"),
        (65535, 0, b"\1\1\1\1"),
    ):
        with pytest.raises(ExportError, match="refuses WRITE_WEIGHTS: a value or index is out of range"):
            client.ask(Command.WRITE_WEIGHTS, struct.pack("<HI", tensor, at) + data)
    with pytest.raises(ExportError, match="refuses PARAMETER: a value or index is out of range"):
        client.ask(Command.PARAMETER, struct.pack("<H", len(known)))
    client.restore()
    assert same(read_weights(client, compiled), before)


def test_weights_out_of_range_are_refused_before_anything_is_written(pooled, client):
    compiled, _, learned = pooled
    name = numbered(compiled.graph)[-1].tensor
    bad = learned[name].astype(np.int64)
    bad.flat[0] = -128
    with pytest.raises(ExportError, match="has values outside of -127"):
        write_weights(client, compiled, {name: bad})
    assert not client.info().writing
