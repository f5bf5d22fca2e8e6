"""MLPerf Tiny's nets for sound: the keyword spotter DS-CNN and the anomaly detector (Banbury et al. 2021)."""

from __future__ import annotations

import keras
from keras import layers

from tfodl.models import blocks


def ds_cnn(input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> keras.Model:
    """Depthwise-separable keyword spotter: 24,908 parameters at 49x10x1 and twelve classes.

    x `[N,T,F,1]` float32 (49 frames of 10 MFCCs); returns `[N,classes]` logits.
    """
    filters = int(64 * width)
    image = keras.Input(input_shape, name="image")
    x = blocks.conv(image, filters, (10, 4), (2, 2), name="stem", act="relu", bias=True)
    x = layers.Dropout(0.2, name="stem_dropout")(x)
    for index in range(4):
        x = blocks.depthwise(x, 3, name=f"block{index}_dw", act="relu", bias=True)
        x = blocks.conv(x, filters, 1, name=f"block{index}_pw", act="relu", bias=True)
    x = layers.Dropout(0.4, name="dropout")(x)
    return keras.Model(image, blocks.head(x, classes), name="ds_cnn")


def autoencoder(input_shape: tuple[int], width: float = 1.0) -> keras.Model:
    """Dense autoencoder for anomalies: 269,992 parameters for 640 inputs.

    x `[N,F]` float32 (5 frames of 128 log-mel energies); returns its reconstruction `[N,F]`.
    """
    hidden = int(128 * width)
    features = keras.Input(input_shape, name="features")
    x = features
    for index, units in enumerate((hidden,) * 4 + (8,) + (hidden,) * 4):
        x = layers.Dense(units, name=f"dense{index}")(x)
        x = layers.BatchNormalization(momentum=blocks.MOMENTUM, name=f"dense{index}_bn")(x)
        x = layers.ReLU(name=f"dense{index}_relu")(x)
    return keras.Model(features, layers.Dense(input_shape[-1], name="reconstruction")(x), name="autoencoder")
