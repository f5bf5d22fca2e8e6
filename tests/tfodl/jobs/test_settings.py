"""A job's settings: validated when made, before anything heavy starts."""

import dataclasses
import math
import random
import subprocess
import sys

import pytest

from tflm_export.errors import TfodlError
from tfodl.cli import main
from tfodl.jobs.settings import FinetuneJob, QuantizeJob

FILES = {"model": "m.keras", "data": "pictures", "out": "out"}


@pytest.mark.parametrize("kind", [FinetuneJob, QuantizeJob])
@pytest.mark.parametrize(
    "name, value",
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", -1),
        ("batch_size", True),
        ("size", 0),
        ("calibration", 0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", 0.0),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_a_bad_value_is_named_by_its_flag(kind, name, value):
    with pytest.raises(TfodlError, match=f"--{name.replace('_', '-')} must"):
        kind(**FILES, **{name: value})


@pytest.mark.parametrize(
    "name, value", [("momentum", 1.0), ("momentum", math.nan), ("head_epochs", -1), ("device_batch", 0)]
)
def test_a_bad_value_of_finetune_is_named_by_its_flag(name, value):
    with pytest.raises(TfodlError, match=f"--{name.replace('_', '-')} must"):
        FinetuneJob(**FILES, **{name: value})


def test_a_board_that_is_not_known_is_named():
    with pytest.raises(TfodlError, match="--fit must be one of nano33ble, .* or none, got 'mega'"):
        FinetuneJob(**FILES, fit="mega")


@pytest.mark.parametrize("kind", [FinetuneJob, QuantizeJob])
@pytest.mark.parametrize("value", ["loud", "", "0..0", "127.5,0", "1,2,3", "5"])
def test_a_scaling_that_is_none_is_refused(kind, value):
    with pytest.raises(TfodlError, match=f"--input '{value}' is no scaling.*allowed: -1..1"):
        kind(**FILES, input=value)


def test_a_scaling_that_is_none_is_refused_before_tensorflow_starts():
    arguments = ["quantize", "--model", "m.keras", "--data", "d", "--out", "o", "--input", "loud"]
    program = f"import sys, tfodl.cli; print(tfodl.cli.main({arguments}), 'tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"] and "--input 'loud' is no scaling" in done.stderr


def test_settings_are_frozen_and_have_their_command_s_defaults():
    job = FinetuneJob(**FILES)
    assert (job.epochs, job.learning_rate, job.method) == (10, None, "importance_random")
    assert (QuantizeJob(**FILES).epochs, QuantizeJob(**FILES).learning_rate) == (2, 1e-4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        job.epochs = 1


@pytest.mark.parametrize("value", ["nan", "inf", "0", "-1"])
def test_a_rate_that_is_none_is_one_line(value, capsys):
    arguments = ["--model", "m.keras", "--data", "d", "--out", "o", f"--learning-rate={value}"]
    assert main(["finetune", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--learning-rate must be a finite number > 0" in error


VALUES = [
    "",
    "-1",
    "0",
    "1",
    "3",
    "0.5",
    "nan",
    "inf",
    "1e400",
    "-0",
    "x",
    "∞",
    "9" * 30,
    "../..",
    "\0",
    "-",
    "--",
]
FLAGS = [
    "--epochs",
    "--batch-size",
    "--learning-rate",
    "--size",
    "--seed",
    "--calibration",
    "--input",
    "--weights",
]
OF_QUANTIZE = ["--plan", "--candidates", "--pool", "--rule", "--epoch", "--memory", "--fit"]
OF_FINETUNE = [
    "--budget-params",
    "--budget-ram",
    "--fit",
    "--method",
    "--momentum",
    "--head-epochs",
    "--device-batch",
]


@pytest.mark.parametrize(
    "command, flags", [("finetune", FLAGS + OF_FINETUNE), ("quantize", FLAGS + OF_QUANTIZE)]
)
def test_200_draws_of_flags_end_in_one_line(command, flags, tmp_path, monkeypatch, capsys):
    """The model is not there, so all of them end in an error; which, depends on the flags."""
    monkeypatch.chdir(tmp_path)
    rng, errors = random.Random(0), set()
    for _ in range(100):
        drawn = [f"{flag}={rng.choice(VALUES)}" for flag in rng.sample(flags, rng.randint(1, 3))]
        try:
            status = main([command, "--model", "m.keras", "--data", "d", "--out", "o", *drawn])
        except SystemExit as end:  # argparse's
            status = end.code
        line = capsys.readouterr().err
        assert status == 2 and line.startswith("tfodl") and line.count("\n") == 1, (drawn, line)
        errors.add(line)
    assert len(errors) > 30
