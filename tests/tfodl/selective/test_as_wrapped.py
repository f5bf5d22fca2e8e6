"""A `SelectiveModel` as its model: layers, export; and what it says of a `fit` that nobody chose for."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

import tfodl


def wrapped(plan=None):
    keras.utils.set_random_seed(0)
    base = keras.Sequential(
        [keras.Input((6,)), L.Dense(5, activation="relu", name="a"), L.Dense(3, name="b")]
    )
    model = tfodl.SelectiveModel(base, plan)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 6)).astype(np.float32), rng.integers(0, 3, 12)


def test_layers_are_the_models():
    model = wrapped()
    assert model.layers == model.base.layers
    assert model.get_layer("a") is model.base.get_layer("a")
    assert model.get_layer(index=1) is model.base.get_layer("b")
    assert model.count_params() == model.base.count_params()


def test_an_exported_model_gives_the_same(tmp_path):
    model, (x, _) = wrapped(), data()
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(x), model.predict(x, verbose=0), atol=1e-6)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model, (x, _) = wrapped(tfodl.UpdatePlan()), data()
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.plan == model.plan


def test_a_fit_without_rule_and_plan_says_once_that_all_trains():
    model = wrapped()
    with pytest.warns(UserWarning, match="no rule and no plan: all 53 parameters train"):
        model.fit(*data(), verbose=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="SelectiveModel")
        model.fit(*data(), verbose=0)


@pytest.mark.parametrize("how", ["plan", "set_plan", "rule"])
def test_a_fit_that_somebody_chose_for_says_nothing(how):
    model = wrapped(tfodl.UpdatePlan() if how == "plan" else None)
    if how == "set_plan":
        model.set_plan(model.plan)
    rules = [tfodl.FixedSelection("all")] if how == "rule" else []
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="SelectiveModel")
        model.fit(*data(), verbose=0, callbacks=rules)


def test_two_rules_are_refused_and_the_model_goes_on():
    model = wrapped()
    before = model.get_weights()
    two = [tfodl.RandomSelection(20), tfodl.FixedSelection("head")]
    with pytest.raises(tfodl.TfodlError, match="RandomSelection and FixedSelection would both choose"):
        model.fit(*data(), verbose=0, callbacks=two)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for rule in (tfodl.RandomSelection(20), tfodl.FixedSelection("head")):
        model.fit(*data(), verbose=0, callbacks=[rule])
