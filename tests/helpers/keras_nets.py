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


@functools.cache
def zoo_net() -> bytes:
    """10x10x3 -> 4 through pools, PAD, MUL, SUB, LOGISTIC, CONCATENATION, RELU and more."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    inputs = keras.Input((10, 10, 3))
    x = layers.Conv2D(6, 3, activation="relu")(inputs)
    a = layers.MaxPooling2D(2)(layers.Conv2D(6, 3, padding="same")(x))
    b = layers.AveragePooling2D(3, strides=2, padding="same")(layers.DepthwiseConv2D(3, padding="same")(x))
    gate = layers.Conv2D(6, 1, activation="sigmoid")(a)
    x = layers.Multiply()([b, gate])
    x = layers.Concatenate()([layers.Subtract()([x, a]), layers.ReLU()(b)])
    x = layers.ZeroPadding2D(((1, 0), (0, 2)))(layers.ReLU()(x))
    x = layers.MaxPooling2D(3, strides=1)(x)
    x = layers.Conv2D(7, 2, strides=2, activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(9, activation="relu")(x)
    x = layers.Dense(4)(x)
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(2)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    return quantized(model, rng.normal(0, 1, (32, 10, 10, 3)).astype(np.float32))


@functools.cache
def autoencoder() -> bytes:
    """24 -> 8 -> 24, dense with ReLU: trains by mean squared error."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.Input((24,)), layers.Dense(16, activation="relu"), layers.Dense(8, activation="relu")]
        + [layers.Dense(16, activation="relu"), layers.Dense(24)]
    )
    return quantized(model, np.random.default_rng(3).normal(0, 1, (32, 24)).astype(np.float32))


def random_inputs(graph, count, seed=0):
    """`count` random int8 inputs of the graph's input shape."""
    shape = graph.tensors[graph.inputs[0]].shape
    return np.random.default_rng(seed).integers(-128, 128, (count, *shape), np.int8)
