"""The studies' scripts: a bad flag is one line and nothing is begun."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.mark.parametrize(
    ("script", "flag", "message"),
    [
        ("equal_bytes", "--methods=best", "equal_bytes: methods: no ['best']; allowed: head, all, random"),
        (
            "fair_random",
            "--shares=0.5",
            "fair_random: --shares: nothing was published at [0.5]; allowed: [0.088",
        ),
    ],
)
def test_a_bad_flag_is_said_in_one_line(script, flag, message, tmp_path):
    command = [sys.executable, SCRIPTS / f"{script}.py", flag, f"--out={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.strip().splitlines()[-1].startswith(message)
    assert not (tmp_path / "out").exists()
