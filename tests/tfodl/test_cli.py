"""Bad input to the `tfodl` command: one clear line, exit status 2, nothing written."""

import os

import pytest

from tfodl.cli import main

FINETUNE = ["finetune", "--model", "tiny_mobilenet", "--data", "digits", "--budget-params", "2000"]


def replaced(flag, value):
    """FINETUNE with one flag's value changed."""
    arguments = list(FINETUNE)
    if flag in arguments:
        arguments[arguments.index(flag) + 1] = value
        return arguments
    return [*arguments, flag, value]


@pytest.mark.parametrize(
    "flag, value, words",
    [
        ("--data", "no_such_set", "no_such_set"),
        ("--model", "no_such_model", "no_such_model"),
        ("--model", "missing.keras", "missing.keras"),
        ("--method", "magic", "magic"),
        ("--budget-params", "3", "budget"),
    ],
)
def test_one_line_and_status_2(flag, value, words, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([*replaced(flag, value), "--epochs", "1", "--out", str(out)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("tfodl: ") and words in error.lower()
    assert not out.exists() or not any(out.iterdir())


def test_an_output_that_is_a_file(tmp_path, capsys):
    blocker = tmp_path / "blocker"
    blocker.write_text("")
    assert main([*FINETUNE, "--epochs", "1", "--out", str(blocker / "out")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_finetune_then_quantize(tmp_path, capsys):
    tuned, int8 = tmp_path / "tuned", tmp_path / "int8"
    assert main([*FINETUNE, "--epochs", "2", "--out", str(tuned)]) == 0
    assert sorted(os.listdir(tuned)) == ["history.json", "model.keras", "plan.json"]
    assert main(["plan", "show", str(tuned / "plan.json")]) == 0
    assert "velocity" in capsys.readouterr().out
    arguments = [
        "--model",
        str(tuned / "model.keras"),
        "--data",
        "digits",
        "--epochs",
        "1",
        "--out",
        str(int8),
    ]
    assert main(["quantize", *arguments, "--plan", str(tuned / "plan.json")]) == 0
    assert sorted(os.listdir(int8)) == ["model.tflite", "plan.json"]

    from tflm_export.compiler import compile_model
    from tfodl.plan import UpdatePlan

    plan = UpdatePlan.load(int8 / "plan.json")
    compiled = compile_model((int8 / "model.tflite").read_bytes(), plan)
    assert compiled.facts["trained_parameters"] <= 2000 + 10 * 97
