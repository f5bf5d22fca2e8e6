"""Parameter counts against the published ones, heads, weights by name, and clear refusals."""

import math

import keras
import numpy as np
import pytest

from tfodl import TfodlError, models


def trainable(model):
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def conv_weights(model):
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    return sum(math.prod(layer.weights[0].shape) for layer in model.layers if isinstance(layer, kinds))


# Keras' documentation (MobileNet), MLPerf Tiny's reference models.
TOTALS = [
    ("mobilenet_v1", (224, 224, 3), 1000, 4_253_864),
    ("mobilenet_v2", (224, 224, 3), 1000, 3_538_984),
    ("resnet8", (32, 32, 3), 10, 78_666),
    ("ds_cnn", (49, 10, 1), 12, 24_908),
    ("autoencoder", (640,), None, 269_992),
]
# torchvision's ResNet18 and 50; He et al.'s ResNet32 is "0.46 M" (section 4.2).
TRAINABLE = [
    ("resnet18", (224, 224, 3), 1000, 11_689_512),
    ("resnet50", (224, 224, 3), 1000, 25_557_032),
    ("resnet32", (32, 32, 3), 10, 464_154),
]
# The velocity paper's tables; the 256 KB paper's published weight files.
CONV_WEIGHTS = [
    ("mobilenet_v2", 1000, 2_189_760),
    ("resnet18", 1000, 11_166_912),
    ("resnet50", 1000, 23_454_912),
    ("mcunet-5fps", 1000, 463_216),
    ("proxyless-w0.3", 1000, 320_816),
    ("mbv2-w0.35", 1000, 238_688),
]


@pytest.mark.parametrize(("name", "shape", "classes", "count"), TOTALS)
def test_total_parameters_are_the_published_ones(name, shape, classes, count):
    assert models.build(name, input_shape=shape, classes=classes).count_params() == count


@pytest.mark.parametrize(("name", "shape", "classes", "count"), TRAINABLE)
def test_trainable_parameters_are_the_published_ones(name, shape, classes, count):
    assert trainable(models.build(name, input_shape=shape, classes=classes)) == count


@pytest.mark.parametrize(("name", "classes", "count"), CONV_WEIGHTS)
def test_convolution_weights_are_the_published_ones(name, classes, count):
    assert conv_weights(models.build(name, input_shape=(128, 128, 3), classes=classes)) == count


@pytest.mark.parametrize(("width", "size", "channels"), [(0.25, 96, 1), (0.35, 64, 3), (1.3, 32, 3)])
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2"])
def test_any_width_and_size(name, width, size, channels):
    model = models.build(name, input_shape=(size, size, channels), classes=3, width=width)
    assert model.output_shape == (None, 3)


def test_tiny_mobilenet_is_what_the_demo_needs():
    model = models.build("tiny_mobilenet", input_shape=(28, 28, 1), classes=10)
    kinds = {type(layer).__name__ for layer in model.layers}
    assert {"Conv2D", "DepthwiseConv2D", "BatchNormalization", "ReLU", "Add", "Dense"} <= kinds
    assert conv_weights(model) == 24_608
    assert models.build("tiny_mobilenet", input_shape=(32, 32, 3), classes=4).output_shape == (None, 4)


def test_symmetric_padding_is_pytorchs():
    """On 128 pixels a stride-2 3x3 convolution of PyTorch (padding 1) starts one pixel before the edge."""
    model = models.build("mbv2-w0.35", input_shape=(128, 128, 3), classes=2)
    kernel = model.get_layer("stem").get_weights()[0]
    stem = keras.Model(model.input, model.get_layer("stem").output)
    x = np.random.default_rng(0).normal(size=(1, 128, 128, 3)).astype(np.float32)
    corner = np.einsum("hwc,hwcf->f", x[0, :2, :2], kernel[1:, 1:])
    out = stem(x).numpy()
    assert out.shape == (1, 64, 64, 16)
    np.testing.assert_allclose(out[0, 0, 0], corner, rtol=1e-5, atol=1e-5)


def weight_file(folder, model, classes):
    """A weight file as published, with random values, for the folded form of `model`."""
    rng = np.random.default_rng(0)
    arrays = {}
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            shape = (112, classes) if layer.name == "classifier" else layer.kernel.shape
            arrays[f"{layer.name}.w"] = rng.normal(size=shape).astype(np.float32)
            bias = shape[2] if isinstance(layer, keras.layers.DepthwiseConv2D) else shape[-1]
            arrays[f"{layer.name}.b"] = rng.normal(size=bias).astype(np.float32)
    (folder / "weights").mkdir()
    np.savez(folder / "weights" / "mcunetv3_mbv2-w0.35_128.npz", **arrays)
    return arrays


