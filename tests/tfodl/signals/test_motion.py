"""docs/motion.md to the letter: from .csv files and a net of Conv1D to an engine that is right."""

import json
import re

import keras
import numpy as np
import pytest
from page_chain import example, run_chain

from tflm_export import engine_folder
from tflm_export.companion import read_companion
from tflm_export.machines.host import HostEngine
from tflm_export.signal_contract import SignalContract
from tfodl import datasets
from tfodl.cli import main as tfodl
from tfodl.jobs.loaded import load_model

motion = example("examples/motion.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the page's chain ran; what it printed is in said.txt."""
    root = tmp_path_factory.mktemp("motion")
    with pytest.MonkeyPatch.context() as patch, open(root / "said.txt", "w") as said:
        patch.chdir(root)
        patch.setattr("sys.stdout", said)
        done = run_chain("motion.md")
    assert done == ["finetune", "quantize", "compile", "verify", "sketch"]
    return root / "build" / "motion"


def test_it_was_right_and_stays_so(folder):
    said = (folder.parents[1] / "said.txt").read_text()
    before = re.search(r"accuracy before training (\d+)", said)
    assert before is not None and int(before[1]) >= 95, said
    assert "336 train, 84 test signals of 3 classes, 64x3" in said and "all right" in said


def test_the_tuned_model_is_the_user_s_own(folder):
    tuned = keras.saving.load_model(folder / "tuned/model.keras")
    before = keras.saving.load_model(folder / "my_model.keras")
    assert [type(layer) for layer in tuned.layers] == [type(layer) for layer in before.layers]
    names = [layer["name"] for layer in json.loads((folder / "tuned/plan.json").read_text())["layers"]]
    weights = [[m.get_layer(n).get_weights()[0] for n in names] for m in (before, tuned)]
    assert names and any((a != b).any() for a, b in zip(*weights, strict=True))


def test_the_engine_knows_movements_by_its_contract(folder):
    compiled = engine_folder.load(folder / "engine")
    assert isinstance(compiled.contract, SignalContract) and len(compiled.contract.divisor) == 3
    assert compiled.contract == read_companion(folder / "int8/model.tflite")
    x, y = motion.movements(90, seed=3)
    engine = HostEngine(compiled)
    right = [engine.predict(q[None]) == label for q, label in zip(compiled.quantize(x), y, strict=True)]
    assert np.mean(right) > 0.95


REFUSED = {
    "a scaling of pixels": (["--input=0..1"], "--input '0..1': says what pixels are to a model"),
    "a size": (["--size", "64"], "--size 64: is a side of pictures"),
    "another window": (["--window", "32"], r"model file 'my_model.keras': takes (64, 3), the samples of"),
}


@pytest.mark.parametrize("command", ["finetune", "quantize"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_before_training(name, command, folder, monkeypatch, tmp_path, capsys):
    flags, words = REFUSED[name]
    monkeypatch.chdir(folder)
    given = ["--model", "my_model.keras", "--data", "gestures", "--out", str(tmp_path)]
    assert tfodl([command, *given, *flags]) == 2
    heard = capsys.readouterr()
    assert heard.err.startswith(f"tfodl: {words}") and len(heard.err.splitlines()) == 1
    assert "Epoch" not in heard.out


def test_a_window_is_of_recordings_only(folder, tmp_path, capsys):
    given = ["--model", "tiny_mobilenet", "--data", "digits", "--out", str(tmp_path), "--window", "4"]
    assert tfodl(["quantize", *given]) == 2
    assert "--window and --stride cut recordings" in capsys.readouterr().err


def test_values_of_another_size_are_warned_of(folder, capsys):
    data = datasets.load(folder / "gestures", window=64)
    model = load_model(str(folder / "my_model.keras"), data.input_shape, data.classes, data=data)
    model.check(data.x_train, data.y_train)
    assert "warning" not in capsys.readouterr().out
    model.check(1000 * data.x_train, data.y_train)
    assert "with a deviation of" in (said := capsys.readouterr().out) and "Normalization" in said


def test_pictures_do_not_reach_a_model_of_signals(folder, capsys):
    data = datasets.load(folder / "gestures", window=64)
    contract = load_model(str(folder / "tuned/model.keras"), (64, 3), 3, data=data).contract
    assert contract.source == "as they are"
    given = ["--model", str(folder / "tuned/model.keras"), "--data", "digits", "--out", str(folder / "no")]
    assert tfodl(["quantize", *given]) == 2
    assert "its input must be one picture of a fixed size" in capsys.readouterr().err


def test_whole_recordings_of_an_npz_are_tested_and_judged(tmp_path):
    y = np.arange(90) % 3
    recording = np.arange(90) // 9 + 10 * y  # three windows of each
    x = np.broadcast_to(recording[:, None, None], (90, 8, 2)).astype(np.float32)
    np.savez(tmp_path / "cut.npz", x=x, y=y, recording=recording)
    data = datasets.load(tmp_path / "cut.npz")
    train, judged = data.hold_out(10)
    sides = [set(values[:, 0, 0].tolist()) for values in (train[0], judged[0], data.x_test)]
    assert [len(side) for side in sides] == [21, 3, 6] and len(set.union(*sides)) == 30
    assert all(set(y.tolist()) == {0, 1, 2} for y in (train[1], judged[1], data.y_test))
