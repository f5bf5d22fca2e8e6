"""The studies' scripts: what is committed is whole, and a bad flag is one line and nothing is begun."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from script_runs import run_scripts

from tflm_export.report import advice
from tfodl.jobs.settings import FinetuneJob

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "scripts"
PAPERS = ROOT / "results" / "papers"
COMMITTED = {
    "equal_bytes": ["runs.jsonl"],
    "fair_random": ["runs.jsonl"],
    "table1": ["small.jsonl"],
    "table2": ["small.jsonl", "resnet18.jsonl"],
    "neq": ["runs.jsonl"],
    "scotti": ["runs.jsonl"],
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What became of every script that trains nothing, and its folder, by name."""
    folders = {name: tmp_path_factory.mktemp(name) for name in (*COMMITTED, "figure4", "bad_flag")}
    commands = {name: [SCRIPTS / f"{name}.py", "--small", f"--out={folders[name]}"] for name in COMMITTED}
    for name, files in COMMITTED.items():
        for file in files:
            shutil.copy(PAPERS / name / file, folders[name] / file)
    figure = ["--small", f"--papers={PAPERS}", f"--out={folders['figure4']}"]
    commands["figure4"] = [SCRIPTS / "figure4.py", *figure]
    commands["bad_flag"] = [
        SCRIPTS / "fair_random.py",
        "--shares=0.5",
        f"--out={folders['bad_flag'] / 'out'}",
    ]
    done = run_scripts({folders[name]: command for name, command in commands.items()})
    return {name: (run, folders[name]) for name, run in zip(commands, done, strict=True)}


def test_a_bad_flag_is_said_in_one_line(runs):
    done, folder = runs["bad_flag"]
    message = "fair_random: --shares: nothing was published at [0.5]; allowed: [0.088"
    assert done.returncode == 1 and done.stderr.strip().splitlines()[-1].startswith(message)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("script", COMMITTED)
def test_nothing_of_the_committed_study_is_missing(script, runs):
    """All that `--small` asks for is there: nothing is trained."""
    done, folder = runs[script]
    assert done.returncode == 0, done.stderr
    before = {name: (PAPERS / script / name).read_bytes() for name in COMMITTED[script]}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_figure_4_is_drawn_from_what_was_trained(runs):
    done, folder = runs["figure4"]
    assert done.returncode == 0, done.stderr
    assert (folder / "figure4.png").read_bytes()[:4] == b"\x89PNG"


def test_a_study_is_compared_on_one_page(tmp_path):
    shutil.copy(ROOT / "results" / "papers" / "equal_bytes" / "runs.jsonl", tmp_path)
    command = [sys.executable, SCRIPTS / "compare.py", f"--study={tmp_path}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    written = json.loads((tmp_path / "compare.json").read_text())
    committed = ROOT / "results" / "papers" / "equal_bytes" / "compare.json"
    assert written == json.loads(committed.read_text())
    assert f"recommended: --method {written['recommended']}" in done.stdout
    assert written["recommended"] == FinetuneJob.method, "what a user gets is what the study recommends"
    assert written["recommended"] == advice.METHOD, "and what a report speaks of"


def test_a_study_that_is_not_there_is_said_in_one_line(tmp_path):
    command = [sys.executable, SCRIPTS / "compare.py", f"--study={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.strip().startswith(f"compare: no runs.jsonl in {tmp_path}")
