"""The three nets of the 256 KB paper (Lin et al. 2022): mcunet-5fps, proxyless-w0.3, mbv2-w0.35.

PyTorch's symmetric padding, ReLU6, no 1280-feature layer. Layers are named `stem`, `bNN_expand`, `bNN_dw`,
`bNN_project`, as in the published weight files.
"""

from __future__ import annotations

import keras

from tflm_export.errors import TfodlError
from tfodl.models import blocks
from tfodl.models.weights import find_weights, load_folded

# One row an inverted residual block: (expanded channels, depthwise kernel, stride, output channels). The stem
# has 16 filters; the first block has no expansion. Equal shapes in and out are joined by an addition.
TABLES: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "mcunet-5fps": (
        (16, 3, 1, 8), (32, 3, 2, 16), (48, 3, 1, 16), (48, 7, 2, 24), (120, 3, 1, 24),
        (120, 3, 2, 40), (160, 7, 1, 40), (160, 5, 1, 48), (144, 3, 1, 48), (192, 3, 1, 48),
        (240, 7, 2, 96), (384, 5, 1, 96), (384, 5, 1, 96), (576, 3, 1, 160),
    ),
    "proxyless-w0.3": (
        (16, 3, 1, 8), (24, 5, 2, 16), (48, 3, 1, 16), (48, 7, 2, 16), (48, 3, 1, 16),
        (48, 5, 1, 16), (48, 5, 1, 16), (96, 7, 2, 24), (72, 5, 1, 24), (72, 5, 1, 24),
        (72, 5, 1, 24), (144, 5, 1, 32), (96, 5, 1, 32), (96, 5, 1, 32), (96, 5, 1, 32),
        (192, 7, 2, 64), (384, 7, 1, 64), (192, 7, 1, 64), (192, 7, 1, 64), (384, 7, 1, 96),
    ),
    "mbv2-w0.35": (
        (16, 3, 1, 8), (48, 3, 2, 8), (48, 3, 1, 8), (48, 3, 2, 16), (96, 3, 1, 16),
        (96, 3, 1, 16), (96, 3, 2, 24), (144, 3, 1, 24), (144, 3, 1, 24), (144, 3, 1, 24),
        (144, 3, 1, 32), (192, 3, 1, 32), (192, 3, 1, 32), (192, 3, 2, 56), (336, 3, 1, 56),
        (336, 3, 1, 56), (336, 3, 1, 112),
    ),
}  # fmt: skip


def mcunet(
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    weights: str | None = None,
    batchnorm: bool = True,
) -> keras.Model:
    """Net `name` of `TABLES`. Without weights it has batch norm (or biases, as on the device, with
    `batchnorm=False`); `weights="imagenet"` takes the published ones from the data folder, whose batch norm
    is folded into biases.

    x `[N,H,W,C]` float32, pixels / 127.5 - 1; returns `[N,classes]` logits.

    Raises `TfodlError` when the weights cannot be found or the picture has not three channels.
    """
    path = find_weights(f"mcunetv3_{name}_128", name) if weights == "imagenet" else weights
    if weights is not None and input_shape[-1] != 3:
        raise TfodlError(f"model {name!r}: its weights want 3 channels, got input shape {input_shape}.")
    batchnorm = batchnorm and weights is None
    image = keras.Input(input_shape, name="image")
    x = blocks.conv(image, 16, 3, 2, name="stem", pad="sym", batchnorm=batchnorm)
    for index, row in enumerate(TABLES[name]):
        x = _inverted_residual(x, *row, name=f"b{index:02d}", expand=index > 0, batchnorm=batchnorm)
    model = keras.Model(image, blocks.head(x, classes), name=name.replace(".", "_"))
    return load_folded(model, path) if path is not None else model


def _inverted_residual(
    x: keras.KerasTensor,
    expanded: int,
    kernel: int,
    stride: int,
    filters: int,
    *,
    name: str,
    expand: bool,
    batchnorm: bool,
) -> keras.KerasTensor:
    y = blocks.conv(x, expanded, 1, name=f"{name}_expand", batchnorm=batchnorm) if expand else x
    y = blocks.depthwise(y, kernel, stride, name=f"{name}_dw", pad="sym", batchnorm=batchnorm)
    y = blocks.conv(y, filters, 1, name=f"{name}_project", act=None, batchnorm=batchnorm)
    if stride == 1 and x.shape[-1] == filters and expand:
        return keras.layers.Add(name=f"{name}_add")([x, y])
    return y
