"""The studies' scripts: what is committed is whole, and a bad flag is one line and nothing is begun."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "scripts"


def test_a_bad_flag_is_said_in_one_line(tmp_path):
    command = [sys.executable, SCRIPTS / "fair_random.py", "--shares=0.5", f"--out={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    message = "fair_random: --shares: nothing was published at [0.5]; allowed: [0.088"
    assert done.returncode == 1 and done.stderr.strip().splitlines()[-1].startswith(message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("script", ["equal_bytes", "fair_random"])
def test_nothing_of_the_committed_study_is_missing(script, tmp_path):
    """All that `--small` asks for is there: nothing is trained."""
    runs = tmp_path / "runs.jsonl"
    shutil.copy(ROOT / "results" / "papers" / script / "runs.jsonl", runs)
    before = runs.read_bytes()
    command = [sys.executable, SCRIPTS / f"{script}.py", "--small", f"--out={tmp_path}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=tmp_path)
    assert runs.read_bytes() == before
