"""The head of a model from a file: found, kept where it can be, replaced with a word where not."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers as L

from tflm_export.errors import TfodlError
from tfodl import models
from tfodl.models.head import head_of

SHAPE = (6, 6, 3)


def body():
    return [keras.Input(SHAPE), L.Conv2D(5, 3, activation="relu", name="c"), L.GlobalAveragePooling2D()]


def sequential(*head):
    return keras.Sequential([*body(), *head])


def functional(*head):
    image = x = keras.Input(SHAPE)
    for layer in [*body()[1:], *head]:
        x = layer(x)
    return keras.Model(image, x)


def nested(*head):
    image = keras.Input(SHAPE)
    top = keras.Sequential([keras.Input((5,)), *head], name="top")
    return keras.Model(image, top(keras.Sequential(body(), name="body")(image)))


KINDS = pytest.mark.parametrize("make", [sequential, functional, nested])


def loaded(model, path, classes):
    """The model as saved and loaded for so many classes, and what was said."""
    model.save(path / "m.keras")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = models.load(path / "m.keras", input_shape=SHAPE, classes=classes)
    return found, [str(one.message) for one in said if "model file" in str(one.message)]


def pictures():
    return np.random.default_rng(0).uniform(-1, 1, (7, *SHAPE)).astype(np.float32)


@KINDS
@pytest.mark.parametrize(
    "head, activation",
    [
        ([L.Dense(4, name="d")], "linear"),
        ([L.Dense(4, activation="softmax", name="d")], "softmax"),
        ([L.Dense(4, name="d"), L.Softmax()], "softmax"),
        ([L.Dense(4, name="d"), L.Activation("softmax")], "softmax"),
    ],
)
def test_a_head_that_fits_stays(make, head, activation, tmp_path):
    model = make(*[type(layer).from_config(layer.get_config()) for layer in head])
    assert head_of(model).layer.name == "d" and head_of(model).activation == activation
    found, said = loaded(model, tmp_path, 4)
    assert not said
    np.testing.assert_array_equal(found(pictures()), model(pictures()))


@KINDS
@pytest.mark.parametrize("own_layer", [False, True])
def test_one_sigmoid_is_kept_as_two_logits(make, own_layer, tmp_path):
    head = (
        [L.Dense(1, name="d"), L.Activation("sigmoid")]
        if own_layer
        else [L.Dense(1, activation="sigmoid", name="d")]
    )
    model = make(*head)
    found, said = loaded(model, tmp_path, 2)
    assert "kept as two logits" in said[0] and "sigmoid" in said[0]
    second = keras.ops.softmax(found(pictures()))[:, 1]
    np.testing.assert_allclose(second, np.asarray(model(pictures()))[:, 0], atol=1e-6)


@KINDS
def test_sigmoids_become_logits(make, tmp_path):
    model = make(L.Dense(3, activation="sigmoid", name="d"))
    found, said = loaded(model, tmp_path, 3)
    assert "3 sigmoids are left out" in said[0]
    np.testing.assert_allclose(keras.ops.sigmoid(found(pictures())), model(pictures()), atol=1e-6)


@KINDS
@pytest.mark.parametrize("activation", ["linear", "softmax", "sigmoid"])
def test_another_number_of_classes_gets_a_fresh_head_on_the_same_features(make, activation, tmp_path):
    model = make(L.Dropout(0.5), L.Dense(5, activation=activation, name="d"))
    found, said = loaded(model, tmp_path, 7)
    assert "'d' of 5 outputs" in said[0] and "replaced by a fresh one of 7" in said[0]
    assert found.output_shape == (None, 7)
    assert head_of(found).activation == ("softmax" if activation == "softmax" else "linear")
    features = [
        m.get_layer("c") if "c" in [x.name for x in m.layers] else m.get_layer("body").get_layer("c")
        for m in (model, found)
    ]
    np.testing.assert_array_equal(features[0].kernel, features[1].kernel)
    found.save(tmp_path / "again.keras")
    np.testing.assert_array_equal(
        models.load(tmp_path / "again.keras", classes=7)(pictures()), found(pictures())
    )


def two_outputs():
    model = functional(L.Dense(3))
    return keras.Model(model.input, [model.output, model.output])


REFUSED = {
    "two outputs": (two_outputs, 3, r"has 2 outputs \[\(3,\), \(3,\)\], a classifier has one"),
    "a map": (lambda: keras.Sequential(body()[:2]), 5, "add GlobalAveragePooling2D"),
    "a convolution": (
        lambda: keras.Sequential([*body()[:2], L.Conv2D(4, 1, name="top"), L.GlobalAveragePooling2D()]),
        5,
        "come from Conv2D 'top'",
    ),
    "features": (lambda: keras.Sequential(body()), 3, "only a Dense layer can be replaced"),
}


@pytest.mark.parametrize("make, classes, text", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_classifier_is_refused(make, classes, text, tmp_path):
    with pytest.raises(TfodlError, match=text):
        loaded(make(), tmp_path, classes)


def test_h5_files_are_read(tmp_path):
    model = sequential(L.Dense(3))
    model.save(tmp_path / "m.h5")
    found = models.load(tmp_path / "m.h5", input_shape=SHAPE, classes=3)
    np.testing.assert_array_equal(found(pictures()), model(pictures()))


FILES = {
    "m.tflite": "tflm-export compile",
    "m.h5": "copy the weights",
    "m.keras": "must be registered",
    "m.onnx/x": "not found",
    "m.txt": "unknown",
}


@pytest.mark.parametrize("name, text", FILES.items())
def test_what_is_no_model_is_refused(name, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "/" not in name:
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(TfodlError, match=text) as caught:
        models.load(name, input_shape=SHAPE, classes=3)
    assert "\n" not in str(caught.value)


def test_a_file_has_weights_of_its_own(tmp_path):
    sequential(L.Dense(3)).save(tmp_path / "m.keras")
    with pytest.raises(TfodlError, match="brings its own"):
        models.load(tmp_path / "m.keras", weights="imagenet")
