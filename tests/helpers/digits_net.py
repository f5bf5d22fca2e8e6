"""A small int8 net that reads real digits, with a residual block and a depthwise layer, and the digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tflm_export.front.read_tflite import read_tflite
from tflm_export.ir import Graph
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import LayerUpdate
from tfodl.datasets.digits import load_digits

FILE = Path(__file__).parents[1] / "nets/digits.tflite"

# 3x3 convolution (rows), pointwise (columns), depthwise (some channels), a bias, all of a pointwise layer.
LAYERS = (
    LayerUpdate("#0", "out", (0, 2, 5), "selected"),
    LayerUpdate("#1", "in", (1, 3, 6), "all"),
    LayerUpdate("#2", "out", (0, 1, 2, 3, 7, 11), "selected"),
    LayerUpdate("#3", "out", tuple(range(8)), "all"),
)


def small(x: np.ndarray) -> np.ndarray:
    """Every second pixel: [N, 14, 14, 1] float32 in 0..1."""
    return np.ascontiguousarray(x[:, ::2, ::2], np.float32)


def digits_net() -> bytes:
    """The net that `train` made once: what tests find of it must not hang on the machine that trains."""
    return FILE.read_bytes()


def train() -> bytes:
    """14x14x1 -> 10, trained on digits for a few epochs, then quantised."""
    import keras
    from keras import layers
    from keras_nets import quantized

    keras.utils.set_random_seed(4)
    inputs = keras.Input((14, 14, 1))
    x = layers.ReLU(6.0)(layers.Conv2D(8, 3, strides=2, padding="same")(inputs))
    y = layers.ReLU(6.0)(layers.Conv2D(16, 1)(x))
    y = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same")(y))
    x = layers.Add()([x, layers.Conv2D(8, 1)(y)])
    x = layers.ReLU()(layers.Conv2D(24, 3, strides=2)(x))
    x = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    data = load_digits()
    pictures = small(data.x_train)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(pictures, data.y_train, batch_size=32, epochs=6, verbose=0)
    return quantized(model, pictures[:64])


def target_digits(graph: Graph, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits as a badly mounted device sees them: int8 [count, 1, 14, 14, 1] and labels [count]."""
    data = load_digits("target")
    return to_int8(graph, data.x_train[:count]), data.y_train[:count]


def to_int8(graph: Graph, x: np.ndarray) -> np.ndarray:
    """Digits [N, 28, 28, 1] as the graph's input: int8 [N, 1, 14, 14, 1]."""
    quant = tensor_quant(graph, graph.inputs[0])
    q = np.rint(small(x) / quant.scale[0]) + quant.zero_point[0]
    return np.clip(q, -128, 127).astype(np.int8)[:, None]


def forward_graph() -> Graph:
    """The net as read."""
    return read_tflite(digits_net())


if __name__ == "__main__":
    FILE.write_bytes(train())
