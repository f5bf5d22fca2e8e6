"""Residual networks (He et al. 2016): ResNet8 and 32 for 32x32 pictures, ResNet18 and 50 for ImageNet's."""

from __future__ import annotations

import keras
from keras import layers

from tfodl.models import blocks


def resnet8(input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> keras.Model:
    """MLPerf Tiny's image classification net: three stages of one block, 16, 32 and 64 filters, convolutions
    with bias and batch norm, 78,666 parameters at 32x32x3 and ten classes.

    x `[N,H,W,C]` float32; returns `[N,classes]` logits.
    """
    return _small_resnet("resnet8", input_shape, classes, width, blocks_a_stage=1, projection=True)


def resnet32(input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> keras.Model:
    """He et al.'s CIFAR net: three stages of five blocks, 16, 32 and 64 filters, identity shortcuts
    (subsampled and padded with zero channels), 0.46 M parameters.

    x `[N,H,W,C]` float32; returns `[N,classes]` logits.
    """
    return _small_resnet("resnet32", input_shape, classes, width, blocks_a_stage=5, projection=False)


def resnet18(input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> keras.Model:
    """ResNet-18: 11,166,912 convolution weights at width 1.

    x `[N,H,W,C]` float32; returns `[N,classes]` logits.
    """
    image = keras.Input(input_shape, name="image")
    x = _stem(image, int(64 * width))
    for stage in range(4):
        for block in range(2):
            stride = 2 if stage and not block else 1
            x = _basic(x, int(64 * width) << stage, stride, f"stage{stage}_{block}", projection=True)
    return keras.Model(image, blocks.head(x, classes), name="resnet18")


def resnet50(
    input_shape: tuple[int, int, int], classes: int, width: float = 1.0, weights: str | None = None
) -> keras.Model:
    """ResNet-50: 23,454,912 convolution weights at width 1. `weights="imagenet"` downloads those of
    `keras.applications` and wants width 1.

    x `[N,H,W,C]` float32; returns `[N,classes]` logits.
    """
    if weights is not None:
        base = keras.applications.ResNet50(input_shape=input_shape, include_top=False, weights=weights)
        return keras.Model(base.input, blocks.head(base.output, classes), name="resnet50")
    image = keras.Input(input_shape, name="image")
    x = _stem(image, int(64 * width))
    for stage, count in enumerate((3, 4, 6, 3)):
        for block in range(count):
            stride = 2 if stage and not block else 1
            x = _bottleneck(x, int(64 * width) << stage, stride, f"stage{stage}_{block}")
    name = f"resnet50_{width:g}"  # plain "resnet50" is keras.applications', whose pixels are scaled otherwise
    return keras.Model(image, blocks.head(x, classes), name=name)


def _stem(image: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    x = blocks.conv(image, filters, 7, 2, name="stem", act="relu")
    return layers.MaxPooling2D(3, 2, "same", name="stem_pool")(x)


def _basic(
    x: keras.KerasTensor, filters: int, stride: int, name: str, projection: bool, bias: bool = False
) -> keras.KerasTensor:
    y = blocks.conv(x, filters, 3, stride, name=f"{name}_a", act="relu", bias=bias)
    y = blocks.conv(y, filters, 3, name=f"{name}_b", act=None, bias=bias)
    if stride > 1 or x.shape[-1] != filters:
        x = (
            blocks.conv(x, filters, 1, stride, name=f"{name}_skip", act=None, batchnorm=not bias)
            if projection
            else _pad_channels(x, filters, stride, name)
        )
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, x]))


def _bottleneck(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
    y = blocks.conv(x, filters, 1, name=f"{name}_a", act="relu")
    y = blocks.conv(y, filters, 3, stride, name=f"{name}_b", act="relu")
    y = blocks.conv(y, 4 * filters, 1, name=f"{name}_c", act=None)
    if x.shape[-1] != 4 * filters:
        x = blocks.conv(x, 4 * filters, 1, stride, name=f"{name}_skip", act=None)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, x]))


def _pad_channels(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
    """He et al.'s option A: subsample, and fill up with zero channels."""
    x = layers.AveragePooling2D(1, stride, name=f"{name}_subsample")(x)
    return keras.ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, filters - x.shape[-1])])


def _small_resnet(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    width: float,
    blocks_a_stage: int,
    projection: bool,
) -> keras.Model:
    image = keras.Input(input_shape, name="image")
    x = blocks.conv(image, int(16 * width), 3, name="stem", act="relu", bias=projection)
    for stage in range(3):
        for block in range(blocks_a_stage):
            stride = 2 if stage and not block else 1
            x = _basic(
                x, int(16 * width) << stage, stride, f"stage{stage}_{block}", projection, bias=projection
            )
    return keras.Model(image, blocks.head(x, classes), name=name)
