"""A job's pictures: read as the model takes them, every class trained on; what a user is told at the command
line."""

import itertools
import re

import keras
import numpy as np
import pytest
from PIL import Image

from tfodl.cli import main
from tfodl.demo.config import DemoConfig
from tfodl.demo.domains import HELD_OUT, make_domains
from tfodl.jobs.pictures import load_data
from tfodl.jobs.settings import FinetuneJob

HUES = (*itertools.product((15, 240), repeat=3), (128, 128, 128), (240, 128, 15))
CLASSES = len(HUES)
LUMA = [round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in HUES]


def fill(root, count=10, sizes=((12, 10), (9, 14))):
    """Classes `c0`, `c1`, ... of one colour each, in two sizes."""
    for label, hue in enumerate(HUES):
        (root / f"c{label}").mkdir(parents=True)
        for index in range(count):
            shade = tuple(min(255, max(0, v + index - count // 2)) for v in hue)
            Image.new("RGB", sizes[index % 2], shade).save(root / f"c{label}" / f"{index:02d}.png")
    return root


def saved(path, shape, classes=CLASSES):
    keras.utils.set_random_seed(0)
    x = keras.Input(shape)
    h = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="stem")(x)
    h = keras.layers.Conv2D(32, 3, strides=2, activation="relu", name="wide")(h)
    h = keras.layers.GlobalAveragePooling2D()(h)
    keras.Model(x, keras.layers.Dense(classes, name="head")(h)).save(path)
    return path


def line(capsys):
    """The one error line."""
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("tfodl: ")
    return error


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 10, 3), (6, 12, 1)])
def test_a_model_s_file_says_how_its_pictures_are_read(tmp_path, shape, capsys):
    model = saved(tmp_path / "m.keras", shape)
    data = load_data(FinetuneJob(str(model), str(fill(tmp_path / "data")), str(tmp_path / "out")))
    assert data.input_shape == shape
    for label, hue in enumerate(HUES):
        seen = data.x_train[data.y_train == label].mean((0, 1, 2))
        assert np.abs(seen - (hue if shape[2] == 3 else LUMA[label])).max() <= 6
    assert f"80 train, 20 test pictures of 10 classes, {'x'.join(map(str, shape))}" in capsys.readouterr().out


def test_arrays_are_read_so_too(tmp_path):
    model = saved(tmp_path / "m.keras", (14, 14, 3), classes=3)
    data = load_data(FinetuneJob(str(model), "digits", str(tmp_path / "out")))
    assert data.input_shape == (14, 14, 3)
    np.testing.assert_array_equal(data.x_train[..., 0], data.x_train[..., 2])


def test_every_class_of_an_ordered_folder_is_learnt(tmp_path, capsys):
    """A tenth is held out: as many as the last class has."""
    model, out = saved(tmp_path / "m.keras", (8, 8, 3)), tmp_path / "out"
    folder = fill(tmp_path / "data", 20)
    given = ["--model", str(model), "--data", str(folder), "--out", str(out), "--batch-size", "8"]
    phases = ["--method", "all", "--epochs", "12", "--head-epochs", "0"]
    options = [*phases, "--fit", "none", "--momentum", "0.9"]
    assert main(["finetune", *given, *options]) == 0
    tuned = keras.saving.load_model(out / "model.keras")
    x = np.array([np.full((8, 8, 3), hue) for hue in HUES], np.float32) / 127.5 - 1
    assert tuned.predict(x, verbose=0).argmax(1).tolist() == list(range(CLASSES))


REFUSED = {  # model's shape -> flags, words
    "another size": ((8, 8, 3), ["--size", "32"], r"--size 32: the model .* takes 8x8.*leave --size out"),
    "no picture": ((40,), [], r"one picture of a fixed size.*got \(None, 40\)"),
    "open size": ((None, None, 3), [], r"one picture of a fixed size.*\(None, None, None, 3\)"),
    "five channels": ((8, 8, 5), [], r"\[N,H,W,1\] or \[N,H,W,3\]"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("command", ["finetune", "quantize"])
def test_a_model_that_takes_other_pictures_is_one_line(tmp_path, name, command, capsys):
    shape, flags, words = REFUSED[name]
    x = keras.Input(shape)
    h = keras.layers.GlobalAveragePooling2D()(x) if len(shape) == 3 else x
    keras.Model(x, keras.layers.Dense(2)(h)).save(tmp_path / "m.keras")
    given = ["--model", str(tmp_path / "m.keras"), "--data", "digits", "--out", str(tmp_path / "out")]
    assert main([command, *given, *flags]) == 2
    assert re.search(words, line(capsys))


def test_errors_at_the_command_line_name_its_flags(tmp_path, capsys):
    folder = fill(tmp_path / "data", 5)
    given = ["--model", "tiny_mobilenet", "--data", str(folder), "--out", str(tmp_path / "out")]
    assert main(["finetune", *given]) == 2
    assert re.search(r"pictures differ in size.*--size", line(capsys))
    (folder / "c1" / "01.png").write_bytes(b"no picture")
    assert main(["finetune", *given, "--size", "8"]) == 2
    assert re.search(r"01\.png.*--skip-bad", line(capsys))
    assert main(["demo", "--data", str(folder), "--out", str(tmp_path / "out"), "--size", "8"]) == 2
    assert re.search(r"01\.png.*--skip-bad", line(capsys))


def test_bad_pictures_are_skipped_when_asked(tmp_path, caplog, capsys):
    folder = fill(tmp_path / "data", 4)
    (folder / "c1" / "01.png").write_bytes(b"no picture")
    model, out = saved(tmp_path / "m.keras", (8, 8, 3)), tmp_path / "out"
    given = ["--model", str(model), "--data", str(folder), "--out", str(out), "--epochs", "1"]
    assert main(["quantize", *given, "--skip-bad"]) == 0
    assert "read (1): 'c1/01.png'" in caplog.text and (out / "model.tflite").is_file()
    assert "data data: 29 train, 10 test pictures of 10 classes" in capsys.readouterr().out


def test_the_demo_s_domains_share_every_class(tmp_path, caplog):
    data = fill(tmp_path / "data", 30)
    (data / "rare").mkdir()
    Image.new("RGB", (8, 8)).save(data / "rare" / "0.png")
    model = saved(tmp_path / "m.keras", (8, 8, 1))
    domains = make_domains(DemoConfig(data=str(data), model=str(model)))
    assert domains.input_shape == (8, 8, 1)
    y, held_out = domains.source[1], domains.target[1][-HELD_OUT:]
    assert np.bincount(y).tolist() == [12] * 10 + [1] and np.bincount(domains.target[1]).tolist() == [12] * 10
    assert np.ptp(np.bincount(held_out)) <= 1
    assert "'data, target domain': no train pictures of 'rare'" in caplog.text
