"""The studies' scripts: what is committed is whole, and a bad flag is one line and nothing is begun."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tfodl.jobs.settings import FinetuneJob

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "scripts"


def test_a_bad_flag_is_said_in_one_line(tmp_path):
    command = [sys.executable, SCRIPTS / "fair_random.py", "--shares=0.5", f"--out={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    message = "fair_random: --shares: nothing was published at [0.5]; allowed: [0.088"
    assert done.returncode == 1 and done.stderr.strip().splitlines()[-1].startswith(message)
    assert not (tmp_path / "out").exists()


COMMITTED = {
    "equal_bytes": ["runs.jsonl"],
    "fair_random": ["runs.jsonl"],
    "table1": ["small.jsonl"],
    "table2": ["small.jsonl", "resnet18.jsonl"],
    "neq": ["runs.jsonl"],
    "scotti": ["runs.jsonl"],
}


@pytest.mark.parametrize("script", COMMITTED)
def test_nothing_of_the_committed_study_is_missing(script, tmp_path):
    """All that `--small` asks for is there: nothing is trained."""
    for name in COMMITTED[script]:
        shutil.copy(ROOT / "results" / "papers" / script / name, tmp_path / name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    command = [sys.executable, SCRIPTS / f"{script}.py", "--small", f"--out={tmp_path}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_figure_4_is_drawn_from_what_was_trained(tmp_path):
    papers = ROOT / "results" / "papers"
    command = [sys.executable, SCRIPTS / "figure4.py", "--small", f"--papers={papers}", f"--out={tmp_path}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert (tmp_path / "figure4.png").read_bytes()[:4] == b"\x89PNG"


def test_a_study_is_compared_on_one_page(tmp_path):
    shutil.copy(ROOT / "results" / "papers" / "equal_bytes" / "runs.jsonl", tmp_path)
    command = [sys.executable, SCRIPTS / "compare.py", f"--study={tmp_path}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    written = json.loads((tmp_path / "compare.json").read_text())
    committed = ROOT / "results" / "papers" / "equal_bytes" / "compare.json"
    assert written == json.loads(committed.read_text())
    assert f"recommended: --method {written['recommended']}" in done.stdout
    assert written["recommended"] == FinetuneJob.method, "what a user gets is what the study recommends"


def test_a_study_that_is_not_there_is_said_in_one_line(tmp_path):
    command = [sys.executable, SCRIPTS / "compare.py", f"--study={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.strip().startswith(f"compare: no runs.jsonl in {tmp_path}")
