"""How a model takes its pictures, found in the model."""

import keras
import numpy as np
import pytest
from keras import layers as L

from tfodl.models import build
from tfodl.models.scaling import device_contract, find_contract
from tfodl.quantize.folding.fold import fold

SHAPE = (8, 8, 3)


def model_of(*begin, name=None):
    """8x8x3 -> 2, functional, with the layers or functions `begin` first."""
    x = image = keras.Input(SHAPE)
    for step in begin:
        x = step(x)
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(x))
    return keras.Model(image, L.Dense(2)(x), **({"name": name} if name else {}))


def nested(*begin, name="inner"):
    inner = keras.Sequential([keras.Input(SHAPE), *begin, L.Conv2D(4, 3)], name=name)
    image = keras.Input(SHAPE)
    return keras.Model(image, L.Dense(2)(L.Flatten()(inner(L.RandomFlip()(image)))))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.scale, self.flat, self.head = L.Rescaling(1 / 255), L.Flatten(), L.Dense(2)

    def call(self, x):
        return self.head(self.flat(self.scale(x)))


def called_subclass():
    model = Subclassed()
    model(np.zeros((1, *SHAPE), np.float32))
    return model


def wrapped_subclass():
    image = keras.Input(SHAPE)
    return keras.Model(image, Subclassed()(image))


PIXELS = {  # the model, what it takes
    "Rescaling": (lambda: model_of(L.Rescaling(1 / 255)), (0, 255)),
    "Rescaling of 0..1": (lambda: model_of(L.Rescaling(2.0, -1.0)), (0, 1)),
    "Normalization": (lambda: model_of(L.Normalization(mean=120.0, variance=3600.0)), (0, 255)),
    "Normalization of 0..1": (lambda: model_of(L.Normalization(mean=0.45, variance=0.05)), (0, 1)),
    "Sequential": (
        lambda: keras.Sequential([keras.Input(SHAPE), L.Rescaling(1 / 255), L.Flatten()]),
        (0, 255),
    ),
    "behind a flip": (lambda: model_of(L.RandomFlip(), L.Rescaling(1 / 127.5, -1)), (0, 255)),
    "arithmetic": (lambda: model_of(keras.applications.mobilenet_v2.preprocess_input), (0, 255)),
    "BGR inside": (lambda: model_of(keras.applications.resnet50.preprocess_input), (0, 255)),
    "nested": (lambda: nested(L.Rescaling(1 / 255)), (0, 255)),
    "subclassed": (called_subclass, (0, 255)),
    "a subclassed one inside": (wrapped_subclass, (0, 255)),
    "nothing": (lambda: model_of(), (-1, 1)),
    "ours": (lambda: build("tiny_mobilenet", input_shape=SHAPE, classes=2), (-1, 1)),
    "our ResNet50": (lambda: build("resnet50", input_shape=(32, 32, 3), classes=2, width=0.1), (-1, 1)),
    "a nested MobileNetV2": (lambda: nested(name="mobilenetv2_0.35_96"), (-1, 1)),
    "a nested ResNet50V2": (lambda: nested(name="resnet50v2"), (-1, 1)),
    "a nested DenseNet": (lambda: nested(name="densenet121"), (-0.485 / 0.229, (1 - 0.406) / 0.225)),
    "a nested VGG16": (lambda: nested(name="vgg16"), (-123.68, 255 - 103.939)),
}


@pytest.mark.parametrize("make, pixels", PIXELS.values(), ids=PIXELS.keys())
def test_what_a_model_takes(make, pixels):
    contract = find_contract(make(), SHAPE)
    low, high = contract.range
    assert (low, high) == pytest.approx(pixels)
    assert contract.order == ("bgr" if pixels[0] == -123.68 else "rgb")


@pytest.mark.parametrize(
    "begin",
    [
        L.Rescaling(1 / 255),
        L.Normalization(mean=[120.0, 110.0, 90.0], variance=[2500.0, 1600.0, 900.0]),
        keras.applications.resnet50.preprocess_input,
    ],
    ids=["Rescaling", "Normalization", "caffe"],
)
def test_the_device_s_input_is_the_scaled_one(begin):
    """The folded graph on the device's contract gives what the model gives on its own."""
    model = model_of(begin)
    pictures = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype(np.uint8)
    contract, rescaling = find_contract(model, SHAPE), fold(model).rescaling
    expected = rescaling.apply(contract.apply(pictures))
    np.testing.assert_allclose(device_contract(contract, rescaling).apply(pictures), expected, atol=1e-3)


@pytest.mark.parametrize("name", ["EfficientNetB0", "MobileNetV3Small", "EfficientNetV2B0"])
def test_keras_applications_that_scale_inside(name):
    model = getattr(keras.applications, name)(input_shape=(32, 32, 3), weights=None, include_top=False)
    assert find_contract(model, (32, 32, 3)).range == (0, 255)
