"""The log of a run: what is cut is left out, what is none is refused."""

import pytest

from tflm_export.errors import TfodlError
from tflm_export.report.run_lines import read_run_file
from tfodl.board.run_log import RunLog


def test_a_line_that_was_cut_is_left_out(tmp_path):
    path = tmp_path / "deep" / "run.jsonl"
    with RunLog(path) as log:
        log.event("begin", samples=2)
        log.step(1, label=0, predicted=1, loss=0.5)
    path.write_text(path.read_text() + '{"step": 2, "ti')
    run = read_run_file(path)
    assert [step.step for step in run.steps] == [1] and run.begin["samples"] == 2 and run.left_out == 1


@pytest.mark.parametrize("text", ["hello\n", "[1]\n", '{"a": 1}\n', ""])
def test_what_is_no_log_is_refused(tmp_path, text):
    (tmp_path / "x").write_text(text)
    with pytest.raises(TfodlError, match="is no log of a board"):
        read_run_file(tmp_path / "x")


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(TfodlError, match="cannot write the log"):
        RunLog(tmp_path)
