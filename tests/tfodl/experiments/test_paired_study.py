"""Studies: rates by method, seeds in pairs, and going on after a cut. Trainings are made up."""

import dataclasses

import pytest
import study_jobs
from sweep_jobs import begun

from tflm_export.errors import TfodlError
from tfodl.experiments import sweep
from tfodl.experiments.learner import Recipe
from tfodl.experiments.study import RATE_SEED, Study, best_rates, study
from tfodl.experiments.transfer import Task

RATES = [0.01, 0.03]
TWO = [{"params": 10}, {"params": 20}]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


def wanted(log, seeds=2, methods=("velocity", "random")):
    return Study(Task("mbv2-w0.35", str(log)), Recipe(), dict.fromkeys(methods, TWO), RATES, seeds)


def test_every_method_is_tried_at_its_own_best_rate(log, tmp_path):
    study(wanted(log), tmp_path / "runs.jsonl", workers=1, train=study_jobs.train)
    rows = [row["arguments"] for row in sweep.load(tmp_path / "runs.jsonl")]
    chosen = [row for row in rows if row["validate"]]
    assert {(row["method"], row["rate"]) for row in chosen} == {
        (m, r) for m in study_jobs.BEST for r in RATES
    }
    assert all(row["seed"] == RATE_SEED and row["budget"] == TWO[0] for row in chosen)
    tried = [row for row in rows if not row["validate"]]
    assert all(row["rate"] == study_jobs.BEST[row["method"]] for row in tried)
    assert [row["seed"] for row in tried] == [0] * 4 + [1] * 4  # whole pairs first


def test_a_cut_study_goes_on_with_what_is_missing(log, tmp_path):
    path = tmp_path / "runs.jsonl"
    whole = study(wanted(log), path, workers=1, train=study_jobs.train)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]) + lines[5][:30])  # killed while it wrote its sixth line
    done = len(begun(log))
    assert study(wanted(log), path, workers=1, train=study_jobs.train) == whole
    assert len(begun(log)) == done + len(lines) - 5
    study(wanted(log, seeds=3), path, workers=1, train=study_jobs.train)
    assert begun(log)[done + len(lines) - 5 :] == [2, 2, 2, 2]


def test_one_rate_needs_no_trial(log, tmp_path):
    one = dataclasses.replace(wanted(log), rates=[0.02])
    study(one, tmp_path / "runs.jsonl", workers=1, train=study_jobs.train)
    rows = [row["arguments"] for row in sweep.load(tmp_path / "runs.jsonl")]
    assert (
        len(rows) == 8
        and not any(row["validate"] for row in rows)
        and {row["rate"] for row in rows} == {0.02}
    )


def test_of_equal_rates_the_lowest_is_taken():
    jobs = [{"method": "head", "rate": rate} for rate in (0.03, 0.01, 0.1)]
    assert best_rates(jobs, [{"accuracy": a} for a in (0.5, 0.5, 0.4)]) == {"head": 0.01}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": ("best",)}, r"methods: no \['best'\]; allowed: head, all, random"),
        ({"methods": ()}, "every method needs a budget"),
        ({"seeds": 0}, "needs rates and a seed"),
    ],
)
def test_a_study_of_nothing_is_refused(log, change, message):
    with pytest.raises(TfodlError, match=message):
        wanted(log, **change)
