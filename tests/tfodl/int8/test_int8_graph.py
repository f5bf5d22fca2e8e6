"""`Int8Model`: forward equal to TensorFlow Lite Micro, export back, selection, bad input."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from int8_nets import L, digits, int8_model, ptq_tflite, qat_net, qat_tflite, tflm, trained_net

import tfodl
from tfodl import LayerUpdate, TfodlError, UpdatePlan, quantize
from tfodl.int8.graph import Int8Model
from tfodl.quantize.folding.rebuild import rebuild
from tfodl.quantize.layer_map import layer_map


def pooling_net():
    """What `residual_net` lacks: both poolings, padding beyond SAME, a dense middle, softmax, two strides."""
    image = keras.Input((14, 14, 1))
    x = L.Conv2D(6, 5, 2, "same", activation="relu6")(L.ZeroPadding2D(((2, 1), (1, 2)))(image))
    x = L.AveragePooling2D(3, 2, "same")(L.MaxPooling2D(2, 1, "same")(x))
    x = L.Dense(12, activation="relu")(L.Flatten()(x))
    return keras.Model(image, L.Dense(4, activation="softmax")(x))


@pytest.mark.parametrize("tflite", [qat_tflite, ptq_tflite])
def test_forward_is_tflite_micro_bit_for_bit(tflite):
    x, _ = digits(100)
    model = Int8Model(tflite())
    found = model.infer(x)
    assert len(np.unique(found)) > 50
    np.testing.assert_array_equal(found, tflm(tflite(), model.quantize_inputs(x)))


def test_every_op_is_exact_and_trains():
    keras.utils.set_random_seed(3)
    x, _ = digits(40)
    tflite = quantize.ptq(pooling_net(), x)
    model = Int8Model(tflite)
    kinds = {op.kind for op in model.graph.ops}
    assert {"MAX_POOL_2D", "AVERAGE_POOL_2D", "SOFTMAX", "PAD"} <= kinds
    np.testing.assert_array_equal(model.infer(x), tflm(tflite, model.quantize_inputs(x)))
    model.compile(tfodl.QAS(keras.optimizers.SGD(0.05)))
    before = model.constants()
    model.fit(x, np.arange(40) % 4, epochs=2, batch_size=8, verbose=0)
    after = model.constants()
    assert all((before[name] != after[name]).any() for name in before if before[name].dtype == np.int8)
    np.testing.assert_array_equal(model.infer(x), tflm(model.to_tflite(), model.quantize_inputs(x)))


def test_wide_sums_stay_exact():
    """600 products of 255 and 127 pass 2^24: float32 alone would lose bits."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((600,)), L.Dense(3)])
    model.layers[0].set_weights([np.full((600, 3), 0.5) + rng.uniform(0, 0.01, (600, 3)), rng.normal(size=3)])
    x = rng.uniform(0, 1, (30, 600)).astype(np.float32)
    x[0] = 1.0
    tflite = quantize.ptq(model, x)
    int8 = Int8Model(tflite)
    np.testing.assert_array_equal(int8.infer(x), tflm(tflite, int8.quantize_inputs(x)))


def test_trained_model_is_a_tflite_again(tmp_path):
    x, y = digits(64)
    model = int8_model()
    model.compile(tfodl.QAS(keras.optimizers.SGD(0.02, momentum=0.9)))
    model.fit(x, y, epochs=1, batch_size=16, verbose=0)
    data = model.to_tflite()
    assert len(data) == len(qat_tflite()) and data != qat_tflite()
    np.testing.assert_array_equal(tflm(data, model.quantize_inputs(x)), model.infer(x))
    (tmp_path / "m.tflite").write_bytes(data)
    np.testing.assert_array_equal(Int8Model(tmp_path / "m.tflite").infer(x), model.infer(x))


def test_weights_read_back_from_a_board():
    model, x = int8_model(), digits(16)[0]
    name = next(name for name, value in model.constants().items() if value.ndim == 4)
    board = np.clip(model.constants()[name].astype(int) + 3, -127, 127).astype(np.int8)
    model.load_constants({name: board})
    np.testing.assert_array_equal(model.constants()[name], board)
    np.testing.assert_array_equal(tflm(model.to_tflite(), model.quantize_inputs(x)), model.infer(x))
    with pytest.raises(TfodlError, match="expected"):
        model.load_constants({name: board[:1]})


