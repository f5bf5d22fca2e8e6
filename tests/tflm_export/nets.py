"""Small int8 `.tflite` files for the tests, by TensorFlow's own post-training quantisation."""

import functools
import os
import tempfile

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def quantized(model, samples):
    """A full int8 `.tflite` of a Keras model, calibrated on `samples` [N, ...] float32."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x[None]] for x in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()


@functools.cache
def mobile_net(softmax: bool = False) -> bytes:
    """12x12x2 -> 5: conv, depthwise, pointwise, a residual block with stride 1 and one with stride 2."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    inputs = x = keras.Input((12, 12, 2))
    x = layers.ReLU(6.0)(layers.Conv2D(8, 3, strides=2, padding="same")(x))
    y = layers.ReLU(6.0)(layers.Conv2D(16, 1)(x))
    y = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same")(y))
    x = layers.Add()([x, layers.Conv2D(8, 1)(y)])
    y = layers.ReLU(6.0)(layers.Conv2D(24, 1)(x))
    y = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, strides=2, padding="same")(y))
    x = layers.Conv2D(12, 1)(y)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(5, activation="softmax" if softmax else None)(x)
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(1)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, 0.3 if len(weight.shape) == 1 else 0.6, weight.shape))
    return quantized(model, rng.normal(0, 1, (32, 12, 12, 2)).astype(np.float32))


def random_inputs(graph, count, seed=0):
    """`count` random int8 inputs of the graph's input shape."""
    shape = graph.tensors[graph.inputs[0]].shape
    return np.random.default_rng(seed).integers(-128, 128, (count, *shape), np.int8)
