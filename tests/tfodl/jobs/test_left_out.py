"""Dilated convolutions stay out of the rule's reach while a job trains, and are the user's own after."""

import keras
import pytest

from tfodl import SelectiveModel
from tfodl.jobs.left_out import left_out

L = keras.layers


def net():
    inner = keras.Sequential([keras.Input((8, 8, 4)), L.DepthwiseConv2D(3, dilation_rate=2, name="deep")])
    frozen = L.Conv2D(4, 3, padding="same", dilation_rate=2, name="frozen", trainable=False)
    layers = [
        L.Conv2D(4, 1, name="plain"),
        inner,
        frozen,
        L.GlobalAveragePooling2D(),
        L.Dense(2, name="head"),
    ]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers])


def test_a_rule_does_not_see_them(capsys):
    model = net()
    with left_out(model):
        assert [group.layer for group in SelectiveModel(model).groups] == ["plain", "head"]
    assert capsys.readouterr().out.endswith("the device cannot train dilated convolutions: deep\n")
    assert [layer.name for layer in model._flatten_layers() if not layer.trainable] == ["frozen"]


def test_they_are_given_back_after_an_error():
    model = net()
    with pytest.raises(ValueError, match="no"), left_out(model):
        raise ValueError("no")
    assert model.layers[1].get_layer("deep").trainable
