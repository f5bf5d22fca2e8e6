"""Building blocks: convolutions with batch norm or bias, and the head. Shapes are `[N,H,W,C]` float32."""

from __future__ import annotations

import keras
from keras import layers

MOMENTUM = 0.9  # of batch norm, as the papers train: with 0.99 a few hundred steps leave the averages behind


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int] = 1,
    *,
    name: str,
    act: str | None = "relu6",
    pad: str = "same",
    batchnorm: bool = True,
    bias: bool | None = None,
) -> keras.KerasTensor:
    """Convolution, then batch norm, then `act` (`"relu"`, `"relu6"` or None).

    bias: whether the convolution has one; by default only where there is no batch norm.
    pad: `"same"`, `"valid"`, or `"sym"`: (kernel - 1) // 2 zeros on every side, as PyTorch does.
    """
    x, keras_pad = _pad(x, kernel, pad, name)
    bias = not batchnorm if bias is None else bias
    x = layers.Conv2D(filters, kernel, stride, keras_pad, use_bias=bias, name=name)(x)
    return _norm_act(x, name, act, batchnorm)


def depthwise(
    x: keras.KerasTensor,
    kernel: int,
    stride: int = 1,
    *,
    name: str,
    act: str | None = "relu6",
    pad: str = "same",
    batchnorm: bool = True,
    bias: bool | None = None,
) -> keras.KerasTensor:
    """Depthwise convolution, then as `conv`."""
    x, keras_pad = _pad(x, kernel, pad, name)
    bias = not batchnorm if bias is None else bias
    x = layers.DepthwiseConv2D(kernel, stride, keras_pad, use_bias=bias, name=name)(x)
    return _norm_act(x, name, act, batchnorm)


def head(x: keras.KerasTensor, classes: int) -> keras.KerasTensor:
    """Global average pooling and a dense layer: `[N,classes]` logits."""
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return layers.Dense(classes, name="classifier")(x)


def _pad(
    x: keras.KerasTensor, kernel: int | tuple[int, int], pad: str, name: str
) -> tuple[keras.KerasTensor, str]:
    if pad != "sym":
        return x, pad
    border = (kernel - 1) // 2 if isinstance(kernel, int) else tuple((k - 1) // 2 for k in kernel)
    return (layers.ZeroPadding2D(border, name=f"{name}_pad")(x) if kernel != 1 else x), "valid"


def _norm_act(x: keras.KerasTensor, name: str, act: str | None, batchnorm: bool) -> keras.KerasTensor:
    if batchnorm:
        x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_bn")(x)
    if act is None:
        return x
    return layers.ReLU(6.0 if act == "relu6" else None, name=f"{name}_relu")(x)