def test_published_weights_by_name_with_a_head_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TFODL_DATA", str(tmp_path))
    arrays = weight_file(tmp_path, models.build("mbv2-w0.35", input_shape=(64, 64, 3), classes=2), 1000)
    model = models.build("mbv2-w0.35", input_shape=(64, 64, 3), classes=2, weights="imagenet")
    kernel, bias = model.get_layer("b16_project").get_weights()
    np.testing.assert_array_equal(kernel, arrays["b16_project.w"])
    np.testing.assert_array_equal(bias, arrays["b16_project.b"])
    columns = model.get_layer("classifier").get_weights()[0].T  # none of them is a published one
    assert not (columns[:, None] == arrays["classifier.w"].T).all(-1).any()
    whole = models.build("mbv2-w0.35", input_shape=(64, 64, 3), classes=1000, weights="imagenet")
    np.testing.assert_array_equal(whole.get_layer("classifier").get_weights()[0], arrays["classifier.w"])


def test_weights_that_are_missing_or_damaged_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TFODL_DATA", str(tmp_path))
    with pytest.raises(TfodlError, match="mcunetv3_mcunet-5fps_128.npz.*TFODL_DATA"):
        models.build("mcunet-5fps", input_shape=(64, 64, 3), classes=2, weights="imagenet")
    (tmp_path / "bad.npz").write_bytes(b"PK\3\4 cut")
    with pytest.raises(TfodlError, match="cannot be read"):
        models.build("mcunet-5fps", input_shape=(64, 64, 3), classes=2, weights=str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "other.npz", **{"stem.w": np.zeros((3, 3, 3, 8))})
    with pytest.raises(TfodlError, match="nothing fits layer 'stem'"):
        models.build("mcunet-5fps", input_shape=(64, 64, 3), classes=2, weights=str(tmp_path / "other.npz"))


BAD = [
    ({"name": "resnet9", "input_shape": (32, 32, 3), "classes": 2}, "unknown; allowed: tiny_mobilenet"),
    ({"name": "tiny_mobilenet", "input_shape": (28, 28, 1)}, "needs classes"),
    ({"name": "tiny_mobilenet", "input_shape": (28, 28, 1), "classes": 0}, "classes must be"),
    ({"name": "resnet8", "input_shape": (32, 32, 3), "classes": 2, "weights": "imagenet"}, "no weights to"),
    ({"name": "mbv2-w0.35", "input_shape": (64, 64, 3), "classes": 2, "width": 1.0}, "has no width"),
    ({"name": "resnet18", "input_shape": (), "classes": 2}, "input shape"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_requests_are_refused_in_one_line(options, message):
    with pytest.raises(TfodlError, match=message) as caught:
        models.build(**options)
    assert "\n" not in str(caught.value)


def test_load_takes_names_and_files(tmp_path):
    model = models.load("tiny_mobilenet", input_shape=(28, 28, 1), classes=10)
    model.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).uniform(-1, 1, (2, 28, 28, 1)).astype(np.float32)
    again = models.load(tmp_path / "m.keras", input_shape=(28, 28, 1), classes=10)
    np.testing.assert_array_equal(again(x), model(x))
    other = models.load(tmp_path / "m.keras", classes=3)
    assert other.output_shape == (None, 3)
    np.testing.assert_array_equal(
        other.get_layer("stem").get_weights()[0], model.get_layer("stem").get_weights()[0]
    )


def test_load_takes_keras_applications():
    model = models.load("MobileNetV3Small", input_shape=(64, 64, 3), classes=5)
    assert model.output_shape == (None, 5)


@pytest.mark.parametrize(("name", "shape"), [("tiny_mobilenet", (28, 28, 1)), ("mbv2-w0.35", (32, 32, 3))])
def test_folded_model_gives_the_same_logits(name, shape):
    model = models.build(name, input_shape=shape, classes=4)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    plain = models.folded(model)
    x = rng.uniform(-1, 1, (3, *shape)).astype(np.float32)
    np.testing.assert_allclose(plain(x), model(x), rtol=1e-3, atol=1e-3)
    convs = {layer.name: layer for layer in plain.layers if hasattr(layer, "kernel")}
    assert set(convs) == {layer.name for layer in model.layers if hasattr(layer, "kernel")}
    assert all(layer.use_bias for layer in convs.values())


@pytest.mark.parametrize(
    "begin", [keras.layers.Rescaling(1 / 255), keras.applications.resnet50.preprocess_input]
)
def test_folded_model_scales_its_input_as_before(begin, tmp_path):
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Conv2D(2, 3, name="first")(begin(image)))
    models.folded(model).save(tmp_path / "folded.keras")
    x = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)
    plain = models.load(tmp_path / "folded.keras")
    np.testing.assert_allclose(plain(x), model(x), rtol=1e-4, atol=1e-3)
    assert plain.get_layer("first").use_bias


def test_load_refuses_bad_files(tmp_path):
    with pytest.raises(TfodlError, match="not found"):
        models.load(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_bytes(b"PK\3\4 cut")
    with pytest.raises(TfodlError, match="cannot be read by Keras"):
        models.load(tmp_path / "bad.keras")
    models.build("tiny_mobilenet", input_shape=(28, 28, 1), classes=2).save(tmp_path / "m.keras")
    with pytest.raises(TfodlError, match="resize the data"):
        models.load(tmp_path / "m.keras", input_shape=(32, 32, 1))
    with pytest.raises(TfodlError, match="needs input_shape"):
        models.load("tiny_mobilenet")
