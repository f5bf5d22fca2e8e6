"""QAT and PTQ: accuracy kept, plans honoured, the fake-quantised model is the int8 graph, bad input."""

import keras
import numpy as np
import pytest
import tf_keras
from int8_nets import L, digits, ptq_tflite, qat_net, qat_tflite, residual_net, tflm, trained_net

from tfodl import LayerUpdate, TfodlError, UpdatePlan, quantize
from tfodl.int8.graph import Int8Model
from tfodl.quantize.folding.fold import IDENTITY, fold
from tfodl.quantize.folding.rebuild import rebuild


def accuracy(outputs, y):
    return float((outputs.argmax(axis=1) == y).mean())


def test_folding_keeps_the_function():
    x, _ = digits(32)
    expected = trained_net().predict(x, verbose=0)
    found = rebuild(fold(trained_net())).predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_nested_rescaled_preactivation_model_folds():
    """A batch norm before any convolution, a nested model, a Rescaling, a softmax."""
    inner = keras.Sequential(
        [keras.Input((6, 6, 2)), L.Conv2D(3, 3, name="c"), L.Activation("relu")], name="in"
    )
    image = keras.Input((6, 6, 2))
    x = L.BatchNormalization(name="first")(L.Rescaling(1 / 127.5, -1.0)(image))
    model = keras.Model(image, L.Dense(2, activation="softmax", name="top")(L.Flatten()(inner(x))))
    rng = np.random.default_rng(0)
    norm = model.get_layer("first")
    for variable in norm.weights:
        variable.assign(rng.uniform(0.5, 2.0, variable.shape))
    folded = fold(model)
    assert [node.name for node in folded.weighted()] == ["first", "in/c", "top"]
    x = rng.uniform(0, 255, (4, 6, 6, 2)).astype(np.float32)
    found = rebuild(folded).predict(folded.rescaling.apply(x), verbose=0)
    np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-4)


def test_qat_stays_within_two_points_of_float():
    x, y = digits()
    floating = accuracy(trained_net().predict(x, verbose=0), y)
    assert floating > 0.7
    assert accuracy(qat_net().predict(x), y) > floating - 0.02
    int8 = Int8Model(qat_tflite())
    assert accuracy(tflm(qat_tflite(), int8.quantize_inputs(x)).astype(int), y) > floating - 0.02


def test_fake_quantisation_is_the_int8_graph_to_a_few_lsb():
    x, _ = digits(64)
    int8 = Int8Model(qat_tflite())
    (scale,) = int8.graph.tensors[int8.graph.outputs[0]].quant.scale
    difference = np.abs(int8.predict(x, verbose=0) - qat_net().predict(x)) / scale
    assert difference.mean() < 2.2  # 2.0, 9 and 12 of this net
    assert np.quantile(difference, 0.99) <= 10.0 and difference.max() <= 13.0


def test_weights_are_per_channel():
    graph = Int8Model(qat_tflite()).graph
    for op in graph.ops:
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            scale = graph.tensors[op.inputs[1]].quant.scale
            assert len(set(scale)) > 1


def test_ptq_gives_a_working_int8_model():
    x, y = digits()
    int8 = Int8Model(ptq_tflite())
    assert accuracy(int8.predict(x, verbose=0), y) > accuracy(trained_net().predict(x, verbose=0), y) - 0.05


