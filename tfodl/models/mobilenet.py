"""MobileNetV1 and V2, any width and size, as `keras.applications` builds them, with a head of C classes."""

from __future__ import annotations

import keras

from tfodl.models import blocks


def mobilenet_v1(
    input_shape: tuple[int, int, int], classes: int, width: float = 1.0, weights: str | None = None
) -> keras.Model:
    """MobileNetV1 (Howard et al. 2017). `weights="imagenet"` downloads those of `keras.applications`
    (width .25, .5, .75 or 1; size 128, 160, 192 or 224, others start from 224's).

    x `[N,H,W,C]` float32, pixels / 127.5 - 1; returns `[N,classes]` logits.
    """
    base = keras.applications.MobileNet(
        input_shape=input_shape, alpha=width, include_top=False, weights=weights
    )
    return keras.Model(base.input, blocks.head(base.output, classes), name="mobilenet_v1")


def mobilenet_v2(
    input_shape: tuple[int, int, int], classes: int, width: float = 1.0, weights: str | None = None
) -> keras.Model:
    """MobileNetV2 (Sandler et al. 2018). `weights="imagenet"` downloads those of `keras.applications`
    (width .35, .5, .75, 1, 1.3 or 1.4; size 96 to 224, others start from 224's).

    x `[N,H,W,C]` float32, pixels / 127.5 - 1; returns `[N,classes]` logits.
    """
    base = keras.applications.MobileNetV2(
        input_shape=input_shape, alpha=width, include_top=False, weights=weights
    )
    return keras.Model(base.input, blocks.head(base.output, classes), name="mobilenet_v2")
