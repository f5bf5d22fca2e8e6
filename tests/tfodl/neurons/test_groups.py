"""`neuron_groups`: what is found, how it is named, which layers follow which."""

from __future__ import annotations

import keras
import pytest
from selective_nets import small_net

import tfodl
from tflm_export.errors import TfodlError


@pytest.fixture(scope="module")
def groups():
    return {group.layer: group for group in tfodl.neuron_groups(small_net())}


def test_every_supported_layer_in_call_order(groups):
    assert list(groups) == [
        "stem", "stem_norm", "depthwise", "depthwise_norm", "inner/project", "inner/norm",
        "separable/depthwise", "separable", "hidden", "head",
    ]  # fmt: skip


def test_shapes_and_true_parameter_counts(groups):
    rows = [(g.weight_shape, g.channels, g.weights_per_channel, g.macs) for g in groups.values()]
    assert rows == [
        ((3, 3, 3, 8), 8, 27, 36 * 27 * 8),
        ((8,), 8, 1, 0),
        ((3, 3, 8, 1), 8, 9, 36 * 9 * 8),
        ((8,), 8, 1, 0),
        ((1, 1, 8, 8), 8, 8, 36 * 64),
        ((8,), 8, 1, 0),
        ((3, 3, 8, 1), 8, 9, 16 * 9 * 8),
        ((1, 1, 8, 12), 12, 8, 16 * 96),
        ((12, 10), 10, 12, 120),
        ((10, 4), 4, 10, 40),
    ]
    assert groups["stem"].saved_activation_shape == (12, 12, 3)
    assert groups["separable"].saved_activation_shape == (4, 4, 8)


def test_who_follows_whom(groups):
    assert groups["stem"].parents == ()
    assert groups["separable/depthwise"].parents == ("inner/norm", "stem_norm")
    assert groups["separable"].parents == ("separable/depthwise",)
    assert groups["stem"].batchnorm == "stem_norm" and groups["inner/project"].batchnorm == "inner/norm"
    assert groups["separable"].batchnorm is None
    assert [name for name, group in groups.items() if group.head] == ["head"]


def test_input_axis_counts_input_channels():
    groups = {group.layer: group for group in tfodl.neuron_groups(small_net(), axis="in")}
    assert (groups["hidden"].axis, groups["hidden"].channels, groups["hidden"].weights_per_channel) == (
        "in",
        12,
        10,
    )
    assert (groups["depthwise"].axis, groups["depthwise"].channels) == ("out", 8)


def test_batch_norm_that_shares_its_input_is_not_tied():
    x = keras.Input((4, 4, 2))
    h = keras.layers.Conv2D(3, 1, name="conv")(x)
    y = keras.layers.Add()([keras.layers.BatchNormalization(name="norm")(h), h])
    groups = tfodl.neuron_groups(keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(y))))
    assert next(group for group in groups if group.layer == "conv").batchnorm is None


def test_frozen_layers_are_left_out_and_others_are_named(caplog):
    x = keras.Input((6, 6, 2))
    h = keras.layers.Conv2D(3, 1, name="conv", trainable=False)(x)
    h = keras.layers.LayerNormalization(name="layer_norm")(h)
    h = keras.layers.PReLU(name="prelu")(h)
    model = keras.Model(x, keras.layers.Dense(2, name="out")(keras.layers.Flatten()(h)))
    with caplog.at_level("WARNING"):
        groups = tfodl.neuron_groups(model)
        tfodl.neuron_groups(model)
    assert [group.layer for group in groups] == ["out"]
    named = [r.getMessage() for r in caplog.records if "layer_norm (LayerNormalization)" in r.getMessage()]
    assert len(named) == 1 and "prelu (PReLU)" in named[0]


def test_shared_layer_is_one_group_with_the_work_of_both_calls():
    shared = keras.layers.Conv2D(2, 1, name="shared")
    x = keras.Input((4, 4, 2))
    model = keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(shared(shared(x)))))
    (group, _) = tfodl.neuron_groups(model)
    assert group.macs == 2 * 16 * 6 - 2 * 16 * 2  # weights 2x2, biases apart


def test_subclassed_layer_with_its_own_call_is_not_taken_for_its_parent():
    class Odd(keras.layers.Dense):
        def call(self, inputs):
            return super().call(inputs) * 2

    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.Dense(2, name="out")(Odd(4, name="odd")(x)))
    assert [group.layer for group in tfodl.neuron_groups(model)] == ["out"]


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: keras.Sequential([keras.layers.Dense(2)]), "has no weights yet"),
        (
            lambda: keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 1)]),
            "one picture size",
        ),
        (lambda: keras.Sequential([keras.Input((3,)), keras.layers.ReLU()]), "has no trainable"),
    ],
)
def test_models_without_neurons_are_refused(make, text):
    with pytest.raises(TfodlError, match=text):
        tfodl.neuron_groups(make())
