"""`tiny_mobilenet`: the demo's net, small enough that a Cortex-M4 trains it in real time."""

from __future__ import annotations

import keras

from tfodl.models import blocks

# (output channels, stride of the depthwise convolution); equal shapes in and out are joined by an addition.
STAGES = ((32, 1), (64, 2), (64, 1), (96, 2), (96, 1))


def tiny_mobilenet(input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> keras.Model:
    """A small MobileNet with residual additions: at width 1, 28x28x1 and ten classes 24,608 convolution
    weights and 0.77 M multiply-accumulates a picture.

    x `[N,H,W,C]` float32, pixels / 127.5 - 1; returns `[N,classes]` logits.
    """
    image = keras.Input(input_shape, name="image")
    x = blocks.conv(image, _scaled(16, width), 3, 2, name="stem")
    for index, (filters, stride) in enumerate(STAGES):
        name, filters = f"block{index}", _scaled(filters, width)
        y = blocks.depthwise(x, 3, stride, name=f"{name}_dw")
        residual = stride == 1 and x.shape[-1] == filters
        y = blocks.conv(y, filters, 1, name=f"{name}_pw", act=None if residual else "relu6")
        x = keras.layers.Add(name=f"{name}_add")([x, y]) if residual else y
    return keras.Model(image, blocks.head(x, classes), name="tiny_mobilenet")


def _scaled(filters: int, width: float) -> int:
    return max(8, int(filters * width + 4) // 8 * 8)
