"""`tfodl board constants`: an engine's constants into a board, whatever happens to its cable."""

from threading import Timer

import pytest
from digits_net import LAYERS, digits_net

from tflm_export.apart import apart
from tflm_export.board.simulated import SimulatedBoard
from tflm_export.compiler import compile_model
from tflm_export.plan import UpdatePlan
from tfodl.cli import main

ERASED = b"\xff" * 8192


@pytest.fixture(scope="module")
def compiled():
    return compile_model(digits_net(), UpdatePlan(LAYERS))


@pytest.fixture(scope="module")
def folder(compiled, tmp_path_factory):
    """As `tflm-export compile` wrote it: where the constants are to lie the board tells."""
    return str(compiled.save(tmp_path_factory.mktemp("constants") / "engine"))


def test_the_command_writes_once(compiled, folder, capsys):
    with SimulatedBoard(apart(compiled, 0x90000), constants=ERASED) as board:
        assert main(["board", "constants", folder, "--port", board.port]) == 0
        assert capsys.readouterr().out.endswith("\r2 pages of constants were written\n")
        assert main(["board", "constants", folder, "--port", board.port]) == 0
        assert capsys.readouterr().out == "the board has its constants\n"
        with board.client() as client:
            assert client.info().steps == 0 and client.about["engine"] == "engine"


def test_a_pulled_cable_is_waited_for(compiled, folder, capsys, monkeypatch):
    with SimulatedBoard(apart(compiled, 0x90000), constants=ERASED) as board:
        monkeypatch.setattr("tflm_export.board.constants._page_crc", pulled(board))
        assert main(["board", "constants", folder, "--port", board.port]) == 0
        assert "pages of constants were written" in capsys.readouterr().out


def pulled(board):
    """`_page_crc`, at whose second call the cable is out for a moment."""
    from tflm_export.board.constants import _page_crc

    calls = []

    def wrapped(client, page):
        calls.append(page)
        if len(calls) == 2:
            board.unplug()
            Timer(0.5, board.plug).start()
        return _page_crc(client, page)

    return wrapped


def test_what_is_no_image_stays_unless_it_may_go(compiled, folder, capsys):
    with SimulatedBoard(apart(compiled, 0x90000), constants=bytes(range(1, 201)) * 40) as board:
        assert main(["board", "constants", folder, "--port", board.port]) == 2
        assert "--over writes over it" in capsys.readouterr().err
        assert main(["board", "constants", folder, "--over", "--port", board.port]) == 0
