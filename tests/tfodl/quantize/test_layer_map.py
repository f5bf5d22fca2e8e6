"""Layers and ops find each other by weights, in every model; doubt is an error."""

import keras
import numpy as np
import pytest
from int8_nets import L, digits, ptq_tflite, qat_net, qat_tflite, trained_net

from tflm_export.front.read_tflite import read_tflite
from tfodl import LayerUpdate, TfodlError, UpdatePlan, models, quantize
from tfodl.int8.graph import Int8Model
from tfodl.neurons.groups import neuron_groups
from tfodl.quantize.layer_map import KINDS, address, layer_map

LAYERS = ["stem", "dw", "project", "sep/depthwise", "sep", "head"]


@pytest.mark.parametrize("tflite", [qat_tflite, ptq_tflite])
def test_every_layer_has_its_op(tflite):
    source = qat_net() if tflite is qat_tflite else trained_net()
    found = layer_map(source, tflite())
    assert sorted(found) == sorted(LAYERS)
    graph = Int8Model(tflite()).graph
    kinds = {op.name: op.kind for op in graph.ops}
    assert kinds[found["dw"]] == kinds[found["sep/depthwise"]] == "DEPTHWISE_CONV_2D"
    assert kinds[found["head"]] == "FULLY_CONNECTED"
    order = [int(found[name][1:]) for name in LAYERS]
    assert order == sorted(order)


def test_model_before_qat_still_finds_its_ops():
    assert layer_map(trained_net(), qat_tflite()) == layer_map(qat_net(), qat_tflite())


def test_plan_is_addressed_to_ops():
    layers = (LayerUpdate("project", "out", (1, 5), "selected"), LayerUpdate("stem_bn", "out", (0,), "all"))
    plan = address(UpdatePlan(layers, seed=9), qat_net(), qat_tflite())
    op = layer_map(qat_net(), qat_tflite())["project"]
    assert plan.layers == (LayerUpdate(op, "out", (1, 5), "selected"),)
    assert plan.seed == 9 and len(plan.provenance["model_sha256"]) == 64
    assert UpdatePlan.from_json(plan.to_json()) == plan


def test_candidates_are_addressed_too():
    plan = address(UpdatePlan(candidates=("dw", "head", "stem_bn")), qat_net(), qat_tflite())
    ops = layer_map(qat_net(), qat_tflite())
    assert plan.candidates == (ops["dw"], ops["head"])
    with pytest.raises(TfodlError, match="nowhere"):
        address(UpdatePlan(candidates=("nowhere",)), qat_net(), qat_tflite())


def test_channel_is_the_same_neuron_on_both_sides():
    """Silencing channel c of a layer in Keras zeroes the row c of its op."""
    model = keras.models.clone_model(trained_net())
    model.set_weights(trained_net().get_weights())
    layer = model.get_layer("project")
    kernel, bias = (np.asarray(w).copy() for w in layer.weights)
    kernel[..., 3] = 0
    layer.set_weights([kernel, bias])
    tflite = quantize.ptq(model, digits(32)[0])
    int8 = Int8Model(tflite)
    op = next(op for op in int8.graph.ops if op.name == layer_map(model, tflite)["project"])
    weights = int8.graph.tensors[op.inputs[1]].data
    assert not weights[3].any() and all(weights[c].any() for c in range(8) if c != 3)


def test_unknown_layer_and_foreign_model_are_refused():
    with pytest.raises(TfodlError, match="nowhere"):
        address(UpdatePlan((LayerUpdate("nowhere", "out", (0,)),)), qat_net(), qat_tflite())
    other = keras.Sequential(
        [keras.Input((14, 14, 1)), L.Conv2D(8, 3, 2, name="else"), L.Flatten(), L.Dense(10)]
    )
    with pytest.raises(TfodlError, match="was it made from this model"):
        layer_map(other, qat_tflite())


def test_equal_layers_are_ambiguous():
    first, second = (L.Conv2D(4, 3, padding="same", name=name) for name in "ab")
    layers = [keras.Input((6, 6, 4)), first, second, L.Flatten(), L.Dense(2)]
    model = keras.Sequential(layers)
    second.set_weights(first.get_weights())
    tflite = quantize.ptq(model, np.random.default_rng(0).normal(size=(8, 6, 6, 4)))
    with pytest.raises(TfodlError, match="cannot tell which"):
        layer_map(model, tflite)


MODELS = {  # small pictures, and widths where a net has them: every layer is there, and few weights
    "tiny_mobilenet": ((28, 28, 1), {}),
    "mobilenet_v1": ((32, 32, 3), {"width": 0.25}),
    "mobilenet_v2": ((32, 32, 3), {"width": 0.35}),
    "resnet8": ((32, 32, 3), {}),
    "resnet18": ((32, 32, 3), {"width": 0.125}),
    "resnet32": ((32, 32, 3), {}),
    "resnet50": ((32, 32, 3), {"width": 0.125}),
    "mcunet-5fps": ((32, 32, 3), {}),
    "proxyless-w0.3": ((32, 32, 3), {}),
    "mbv2-w0.35": ((32, 32, 3), {}),
    "ds_cnn": ((49, 10, 1), {}),
    "autoencoder": ((640,), {}),
}


def test_no_model_is_left_out():
    assert set(MODELS) == set(models.BUILDERS)


@pytest.mark.parametrize("name", MODELS)
def test_models_of_the_library_map_whole(name):
    shape, options = MODELS[name]
    keras.utils.set_random_seed(2)
    model = models.build(name, input_shape=shape, classes=None if name == "autoencoder" else 4, **options)
    tflite = quantize.ptq(model, np.random.default_rng(0).uniform(-1, 1, (4, *shape)))
    found = layer_map(model, tflite)
    layers = {g.layer for g in neuron_groups(model) if g.kind != "batchnorm"}
    weighted = [op.name for op in read_tflite(tflite).ops if op.kind in KINDS]
    assert set(found) == layers
    assert sorted(found.values()) == sorted(weighted)
