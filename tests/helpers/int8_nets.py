"""Small nets for the int8 tests, made once a session: every layer kind, trained on digits.

`python tests/helpers/int8_nets.py` trains them anew.
"""

from __future__ import annotations

import functools

import kept_weights
import keras
import numpy as np

from tfodl import convert, datasets, quantize
from tfodl.int8.graph import Int8Model
from tfodl.tasks.keras_losses import keras_metrics

L = keras.layers
FILE = "int8_nets.npz"


def digits(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [N, 14, 14, 1] in -1..1 and labels [N]."""
    data = datasets.load("digits")
    chosen = np.sort(np.random.default_rng(0).permutation(len(data.x_train))[:count])
    return data.x_train[chosen, ::2, ::2].astype(np.float32) / 127.5 - 1, data.y_train[chosen]


def conv_bn_relu(x, filters, stride, name):
    x = L.Conv2D(filters, 3, stride, "same", use_bias=False, name=name)(x)
    return L.ReLU(6.0)(L.BatchNormalization(momentum=0.5, name=f"{name}_bn")(x))


def residual_net(classes: int = 10) -> keras.Model:
    """Conv, padded and plain depthwise, residual, pooling, dense; batch norm everywhere."""
    image = keras.Input((14, 14, 1))
    x = skip = conv_bn_relu(image, 8, 2, "stem")
    x = L.ZeroPadding2D(1)(x)
    x = L.DepthwiseConv2D(3, padding="valid", name="dw")(x)
    x = L.ReLU()(L.BatchNormalization(momentum=0.5)(x))
    x = L.Conv2D(8, 1, name="project")(x)
    x = L.Add()([skip, L.BatchNormalization(momentum=0.5)(x)])
    x = L.SeparableConv2D(16, 3, 2, "same", activation="relu", name="sep")(x)
    x = L.Dropout(0.1)(L.GlobalAveragePooling2D()(x))
    return keras.Model(image, L.Dense(classes, name="head")(x))


def gated_net(classes: int = 10) -> keras.Model:
    """Branches joined by concatenation, a squeeze-and-excite gate, a gate on the whole map, a difference."""
    image = keras.Input((14, 14, 1))
    x = conv_bn_relu(image, 8, 2, "stem")
    wide = L.Conv2D(4, 3, padding="same", activation="relu", name="wide")(x)
    x = L.Concatenate(name="join")([L.Conv2D(4, 1, name="narrow")(x), wide, L.MaxPooling2D(3, 1, "same")(x)])
    gate = L.Conv2D(4, 1, activation="silu", name="squeeze")(L.GlobalAveragePooling2D(keepdims=True)(x))
    x = L.Multiply(name="scale")([x, L.Conv2D(16, 1, activation="sigmoid", name="excite")(gate)])
    low = L.AveragePooling2D(3, 2, "same")(x)
    high = L.Activation("sigmoid")(L.Conv2D(16, 3, 2, "same", name="detail")(x))
    x = L.Subtract(name="edges")([L.MaxPooling2D(2, 2, "same")(x), L.Multiply(name="gate")([low, high])])
    x = L.Flatten()(L.Conv2D(6, 3, activation="relu", name="last")(L.ReLU()(x)))
    return keras.Model(image, L.Dense(classes, name="head")(x))


def trained_net(gated: bool = False) -> keras.Model:
    """`residual_net` (or `gated_net`) trained on digits until it knows something."""
    return _trained_net(gated)


def qat_net(gated: bool = False) -> quantize.QATModel:
    """`trained_net` after one epoch of quantisation-aware training."""
    return _qat_net(gated)


def qat_tflite(gated: bool = False) -> bytes:
    return _qat_tflite(gated)


def ptq_tflite(gated: bool = False) -> bytes:
    return _ptq_tflite(gated)


@functools.cache
def _trained_net(gated: bool) -> keras.Model:
    model = gated_net() if gated else residual_net()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=keras_metrics("crossentropy"))
    kept_weights.give(FILE, f"trained {gated}", model)
    return model


@functools.cache
def _qat_net(gated: bool) -> quantize.QATModel:
    aware = quantize.qat(trained_net(gated), *digits(), epochs=0, calibration=32)
    kept_weights.give(FILE, f"aware {gated}", aware.model)
    return aware


def train() -> None:
    """Make the weights that are kept."""
    made = {}
    for gated in (False, True):
        keras.utils.set_random_seed(1)
        model = gated_net() if gated else residual_net()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss)
        model.fit(*digits(), epochs=20, batch_size=32, verbose=0)
        aware = quantize.qat(model, *digits(), epochs=1, learning_rate=1e-3)
        made |= {f"trained {gated}": model, f"aware {gated}": aware.model}
    kept_weights.keep(FILE, made)


@functools.cache
def _qat_tflite(gated: bool) -> bytes:
    return convert.to_int8(qat_net(gated))


@functools.cache
def _ptq_tflite(gated: bool) -> bytes:
    return quantize.ptq(trained_net(gated), digits()[0])


def int8_model(**options) -> Int8Model:
    return Int8Model(qat_tflite(), **options)


def tflm(data: bytes, x_int8: np.ndarray) -> np.ndarray:
    """Outputs int8 [N, ...] of TensorFlow Lite Micro."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(data)
    rows = []
    for sample in x_int8:
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        rows.append(interpreter.get_output(0)[0].copy())
    return np.stack(rows)


if __name__ == "__main__":
    train()
