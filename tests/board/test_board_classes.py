"""A board's classes and the data's are matched by name."""

import numpy as np
import pytest
from nets import residual_net

from tflm_export.board.simulated import SimulatedBoard
from tflm_export.compiler import compile_model
from tflm_export.errors import TfodlError
from tflm_export.front.spare import add_spare_classes
from tflm_export.input_contract import InputContract
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.report.run_lines import read_lines
from tfodl.board.classes import BoardClasses
from tfodl.board.samples import Samples
from tfodl.cli import main

ABCDE = BoardClasses(5, 5, tuple("abcde"))


def stream(names, *labels):
    x, y = np.zeros((len(labels), 1), np.uint8), np.array(labels)
    return Samples(x, y, x, y, tuple(names))


def test_labels_become_the_boards_numbers():
    found = ABCDE.numbered(stream("de", 0, 1, 1), "two")
    assert found.labels.tolist() == found.test_labels.tolist() == [3, 4, 4]
    assert found.names == tuple("abcde")
    turned = BoardClasses(3, 3, tuple("cab"))
    assert turned.numbered(stream("abc", 0, 1, 2), "turned").labels.tolist() == [1, 2, 0]
    assert ABCDE.numbered(stream("d", 0), "one").labels.tolist() == [3]


def test_without_names_numbers_are_numbers():
    assert ABCDE.numbered(stream("012", 2, 0), "numbers").labels.tolist() == [2, 0]
    assert BoardClasses(3, 3).numbered(stream("abc", 2, 0), "abc").labels.tolist() == [2, 0]


def test_new_classes_are_numbered_as_they_come():
    spare = BoardClasses(3, 6, ("a", "c", "the quick brown "))
    names = ("a", "b", "c", "d", "the quick brown fox")
    found = spare.numbered(stream(names, 3, 1, 4, 0, 2), "more")
    assert found.labels.tolist() == [3, 4, 2, 0, 1]
    assert found.names == ("a", "c", "the quick brown ", "d", "b")


REFUSED = {
    "others": (ABCDE, "vw", "have 'v', 'w', which the board does not know; it knows 'a', 'b'"),
    "too many": (BoardClasses(2, 3, ("a", "b")), "bcd", "has 1 spare class:"),
    "fewer, and no names": (BoardClasses(5, 5), "de", "--classes NAME,NAME"),
    "alike": (BoardClasses(1, 4, ("a",)), ("long" * 4, "long" * 5), "the same 16 bytes"),
}


@pytest.mark.parametrize("board, names, said", REFUSED.values(), ids=REFUSED)
def test_other_classes_are_refused(board, names, said):
    with pytest.raises(TfodlError, match=said):
        board.numbered(stream(names, 0, 1), "data")


def test_a_board_is_taught_by_its_own_names(tmp_path, monkeypatch, capsys):
    """Of three classes and a spare one; what was opened is known the next time."""
    monkeypatch.chdir(tmp_path)
    plan = UpdatePlan(memory=Memory(samples=8, replays=1), spare_classes=1)
    contract = InputContract.parse("-1..1", (8, 8, 3))
    compiled = compile_model(add_spare_classes(residual_net(classes=3), 1), plan, contract=contract)
    compiled.save(tmp_path / "engine")
    x, y = np.zeros((20, 8, 8, 3), np.uint8), np.arange(20) % 2
    np.savez("data.npz", x=x, y=y, class_names=["dog", "bee"])
    line = ["board", "learn", "engine", "--data", "data.npz"]
    with SimulatedBoard(compiled, ("cat", "bee", "ant")) as board:
        for _ in range(2):
            assert main([*line, "--port", board.port]) == 0
            lines = read_lines("run.jsonl")
            assert lines[0]["classes"] == ["cat", "bee", "ant", "dog"]
            assert {step["label"] for step in lines if "event" not in step} == {1, 3}
        assert not [line for line in lines if line.get("event") == "class"]
        assert main([*line, "--port", board.port, "--classes", "bee,cat,ant"]) == 2
        assert "the board's sketch 'cat', 'bee', 'ant'; leave --classes out" in capsys.readouterr().err
    assert main([*line, "--sim"]) == 2
    assert "say which they are with --classes" in capsys.readouterr().err
    assert main([*line, "--sim", "--classes", "cat,bee"]) == 2
    assert "--classes has 2 names ('cat', 'bee'), the engine 3 classes" in capsys.readouterr().err
