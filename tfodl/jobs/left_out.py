"""Layers whose weights no device trains, kept from the rule before it chooses.

>>> layers = keras.layers
>>> model = keras.Sequential([keras.Input((9, 2)), layers.Conv1D(2, 3, dilation_rate=2, name="wide")])
>>> with left_out(model):
...     model.layers[0].trainable
left as they are, for the device cannot train dilated convolutions: wide
False
>>> model.layers[0].trainable
True
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def left_out(model: keras.Model) -> Iterator[None]:
    """Dilated convolutions of `model` are not trainable inside, and one line says so: the compiler writes
    their zeros out, and weights between zeros cannot train (docs/compiler.md)."""
    layers = [layer for layer in model._flatten_layers() if layer.trainable and _dilated(layer)]
    if layers:
        names = ", ".join(layer.name for layer in layers)
        print(f"left as they are, for the device cannot train dilated convolutions: {names}")
    for layer in layers:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in layers:
            layer.trainable = True


def _dilated(layer: keras.layers.Layer) -> bool:
    rates = getattr(layer, "dilation_rate", 1)
    return any(rate > 1 for rate in (rates if isinstance(rates, tuple | list) else (rates,)))
