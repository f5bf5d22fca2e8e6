"""Engines that call the sketch between their layers: same bits, and the board says that it is at work."""

import subprocess

import numpy as np
from nets import residual_net
from serial_board import replayer
from serial_fuzz import Record

from tflm_export import engine_folder
from tflm_export.board.commands import WORKING, Command
from tflm_export.board.frames import FrameReader, frame
from tflm_export.compiler import compile_model
from tflm_export.machines.host import HostEngine
from tflm_export.plan import LayerUpdate, UpdatePlan

PLAN = UpdatePlan((LayerUpdate("#3", "out", (0, 2), "all"),))
MS = 50  # that the recording's clock goes on in a pause


def test_a_step_says_that_it_is_at_work(tmp_path):
    """Behind every kernel: 50 ms pass in each, so a sign comes with every fourth."""
    compiled = compile_model(residual_net(), PLAN, pauses=True)
    x = np.random.default_rng(0).integers(-128, 128, compiled.input.shape).astype(np.int8)
    data = frame(Command.TRAIN, 1, np.int32(2).tobytes() + x.tobytes())
    program = replayer(compiled, tmp_path)
    done = subprocess.run([program], input=Record(0, data, data).packed(), capture_output=True, check=True)
    reader, statuses = FrameReader(), []
    reader.feed(done.stdout[4:])
    while (answer := reader.next()) is not None:
        statuses.append(answer.payload[0])
        last = answer
    calls = compiled.sources["src/engine.cpp"].partition("float train_step")[2].count("take_pause();")
    calls += (
        compiled.sources["src/engine.cpp"]
        .partition("void frozen_layers")[2]
        .split("}")[0]
        .count("take_pause")
    )
    assert calls > 8 and statuses == [WORKING] * (1 + calls * MS // 200) + [0]
    plain = HostEngine(compile_model(residual_net(), PLAN))
    assert np.frombuffer(last.payload, np.float32, 1, 1)[0] == np.float32(plain.train_step(x, 2))


def test_who_does_not_ask_gets_the_same_text(tmp_path):
    with_pauses, without = (compile_model(residual_net(), PLAN, pauses=p) for p in (True, False))
    text = without.sources["src/engine.cpp"]
    assert "pause" not in text and "pause" not in without.sources["src/engine.h"]
    lines = with_pauses.sources["src/engine.cpp"].splitlines()
    stripped = [line for line in lines if line.strip() != "take_pause();"]
    assert len(lines) - len(stripped) > 8
    assert set(text.splitlines()) <= set(stripped)
    assert engine_folder.load(with_pauses.save(tmp_path / "engine")).facts["pauses"]
