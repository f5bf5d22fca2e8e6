"""A line that damages half of the frames: no sanitizer's word, and the board does what the sound ones ask.

In the suite a few thousand frames; `make fuzz` sends a million.
"""

import random
import subprocess
import zlib
from dataclasses import replace

import numpy as np
import pytest
from nets import residual_net
from serial_board import raw_tensors, replayer, write_payloads
from serial_fuzz import Record, answers, recording
from test_living_board import POOLED, RICH

from tflm_export.apart import apart
from tflm_export.board.commands import OK, Command
from tflm_export.board.frames import frame
from tflm_export.compiler import compile_model
from tflm_export.front.spare import add_spare_classes
from tflm_export.variable import numbered

INPUTS = replace(POOLED.pool, rule="random", axis="in")
ENGINES = {
    "rich": (add_spare_classes(residual_net(), 2), RICH),
    "pooled": (add_spare_classes(residual_net(), 1), POOLED),
    "inputs": (add_spare_classes(residual_net(), 1), replace(POOLED, pool=INPUTS)),
    "apart": (add_spare_classes(residual_net(), 2), RICH),
}
BATCH = 50_000


@pytest.mark.parametrize("name", ENGINES)
def test_fuzz_serial(name, request, tmp_path, monkeypatch):
    compiled = compile_model(*ENGINES[name])
    if name == "apart":  # with its image; no frame may touch that, for none shows its head
        compiled = apart(compiled, 0x90000)
        (tmp_path / "image").write_bytes(compiled.constants.data)
        monkeypatch.setenv("TFODL_CONSTANTS", str(tmp_path / "image"))
    program, count = replayer(compiled, tmp_path), request.config.getoption("--fuzz-frames") // len(ENGINES)
    ended = 0
    for seed, at in enumerate(range(0, count, BATCH)):
        records = recording(seed, min(BATCH, count - at), compiled.input.size)
        if compiled.plan.pool is not None:
            records = with_pushes(records, compiled, random.Random(seed))
        ended += check(program, records)
    assert compiled.plan.pool is None or ended > 0


def with_pushes(records, compiled, rng):
    """Whole writes of weights among them: some as a host sends them, some with hostile frames between."""
    for at in sorted(rng.sample(range(len(records)), 6), reverse=True):
        push = push_of(compiled, rng)
        if rng.random() < 0.5:
            between = records[at : at + len(push)]
            push = [one for pair in zip(push, between, strict=False) for one in pair] + push[len(between) :]
        records = [*records[:at], *push, *records[at:]]
    return records


def push_of(compiled, rng):
    """Begin, pieces in any order, one of them twice, end."""
    graph = compiled.graph
    weights = {v.tensor: noise(v, rng) for v in numbered(graph)}
    raw = raw_tensors(compiled, weights)
    pieces = write_payloads(raw)
    rng.shuffle(pieces)
    frames = [
        (Command.BEGIN_WEIGHTS, b""),
        *((Command.WRITE_WEIGHTS, piece) for piece in (*pieces, pieces[0])),
    ]
    frames.append((Command.END_WEIGHTS, zlib.crc32(b"".join(raw)).to_bytes(4, "little")))
    first = rng.randrange(256)
    wholes = [frame(command, (first + i) % 256, payload) for i, (command, payload) in enumerate(frames)]
    return [Record(0, whole, whole) for whole in wholes]


def noise(variable, rng):
    limit = 2**30 if variable.bias else 127
    return np.random.default_rng(rng.randrange(2**32)).integers(-limit, limit + 1, variable.shape)


def check(program, records):
    """How many writes of weights came to their end."""
    last = frame(Command.INFO, 77)
    records = [*records, Record(5000, b"", b""), Record(0, last, last)]
    found = play(program, records)
    assert found[-1][-1].kind == Command.INFO | 0x80 and found[-1][-1].payload[0] == OK, "it is deaf"
    done = [(i, one) for i, frames in enumerate(found) for one in accepted(frames)]
    assert len(done) > len(records) // 10
    # The same frames alone: the same answers, the CRC of all weights in INFO's among them.
    clean = [Record(0, source(records, i, one), b"") for i, one in done]
    again = [one for frames in play(program, clean) for one in accepted(frames)]
    assert [said(one) for one in again] == [said(one) for _, one in done]
    return sum(one.kind == Command.END_WEIGHTS | 0x80 for _, one in done)


def said(answer):
    """An answer; of an area of flash its size alone, for images have padding in which anything may lie."""
    flash = answer.kind == Command.READ_FLASH | 0x80
    return (answer.kind, answer.sequence, len(answer.payload) if flash else answer.payload)


def source(records, i, answer):
    """The frame of an answer in record `i`: its own, or one before that wanted a byte and got its first."""
    mark = bytes([answer.kind & 0x7F, answer.sequence])
    return next(records[j].whole for j in range(i, i - 4, -1) if records[j].whole[2:4] == mark)


def play(program, records):
    """What the program answers to each record."""
    sent = b"".join(record.packed() for record in records)
    done = subprocess.run([program], input=sent, capture_output=True, timeout=3000)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return answers(done.stdout, records)


def accepted(frames):
    """The answers to what was carried out."""
    return [one for one in frames if one.payload[0] == OK]
