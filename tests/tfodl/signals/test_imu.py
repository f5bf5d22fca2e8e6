"""Gestures of an accelerometer, generated: from an .npz and a net of Conv1D to an engine that is right."""

import contextlib
import io
import json
import re

import keras
import numpy as np
import pytest
from keras import layers as L
from signal_sets import movements

from tflm_export import engine_folder
from tflm_export.cli import main as tflm_export
from tflm_export.companion import read_companion
from tflm_export.machines.host import HostEngine
from tflm_export.signal_contract import SignalContract
from tfodl import datasets
from tfodl.cli import main as tfodl
from tfodl.jobs.loaded import load_model

SMALL = ["--epochs", "2", "--batch-size", "16", "--calibration", "64"]


def gesture_net(x_train):
    """Conv1D net [64, 3] -> 3 that scales its input itself."""
    scale = L.Normalization()
    scale.adapt(x_train)
    return keras.Sequential(
        [
            keras.Input(x_train.shape[1:]),
            scale,
            L.Conv1D(8, 5, strides=2, padding="same", use_bias=False),
            L.BatchNormalization(momentum=0.8),
            L.ReLU(),
            L.MaxPooling1D(2),
            L.Conv1D(12, 3, padding="same", activation="relu"),
            L.GlobalAveragePooling1D(),
            L.Dense(3, name="head"),
        ]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """imu.npz and imu.keras, trained on other recordings."""
    folder = tmp_path_factory.mktemp("imu")
    x, y = movements(240, seed=0)
    np.savez(folder / "imu.npz", x=x, y=y, class_names=["circle", "rest", "shake"])
    keras.utils.set_random_seed(0)
    model = gesture_net(movements(120, seed=1)[0])
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*movements(240, seed=2), epochs=4, verbose=0)
    model.save(folder / "imu.keras")
    return folder


@pytest.fixture(scope="module")
def built(folder):
    """The engine's folder, made by the commands."""
    given = ["--data", str(folder / "imu.npz"), *SMALL]
    tune = ["--learning-rate", "0.003", "--head-epochs", "0", "--out", str(folder / "tuned")]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert tfodl(["finetune", "--model", str(folder / "imu.keras"), *given, *tune]) == 0
    before = re.search(r"accuracy before training (\d+)", said.getvalue())
    assert before is not None and int(before[1]) > 95, said.getvalue()
    tuned, plan = str(folder / "tuned/model.keras"), str(folder / "tuned/plan.json")
    assert tfodl(["quantize", "--model", tuned, *given, "--plan", plan, "--out", str(folder / "int8")]) == 0
    plan, engine = str(folder / "int8/plan.json"), str(folder / "engine")
    assert tflm_export(["compile", str(folder / "int8/model.tflite"), "--plan", plan, "--out", engine]) == 0
    return folder / "engine"


def test_the_tuned_model_is_the_user_s_own(folder, built):
    tuned = keras.saving.load_model(folder / "tuned/model.keras")
    assert [type(layer).__name__ for layer in tuned.layers if layer.trainable_weights] == [
        "Conv1D",
        "BatchNormalization",
        "Conv1D",
        "Dense",
    ]
    plan = json.loads((folder / "tuned/plan.json").read_text())
    assert plan["layers"] and {layer["name"] for layer in plan["layers"]} <= {x.name for x in tuned.layers}
    before = keras.saving.load_model(folder / "imu.keras")
    names = [layer["name"] for layer in plan["layers"]]
    assert any((before.get_layer(n).kernel.numpy() != tuned.get_layer(n).kernel.numpy()).any() for n in names)


def test_the_engine_knows_movements_by_its_contract(built):
    compiled = engine_folder.load(built)
    assert isinstance(compiled.contract, SignalContract) and len(compiled.contract.divisor) == 3
    assert compiled.contract == read_companion(built.parent / "int8/model.tflite")
    x, y = movements(60, seed=3)
    engine = HostEngine(compiled)
    right = [engine.predict(q[None]) == label for q, label in zip(compiled.quantize(x), y, strict=True)]
    assert np.mean(right) > 0.95


def test_verify_report_and_sketch(built, tmp_path, capsys):
    np.save(tmp_path / "x.npy", movements(8, seed=4)[0])
    seen = ["--count", "8", "--steps", "4"]
    assert tflm_export(["verify", str(built), *seen]) == 0
    assert tflm_export(["sketch", str(built), "--board", "nano33ble", "--out", str(tmp_path / "e.zip")]) == 0
    assert "all right" in capsys.readouterr().out


REFUSED = {
    "a scaling of pixels": (["--input=0..1"], "--input '0..1': says what pixels are to a model"),
    "a size": (["--size", "64"], "--size 64: is a side of pictures"),
}


@pytest.mark.parametrize("command", ["finetune", "quantize"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_said_of_pictures_is_refused(name, command, folder, tmp_path, capsys):
    flags, words = REFUSED[name]
    given = ["--model", str(folder / "imu.keras"), "--data", str(folder / "imu.npz"), "--out", str(tmp_path)]
    assert tfodl([command, *given, *flags]) == 2
    heard = capsys.readouterr()
    assert heard.err.startswith(f"tfodl: {words}") and len(heard.err.splitlines()) == 1
    assert "Epoch" not in heard.out


def test_another_length_is_one_line(folder, tmp_path, capsys):
    x, y = movements(12, seed=0, samples=32)
    np.savez(tmp_path / "short.npz", x=x, y=y)
    given = ["--model", str(folder / "imu.keras"), "--data", str(tmp_path / "short.npz")]
    assert tfodl(["quantize", *given, "--out", str(tmp_path)]) == 2
    assert "takes (64, 3), the samples of 'short' are (32, 3)" in capsys.readouterr().err


def test_values_of_another_size_are_warned_of(folder, capsys):
    data = datasets.load(folder / "imu.npz")
    model = load_model(str(folder / "imu.keras"), data.input_shape, data.classes, data=data)
    model.check(data.x_train, data.y_train)
    assert "warning" not in capsys.readouterr().out
    model.check(1000 * data.x_train, data.y_train)
    assert "with a deviation of" in (said := capsys.readouterr().out) and "Normalization" in said


def test_whole_recordings_are_tested_and_judged(tmp_path):
    y = np.arange(90) % 3
    recording = np.arange(90) // 9 + 10 * y  # three windows of each
    x = np.broadcast_to(recording[:, None, None], (90, 8, 2)).astype(np.float32)
    np.savez(tmp_path / "cut.npz", x=x, y=y, recording=recording)
    data = datasets.load(tmp_path / "cut.npz")
    train, judged = data.hold_out(10)
    sides = [set(values[:, 0, 0].tolist()) for values in (train[0], judged[0], data.x_test)]
    assert [len(side) for side in sides] == [21, 3, 6] and len(set.union(*sides)) == 30
    assert all(set(y.tolist()) == {0, 1, 2} for y in (train[1], judged[1], data.y_test))
