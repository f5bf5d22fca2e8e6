"""Bad input to the `tfodl` command: one clear line, exit status 2, nothing written."""

import os

import keras
import numpy as np
import pytest
from PIL import Image

from tflm_export.compiler import compile_model
from tflm_export.plan import Budget, UpdatePlan
from tflm_export.ship import read_samples
from tfodl import datasets
from tfodl.cli import main
from tfodl.selection.engine import Engine

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


def test_a_layer_without_an_int8_form_is_named(tmp_path, capsys):
    path, out = tmp_path / "odd.keras", tmp_path / "out"
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.UnitNormalization(name="odd_one")(keras.layers.Flatten()(inputs))
    keras.Model(inputs, keras.layers.Dense(10)(x)).save(path)
    assert main(["quantize", "--model", str(path), "--data", "digits", "--out", str(out)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "odd_one" in error and "UnitNormalization" in error
    assert not any(out.iterdir())


def test_finetune_on_a_folder_of_pictures_under_a_ram_budget(tmp_path):
    rng, out = np.random.default_rng(0), tmp_path / "out"
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(level - 30, level + 30, (36, 40, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{index}.png")
    arguments = ["--model", "tiny_mobilenet", "--data", str(tmp_path / "pictures"), "--size", "32"]
    budget = ["--budget-ram", "30000", "--epochs", "1", "--method", "random"]
    assert main(["finetune", *arguments, *budget, "--out", str(out)]) == 0
    plan = UpdatePlan.load(out / "plan.json")
    model = keras.saving.load_model(out / "model.keras")
    assert model.output_shape == (None, 2)
    assert plan.layers and plan.budget == Budget(ram_bytes=30_000, flash_bytes=888_000)
    assert 29_000 < Engine.of(model).ram_bytes(plan) <= 30_000


@pytest.fixture
def digits(tmp_path):
    """A folder of 20 pictures of every digit."""
    data = datasets.load("digits")
    for label in range(data.classes):
        folder = tmp_path / "digits" / str(label)
        folder.mkdir(parents=True)
        for index, pixels in enumerate(data.x_train[data.y_train == label][:20]):
            Image.fromarray(pixels[..., 0]).save(folder / f"{index}.png")
    return str(tmp_path / "digits")


def test_finetune_then_quantize(digits, tmp_path, capsys):
    tuned, int8 = tmp_path / "tuned", tmp_path / "int8"
    assert main([*replaced("--data", digits), "--epochs", "2", "--out", str(tuned)]) == 0
    assert sorted(os.listdir(tuned)) == ["history.json", "model.keras", "model.keras.json", "plan.json"]
    assert main(["plan", "show", str(tuned / "plan.json")]) == 0
    assert "importance_random" in capsys.readouterr().out
    on_data = ["--model", str(tuned / "model.keras"), "--data", digits, "--epochs", "1", "--out", str(int8)]
    assert main(["quantize", *on_data, "--plan", str(tuned / "plan.json"), "--exemplars", "2"]) == 0
    assert sorted(os.listdir(int8)) == ["exemplars.npz", "model.tflite", "model.tflite.json", "plan.json"]
    x, y = read_samples(int8 / "exemplars.npz")
    assert x.shape == (20, 28, 28, 3) and x.dtype == np.uint8 and np.bincount(y).tolist() == [2] * 10

    plan = UpdatePlan.load(int8 / "plan.json")
    compiled = compile_model((int8 / "model.tflite").read_bytes(), plan)
    assert compiled.facts["trained_parameters"] <= 2000 + 10 * 97
