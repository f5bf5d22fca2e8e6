"""One meaning of a pixel, from a folder of pictures through `finetune`, `quantize`, `compile` to the engine.

What the Keras model's first convolution reads is taken from the Keras model itself, what the int8 graph reads
from LiteRT's interpreter.
"""

import functools

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers as L
from keras.applications.imagenet_utils import preprocess_input
from PIL import Image

from tflm_export import engine_folder
from tflm_export.cli import main as tflm_export
from tflm_export.companion import read_companion
from tflm_export.input_contract import InputContract
from tflm_export.simulate.step import Simulator
from tfodl import datasets
from tfodl.cli import main as tfodl

COLOURS = {"blue": (60, 60, 200), "dark": (60, 60, 60), "red": (200, 60, 60)}  # order and level count
SHAPE = (8, 8, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Noisy pictures of three colours, 40 of each."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for index in range(40):
            pixels = np.clip(rng.normal(colour, 25, SHAPE), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def small_net(begin, end=None):
    """One convolution that reads what `begin` makes of a picture."""
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    x = L.Conv2D(6, 3, activation="relu", name="first")(begin(image))
    return keras.Model(image, L.Dense(3, activation=end)(L.GlobalAveragePooling2D()(x)))


@functools.cache
def trained(folder, begin, outside, end=None):
    """`small_net`, trained on the pictures as `outside` gives them."""
    model = small_net(begin, end)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=end is None)
    model.compile(keras.optimizers.Adam(0.02), loss)
    data = datasets.load(folder)
    model.fit(outside(data.x_train.astype(np.float32)), data.y_train, batch_size=8, epochs=15, verbose=0)
    return model


def pixels(x):
    return x


def unit(x):
    return x / np.float32(255)


def normalized(image):
    return L.Normalization(mean=[110.0, 60.0, 105.0], variance=[5000.0, 700.0, 5000.0])(image)


CASES = {  # the model's beginning, its pictures' scaling outside, the option that says so
    "Rescaling": (L.Rescaling(1 / 255), pixels, []),
    "Normalization": (normalized, pixels, []),
    "caffe": (keras.applications.resnet50.preprocess_input, pixels, []),
    "0..1": (pixels, unit, ["--input=0..1"]),
    "caffe outside": (pixels, lambda x: preprocess_input(np.array(x), mode="caffe"), ["--input=caffe"]),
}


@pytest.mark.parametrize("begin, outside, option", CASES.values(), ids=CASES.keys())
def test_a_picture_means_the_same_everywhere(begin, outside, option, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trained(folder, begin, outside).save("mine.keras")
    on_data = ["--data", str(folder), "--epochs", "1"]
    tuning = ["--method", "head", "--learning-rate", "0.001", "--batch-size", "8"]
    assert tfodl(["finetune", "--model", "mine.keras", *on_data, *tuning, *option, "--out", "tuned"]) == 0
    whole = ["--batch-size", "128", "--out", "int8"]  # every class is in the batch that ranges start at
    assert tfodl(["quantize", "--model", "tuned/model.keras", *on_data, *whole]) == 0
    assert tflm_export(["compile", "int8/model.tflite", "--out", "engine"]) == 0
    assert "warning" not in capsys.readouterr().out

    engine, model = engine_folder.load("engine"), keras.saving.load_model("tuned/model.keras")
    data = datasets.load(folder)
    x, y = outside(data.x_test.astype(np.float32)), data.y_test
    read = keras.Model(model.input, model.get_layer("first").input)(x)
    (entry,) = Interpreter(model_path="int8/model.tflite").get_input_details()
    scale, zero = entry["quantization"]
    expected = np.clip(np.round(np.asarray(read) / scale) + zero, -128, 127)
    off = engine.quantize(data.x_test) - expected
    assert np.abs(off).max() <= 1 and (off != 0).mean() < 0.002  # float32 sums, taken in another order

    answers = Simulator(engine.graph, engine.plan)
    found = [answers.logits(one[None]).argmax() for one in engine.quantize(data.x_test)]
    before = model.predict(x, verbose=0).argmax(-1)
    assert (before == y).mean() > 0.9 and (found == before).mean() > 0.95
    assert engine.plan.head and engine.contract == read_companion("int8/model.tflite")


@pytest.mark.parametrize("end", [None, "softmax"])
def test_another_scaling_that_does_better_is_named(end, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trained(folder, pixels, unit, end).save("mine.keras")
    job = ["--model", "mine.keras", "--data", str(folder), "--epochs", "1", "--out", "out"]
    assert tfodl(["quantize", *job]) == 0
    printed = capsys.readouterr().out
    assert "8x8x3 rgb, pixels as -1..1 (assumed)" in printed
    assert "warning: pixels reach the model as -1..1 (assumed)" in printed and "Give --input=0..1" in printed
    assert tfodl(["quantize", *job, "--input=0..1"]) == 0
    printed = capsys.readouterr().out
    assert "warning" not in printed and "pixels as 0..1 (--input)" in printed


def test_chance_is_a_warning_and_a_new_classifier_is_none(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for classes in (3, 1):
        end = L.Dense(classes, activation="sigmoid" if classes == 1 else None)
        net = keras.Sequential([keras.Input(SHAPE), L.Conv2D(4, 3), L.GlobalAveragePooling2D(), end])
        net.layers[-1].set_weights([np.zeros((4, classes)), np.zeros(classes)])
        net.save("mine.keras")
        job = ["--model", "mine.keras", "--data", str(folder), "--epochs", "1", "--out", "out"]
        assert tfodl(["quantize", *job]) == 0
        printed = capsys.readouterr().out
        assert ("is chance" in printed) == (classes == 3)
        assert ("its input is not checked" in printed) == (classes == 1)


def test_the_companion_is_of_one_file(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    job = ["--model", "mine.keras", "--data", str(folder), "--epochs", "1", "--out", "out"]
    trained(folder, pixels, unit).save("mine.keras")
    assert tfodl(["finetune", *job, "--method", "head", "--input=0..1"]) == 0
    saved = read_companion("out/model.keras")
    assert saved == InputContract.parse("0..1", SHAPE)
    assert f"input: {saved.text}" in (tmp_path / "out" / "plan.json").read_text().replace('"', "")
    small_net(pixels).save("out/model.keras")  # another model now
    job[1] = "out/model.keras"
    assert tfodl(["quantize", *job]) == 2
    assert "was written for another 'model.keras'" in capsys.readouterr().err
    assert tfodl(["quantize", *job, "--input=0..1"]) == 0
