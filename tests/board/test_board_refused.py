"""Runs that cannot be: refused in one line, before anything is sent or overwritten."""

import time
from functools import partial

import numpy as np
import pytest
from digits_net import digits_net
from nets import residual_net
from PIL import Image
from task_nets import dense_net

from tflm_export.board.client import BoardClient
from tflm_export.board.simulated import SimulatedBoard
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.input_contract import InputContract
from tflm_export.plan import UpdatePlan
from tflm_export.signal_contract import SignalContract
from tfodl.board.line import Line
from tfodl.board.samples import load_samples
from tfodl.cli import main


@pytest.fixture(scope="module")
def compiled():
    return compile_model(digits_net(), UpdatePlan(), contract=InputContract.parse("0..255", (14, 14, 1)))


@pytest.fixture(scope="module")
def folder(compiled, tmp_path_factory):
    return str(compiled.save(tmp_path_factory.mktemp("board") / "engine"))


def test_data_of_another_task_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", x=np.zeros((9, 6), np.float32))
    compiled = compile_model(dense_net(6, 8, 2), UpdatePlan(loss="mse"), contract=SignalContract((6,)))
    folder = str(compiled.save(tmp_path / "engine"))
    assert main(["board", "learn", folder, "--data", "data.npz", "--sim"]) == 2
    assert "the engine learns by mse, and 'data.npz' holds normal" in capsys.readouterr().err
    assert main(["board", "learn", folder, "--data", "digits", "--sim"]) == 2
    assert "holds classes" in capsys.readouterr().err


REFUSED = {
    "no board": ([], "no board is plugged in"),
    "no such port": (["--port", "/dev/nothing"], "cannot open serial port"),
    "not simulated": (["--unplug", "3"], "--unplug pulls a simulated cable"),
    "no rate": (["--rate", "nan"], "--rate: learning_rate must be a number from 1e-30"),
    "no log": (["--log", "."], "cannot write '.': Is a directory"),
    "no page": (["--html", "/dev/null/x"], "cannot write '/dev/null/x'"),
    "no such order": (["--sim", "--order", "sideways"], "order must be one of"),
}


for _flag, _least in (("samples", 1), ("tests", 1), ("save-every", 0), ("evaluate-every", 0), ("unplug", 1)):
    REFUSED[_flag] = (["--sim", f"--{_flag}", "-3"], f"--{_flag} must be at least {_least}, got -3")


@pytest.mark.parametrize("flags, said", REFUSED.values(), ids=REFUSED)
def test_refusals_are_one_line(folder, flags, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    assert main(["board", "learn", folder, "--data", "digits", *flags]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_run_that_never_starts_leaves_the_last_ones_log(folder, tmp_path, monkeypatch, capsys):
    """No board, then one with another engine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("serial.tools.list_ports.comports", list)
    kept = [tmp_path / "run.jsonl", tmp_path / "board.html"]
    for path in kept:
        path.write_text("kept")
    assert main(["board", "learn", folder, "--data", "digits"]) == 2
    other = compile_model(residual_net(), UpdatePlan())
    with SimulatedBoard(other) as board:
        assert main(["board", "learn", folder, "--data", "digits", "--port", board.port]) == 2
    assert "another model or plan" in capsys.readouterr().err
    assert [path.read_text() for path in kept] == ["kept", "kept"]


def test_a_dead_board_is_waited_for_once(compiled, monkeypatch, capsys):
    """And it is said at once."""

    class Silent:
        name = "the port"

        def open(self):
            return self

        def read(self, size):
            return b""

        def write(self, data):
            pass

    monkeypatch.setattr("tflm_export.board.link.GREETING", 0.05)
    monkeypatch.setattr("tfodl.board.line.BoardClient", partial(BoardClient, timeout=0.2))
    start = time.monotonic()
    with pytest.raises(ExportError, match="within 0.2 s. Is it the right port, .* Press"):
        Line(Silent(), compiled)
    assert time.monotonic() - start < 0.4
    assert capsys.readouterr().err == "waiting 0.2 s for the port to answer ...\n"


def test_damaged_pictures_are_left_out(compiled, tmp_path):
    for name in "01":
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.fromarray(np.zeros((14, 14, 3), np.uint8)).save(tmp_path / name / f"{i}.png")
    (tmp_path / "0" / "0.png").write_bytes(b"no picture")
    few = [compiled, str(tmp_path), "shuffled", 0, None, 9, "source"]
    with pytest.raises(TfodlError, match="--skip-bad"):
        load_samples(*few)
    found = load_samples(*few, skip_bad=True)
    assert len(found.x) + len(found.test_x) == 7