def test_plan_is_honoured_bit_for_bit():
    x, y = digits(128)
    layers = (
        LayerUpdate("project", "out", (1, 5), "selected"),
        LayerUpdate("dw", "out", (2,)),
        LayerUpdate("sep", "in", (0, 3)),
        LayerUpdate("stem_bn", "out", (0,), "all"),
    )
    result = quantize.qat(
        trained_net(), x, y, epochs=1, learning_rate=0.01, plan=UpdatePlan(layers, head=False)
    )
    before = {node.name: node for node in fold(trained_net()).weighted()}
    changed = {}
    for node in result.trained().weighted():
        kernel = np.argwhere(node.kernel != before[node.name].kernel)
        bias = np.flatnonzero(node.bias != before[node.name].bias)
        changed[node.name] = ({tuple(row) for row in kernel}, set(bias.tolist()))
    assert changed["stem"] == (set(), set()) and changed["head"] == (set(), set())
    assert {row[-1] for row in changed["project"][0]} == {1, 5} and changed["project"][1] == {1, 5}
    assert {row[2] for row in changed["dw"][0]} == {2} and changed["dw"][1] == set()
    assert {row[2] for row in changed["sep"][0]} == {0, 3} and changed["sep/depthwise"][0] == set()


def test_a_seed_decides_everything():
    x, y = digits(64)
    runs = [quantize.qat(trained_net(), x, y, epochs=1, learning_rate=1e-3, seed=3) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].predict(x), runs[1].predict(x))


def test_tf_keras_model_goes_in_at_the_same_door():
    x, y = digits(64)
    twin = rebuild(fold(trained_net()))
    assert isinstance(twin, tf_keras.Model)
    result = quantize.qat(twin, x, y, epochs=0)
    assert accuracy(result.predict(x), y) > 0.75


def test_unknown_plan_layer_is_named():
    x, y = digits(32)
    plan = UpdatePlan((LayerUpdate("nowhere", "out", (0,)),))
    with pytest.raises(TfodlError, match="nowhere"):
        quantize.qat(trained_net(), x, y, plan=plan)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (L.LayerNormalization(), "LayerNormalization.*allowed"),
        (L.Conv2D(4, 3, activation="gelu"), "gelu"),
        (L.ReLU(4.0), "max_value 4.0"),
        (L.ELU(), "ELU"),
        (L.Conv2D(4, 3, groups=2), "groups 2"),
    ],
)
def test_layers_without_int8_form_are_named(layer, message):
    model = keras.Sequential([keras.Input((8, 8, 2)), layer, L.Flatten(), L.Dense(2)])
    with pytest.raises(TfodlError, match=message):
        fold(model)


@pytest.mark.parametrize("case", ["nan", "one class", "classes", "shape", "text"])
def test_bad_data(case):
    x, y = digits(16)
    x, y = x.copy(), y.copy()
    if case == "nan":
        x[3, 0, 0] = np.nan
    elif case == "one class":
        y[:] = 2
    elif case == "classes":
        y[0] = 10
    elif case == "shape":
        x = x[:, :7]
    else:
        y = np.array(["a"] * len(y))
    with pytest.raises(TfodlError) as caught:
        quantize.qat(residual_net(), x, y)
    assert "\n" not in str(caught.value)


def _normalization():
    return L.Normalization(mean=[120.0, 110.0, 90.0], variance=[2500.0, 1600.0, 900.0])


BEGINNINGS = {  # what stands between the input and the first convolution
    "Rescaling": lambda x: L.Rescaling(1 / 127.5, -1.0)(x),
    "Rescaling by channel": lambda x: L.Rescaling([0.01, 0.02, 0.03], [1.0, 2.0, 3.0])(x),
    "Normalization": lambda x: _normalization()(x),
    "both": lambda x: L.Normalization(mean=0.5, variance=0.05)(L.Rescaling(1 / 255)(x)),
    "-1..1": keras.applications.mobilenet_v2.preprocess_input,
    "caffe": keras.applications.resnet50.preprocess_input,
    "torch": lambda x: keras.applications.imagenet_utils.preprocess_input(x, mode="torch"),
    "arithmetic": lambda x: 3.0 - keras.ops.multiply((x - 100.0), 2.0) / np.array([10.0, 20.0, 30.0]),
    "reversed": lambda x: L.Rescaling([0.1, 0.2, 0.3])(x[..., ::-1]) + 1.0,
    "reversed, all axes": lambda x: x[:, :, :, ::-1] - 100.0,
    "behind flips": lambda x: L.Rescaling(1 / 255)(L.RandomFlip()(x)),
}


