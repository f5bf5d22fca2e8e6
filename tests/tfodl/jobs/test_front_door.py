"""The front door, as a stranger tries it: every kind of model reaches a sketch that is right, or is refused
before anything is trained, in one line that leads on."""

import front_door
import numpy as np
import pytest

from tflm_export.cli import main as tflm_export
from tflm_export.engine_folder import load
from tflm_export.machines.host import HostEngine
from tfodl.cli import main as tfodl

SMALL = ["--epochs", "1", "--batch-size", "16", "--calibration", "32"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Pictures of two and of three classes."""
    root = tmp_path_factory.mktemp("pictures")
    for classes in (2, 3):
        front_door.write_folder(root / str(classes), classes=classes)
    return root


@pytest.mark.parametrize("kind", front_door.ARRIVE)
def test_a_model_reaches_a_sketch_and_means_the_same_there(kind, folders, tmp_path, monkeypatch, capsys):
    classes = front_door.ARRIVE[kind][1]
    monkeypatch.chdir(tmp_path)
    front_door.trained(kind).save("mine.keras")
    data = str(folders / str(classes))
    tune = ["--budget-ram", "40000", "--head-epochs", "0", "--learning-rate", "0.001"]
    assert tfodl(["finetune", "--model", "mine.keras", "--data", data, *SMALL, *tune, "--out", "tuned"]) == 0
    said = capsys.readouterr().out
    assert share(said, "accuracy before training") > 0.9, said
    quantize = ["--model", "tuned/model.keras", "--data", data, "--plan", "tuned/plan.json", *SMALL]
    assert tfodl(["quantize", *quantize, "--out", "int8"]) == 0
    assert tflm_export(["compile", "int8/model.tflite", "--plan", "int8/plan.json", "--out", "engine"]) == 0
    assert tflm_export(["verify", "engine", "--count", "16", "--steps", "4"]) == 0
    assert tflm_export(["sketch", "engine", "--board", "nano33ble", "--out", "engine.zip"]) == 0
    assert on_the_engine(classes) > 0.9


def on_the_engine(classes):
    """Accuracy of the emitted engine on pictures that go in by its own contract."""
    compiled = load("engine")
    x, y = front_door.pictures(60, 2, classes=classes)
    engine = HostEngine(compiled)
    return np.mean(
        [engine.predict(q[None]) == label for q, label in zip(compiled.quantize(x), y, strict=True)]
    )


def share(text, before):
    """The percentage that stands behind `before`."""
    line = next(line for line in text.splitlines() if before in line)
    return float(line.split(before)[1].split("%")[0]) / 100


REFUSED = [
    (kind, command)
    for kind in front_door.REFUSED
    for command in ("finetune", "quantize")
    if (kind, command) != ("frozen base", "quantize")  # which goes to int8 as it is
]


@pytest.mark.parametrize("kind, command", REFUSED)
def test_what_cannot_arrive_is_refused_before_training(kind, command, folders, tmp_path, monkeypatch, capsys):
    make, words = front_door.REFUSED[kind]
    monkeypatch.chdir(tmp_path)
    make().save("mine.keras")
    assert (
        tfodl([command, "--model", "mine.keras", "--data", str(folders / "3"), *SMALL, "--out", "out"]) == 2
    )
    heard = capsys.readouterr()
    error = heard.err.strip().splitlines()[-1]
    assert error.startswith("tfodl: ") and words in error
    assert "Epoch" not in heard.out
