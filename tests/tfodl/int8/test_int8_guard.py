"""Data that an int8 model can make nothing of: one clear line at every entry, the weights as they were."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from int8_nets import digits, int8_model

from tfodl import TfodlError
from tfodl.datasets.training_data import check_training_data

CASES = {
    "nan": "NaN or infinity",
    "classes": "0..9",
    "half": "0..9",
    "shape": r"inputs must be \[N.*, 14, 14, 1\], got \[.*13,? 14,? 1\]",
    "count": "labels? .*15",
    "columns": r"labels must be .*\[(N|16), 7\]",
    "text": "numbers",
    "none": r"labels",
}


def bad(case):
    x, y = (array.copy() for array in digits(16))
    if case == "nan":
        x[3, 0, 0] = np.nan
    elif case == "classes":
        y[1] = 10
    elif case == "half":
        y = y + 0.5
    elif case == "shape":
        x = x[:, :13]
    elif case == "count":
        y = y[:15]
    elif case == "columns":
        y = np.eye(7)[y % 7]
    elif case == "text":
        x = x.astype(str)
    return x, None if case == "none" else y


ENTRIES = {
    "fit": lambda model, x, y: model.fit(x, y, verbose=0),
    "fit, tensors": lambda model, x, y: model.fit(tf.constant(x), y, verbose=0),
    "fit, data set": lambda model, x, y: model.fit(_data(x, y), verbose=0),
    "fit, validation": lambda model, x, y: model.fit(*digits(16), validation_data=(x, y), verbose=0),
    "evaluate": lambda model, x, y: model.evaluate(x, y, verbose=0),
    "train_on_batch": lambda model, x, y: model.train_on_batch(x, y),
    "test_on_batch": lambda model, x, y: model.test_on_batch(x, y),
}
INPUTS = {
    "predict": lambda model, x: model.predict(x, verbose=0),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "infer": lambda model, x: model.infer(x),
    "quantize_inputs": lambda model, x: model.quantize_inputs(x),
    "features": lambda model, x: model.features(x, "#0"),
}


def _data(x, y):
    return tf.data.Dataset.from_tensor_slices(x if y is None else (x, y)).batch(16)


@pytest.fixture(scope="module")
def model():
    model = int8_model()
    model.compile()
    model.fit(*digits(16), verbose=0)
    return model


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("case", ["nan", "classes", "shape"])
def test_every_entry_refuses(model, entry, case):
    _refused(model, CASES[case], lambda: ENTRIES[entry](model, *bad(case)), entry == "fit, validation")


@pytest.mark.parametrize("entry", ["fit", "train_on_batch"])
@pytest.mark.parametrize("case", ["half", "count", "columns", "text", "none"])
def test_training_refuses(model, entry, case):
    _refused(model, CASES[case], lambda: ENTRIES[entry](model, *bad(case)))


@pytest.mark.parametrize("entry", INPUTS)
@pytest.mark.parametrize("case", ["nan", "shape", "text"])
def test_inference_refuses(model, entry, case):
    _refused(model, CASES[case], lambda: INPUTS[entry](model, bad(case)[0]))


def _refused(model, message, call, trains=False):
    before = model.constants()
    with pytest.raises(TfodlError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert trains or all((before[name] == now).all() for name, now in model.constants().items())


def test_one_class_teaches_nothing_but_makes_a_batch(model):
    x, y = digits(16)
    with pytest.raises(TfodlError, match="every label is 3"):
        model.fit(x, np.full(16, 3), verbose=0)
    assert np.isfinite(model.train_on_batch(x, np.full(16, 3))[0])


def test_lists_small_integers_and_one_hot_rows_are_fine(model):
    x, y = digits(16)
    expected = model.evaluate(x, y, verbose=0)
    assert model.evaluate(_data(x, y[:, None].astype(np.int8)), verbose=0) == expected
    model.fit(x.tolist(), np.eye(10)[y].tolist(), verbose=0)


def test_other_losses_take_rows():
    x, y = digits(16)
    model = int8_model()
    model.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(x, np.eye(10)[y], verbose=0)
    with pytest.raises(TfodlError, match=r"targets must be \[N, 10\], got \[N, 7\]"):
        model.fit(_data(x, np.eye(7)[y % 7]), verbose=0)
    with pytest.raises(TfodlError, match="targets hold NaN"):
        model.train_on_batch(x, np.where(np.eye(10)[y] > 0, np.nan, 0.0))


def test_rows_that_are_no_shares_are_refused():
    x = np.zeros((4, 3), np.float32)
    rows = np.random.default_rng(0).normal(size=(4, 3))
    with pytest.raises(TfodlError, match="one-hot"):
        check_training_data(x, rows, (3,), 3, "qat")