def begun(beginning):
    """8x8x3 -> 2, with `beginning` before the first convolution."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", name="c")(beginning(image))
    return keras.Model(image, L.Dense(2, name="d")(L.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS.keys())
def test_a_beginning_that_scales_the_input_folds(beginning, tmp_path):
    begun(beginning).save(tmp_path / "m.keras")
    model = keras.saving.load_model(tmp_path / "m.keras")
    x = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)
    folded = fold(model)
    assert [node.kind for node in folded.nodes[:2]] == ["Input", "Conv2D"]
    found = rebuild(folded)(folded.rescaling.apply(x))
    np.testing.assert_allclose(found, model(x, training=False), rtol=1e-4, atol=1e-3)


def test_an_input_read_in_two_scales_is_refused():
    image = keras.Input((8, 8, 3))
    a, b = L.Conv2D(2, 3, name="a")(image), L.Conv2D(2, 3, name="b")(L.Rescaling(0.5)(image))
    model = keras.Model(image, L.Dense(2)(L.Flatten()(L.Add()([a, b]))))
    with pytest.raises(TfodlError, match="'b' reads the input scaled otherwise"):
        fold(model)


def test_a_constant_that_widens_the_input_is_no_scaling_of_it():
    image = keras.Input((8, 8, 1))
    coloured = image * np.array([1.0, 2.0, 3.0], np.float32)
    model = keras.Model(image, L.Dense(2)(L.Flatten()(L.Conv2D(2, 3)(coloured))))
    with pytest.raises(TfodlError, match="1 input and a constant"):
        fold(model)


MIDDLES = {  # arithmetic behind a convolution of 4 channels, and the kinds of node that it becomes
    "after a convolution": (lambda x: L.Rescaling([0.5, 1.0, 2.0, 4.0], 0.1)(x), []),
    "after a pool": (
        lambda x: L.Rescaling(0.5, 1.0)(L.MaxPooling2D(2)(x)),
        ["MaxPooling2D", "DepthwiseConv2D"],
    ),
    "hard sigmoid": (lambda x: L.ReLU(6.0)(x + 3.0) * (1.0 / 6.0), ["ReLU", "DepthwiseConv2D"]),
}


@pytest.mark.parametrize("middle, kinds", MIDDLES.values(), ids=MIDDLES.keys())
def test_arithmetic_in_the_middle_is_kept(middle, kinds):
    model = begun(lambda image: middle(L.Conv2D(4, 3, name="before")(image)))
    folded = fold(model)
    assert [node.kind for node in folded.nodes[2:-3]] == kinds
    x = np.random.default_rng(0).normal(0, 3, (3, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(rebuild(folded)(x), model(x, training=False), rtol=1e-4, atol=1e-4)


def test_arithmetic_on_a_flat_input_is_named():
    model = keras.Sequential(
        [keras.Input((8, 8, 2)), L.GlobalAveragePooling2D(), L.Rescaling(0.5, name="half"), L.Dense(2)]
    )
    with pytest.raises(TfodlError, match="scaling 'half': on a flat input"):
        fold(model)


ARGUMENTS = {"RandomTranslation": (0.2, 0.2), "RandomPosterization": ([0, 255],)}
WITHOUT = {"AugMix", "ActivityRegularization", "CutMix", "MixUp", "RandAugment", "RandomColorJitter"}
WITHOUT |= {"RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale"}
WITHOUT |= {"RandomInvert", "RandomPerspective", "RandomShear"}


@pytest.mark.parametrize("name", sorted(IDENTITY))
def test_what_the_folding_leaves_out_does_nothing_at_inference(name):
    layer = getattr(L, name)(*(() if name in WITHOUT else ARGUMENTS.get(name, (0.2,))))
    x = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(layer(x, training=False), x)
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, L.Dense(2)(L.Flatten()(layer(image))))
    assert [node.kind for node in fold(model).nodes] == ["Input", "Reshape", "Dense"]