def test_qas_learns_in_int8_what_float_learns():
    """The float twin, int8 with and without scaling: same rate, same batches, labels moved by one."""
    x, y = digits(256)
    y = (y + 1) % 10
    options = {"epochs": 3, "batch_size": 16, "shuffle": False, "verbose": 0}
    twin = rebuild(qat_net().trained())
    twin.compile("sgd", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    twin.optimizer.learning_rate = 0.005
    floating = twin.fit(x, y, **options).history["loss"]
    losses = {}
    for name, wrap in {"qas": tfodl.QAS, "plain": lambda optimizer: optimizer}.items():
        model = int8_model()
        model.compile(wrap(keras.optimizers.SGD(0.005)))
        losses[name] = model.fit(x, y, **options).history["loss"]
    assert floating[-1] < 0.7 * floating[0]
    np.testing.assert_allclose(losses["qas"], floating, rtol=0.1)
    assert losses["plain"][-1] > 0.9 * losses["plain"][0]


def test_frozen_channels_keep_their_integers():
    x, y = digits(64)
    model = int8_model()
    group = model.groups[2]
    model.set_plan(UpdatePlan((LayerUpdate(group.layer, "out", (0, 3), "selected"),), head=False))
    before = model.constants()
    model.compile(keras.optimizers.Adam(0.5))
    model.fit(x, y, epochs=1, batch_size=16, verbose=0)
    changed = {n: np.argwhere(v != before[n]) for n, v in model.constants().items() if (v != before[n]).any()}
    assert 1 <= len(changed) <= 2
    assert all(set(rows[:, 0]) <= {0, 3} for rows in changed.values())


def test_velocity_selects_neurons_of_the_int8_graph():
    x, y = digits(96)
    model = int8_model()
    model.compile(tfodl.QAS(keras.optimizers.SGD(0.02)))
    callback = tfodl.VelocitySelection(0.3, x[:16])
    history = model.fit(x[16:], y[16:], epochs=3, batch_size=16, verbose=0, callbacks=[callback])
    assert len(callback.plans) == 3
    assert {layer.name for layer in callback.plans[-1].layers} <= {group.layer for group in model.groups}
    assert 0 < history.history["updated_share"][-1] <= 0.3


def test_plan_of_the_int8_model_is_addressed_to_ops():
    from tflm_export.gradients.training_graph import training_graph
    from tfodl.quantize.layer_map import address

    model = int8_model()
    plan = UpdatePlan((LayerUpdate(model.groups[1].layer, "out", (0,), "selected"),))
    device = address(plan, model, model.to_tflite())
    assert device.layers[0].name == model.groups[1].layer.replace("op_", "#")
    training_graph(model.graph, device)


def test_features_feed_the_upper_half():
    x, y = digits(32)
    whole = int8_model()
    first = f"#{whole.groups[2].layer.removeprefix('op_')}"
    with pytest.raises(TfodlError, match="begin where it is one"):
        Int8Model(qat_tflite(), first=first)  # inside the residual block
    first = f"#{whole.groups[3].layer.removeprefix('op_')}"
    upper = Int8Model(qat_tflite(), first=first)
    features = whole.features(x, first)
    np.testing.assert_array_equal(upper.infer(features), whole.infer(x))
    upper.compile(tfodl.QAS(keras.optimizers.SGD(0.05)))
    upper.fit(features, y, epochs=1, batch_size=8, verbose=0)
    np.testing.assert_array_equal(tflm(upper.to_tflite(), whole.quantize_inputs(x)), upper.infer(features))


def test_keras_save_and_load(tmp_path):
    x, y = digits(32)
    model = int8_model()
    model.compile()
    model.fit(x, y, batch_size=8, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.infer(x), model.infer(x))


def test_files_that_are_no_int8_model(tmp_path):
    float_model = tf.lite.TFLiteConverter.from_keras_model(trained_net()).convert()
    with pytest.raises(TfodlError, match="int8"):
        Int8Model(float_model)
    with pytest.raises(TfodlError, match="not a .tflite"):
        Int8Model(b"nothing")
    with pytest.raises(TfodlError, match="cannot read"):
        Int8Model(tmp_path / "none.tflite")
    with pytest.raises(TfodlError, match="path or the bytes.*got Functional"):
        Int8Model(trained_net())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"rounding": "down"}, "rounding.*'down'"),
        ({"seed": -1}, "seed.*-1"),
        ({"gradients": "int8"}, "gradients.*'int8'"),
        ({"plan": "head"}, "UpdatePlan.*'head'"),
        ({"first": "op_3"}, "no op 'op_3'"),
    ],
)
def test_bad_options(option, message):
    with pytest.raises(TfodlError, match=message):
        int8_model(**option)


def converted(*layers):
    """The plain converter's int8 `.tflite` of layers on 4x4 maps."""
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Sequential([keras.Input((4, 4, 2)), *layers]))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    rng = np.random.default_rng(0)
    converter.representative_dataset = lambda: (
        [row[None]] for row in rng.normal(size=(8, 4, 4, 2)).astype("f")
    )
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


@pytest.mark.parametrize(("layer", "kind"), [(L.Softmax(), "SOFTMAX"), (L.ELU(), "ELU")])
def test_op_that_cannot_be_trained_is_named(layer, kind):
    with pytest.raises(TfodlError, match=kind) as caught:
        Int8Model(converted(L.Conv2D(2, 1), layer, L.Flatten(), L.Dense(2)))
    assert "allowed" in str(caught.value) and "\n" not in str(caught.value)


def test_padded_shortcuts_go_all_the_way():
    """Option A of residual nets: a shortcut that is subsampled and filled up with zero channels."""
    rng = np.random.default_rng(0)
    image = keras.Input((8, 8, 4))
    skip = keras.ops.pad(L.AveragePooling2D(1, 2)(image), [(0, 0), (0, 0), (0, 0), (0, 4)])
    y = L.Add()([L.Conv2D(8, 3, 2, "same", name="a")(image), skip])
    model = keras.Model(image, L.Dense(3, name="top")(L.GlobalAveragePooling2D()(L.ReLU()(y))))
    x = rng.normal(size=(32, 8, 8, 4)).astype(np.float32)
    result = quantize.qat(model, x, rng.integers(0, 3, 32), epochs=1)
    tflite = result.to_int8()
    int8 = Int8Model(tflite)
    assert sorted(layer_map(result, tflite)) == ["a", "top"]
    np.testing.assert_array_equal(int8.infer(x), tflm(tflite, int8.quantize_inputs(x)))
