"""`intercept`: run something else in place of a layer's `call`, for as long as a scope is open."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

Call = Callable[..., Any]


@contextlib.contextmanager
def intercept(calls: Mapping[keras.layers.Layer, Call]) -> Iterator[None]:
    """Within the scope `layer(x)` runs `calls[layer](x, ...)`; afterwards each layer is as it was.

    Works for any model (functional, subclassed, nested), since Keras looks `call` up on the layer. The
    scope goes around a whole traced function, never inside one replica of a distribution strategy: replicas
    are traced in turns, and one must not close the scope of another.
    """
    before = {layer: vars(layer).get("call") for layer in calls}
    try:
        for layer, call in calls.items():
            vars(layer)["call"] = call
        yield
    finally:
        for layer, call in before.items():
            if call is None:
                vars(layer).pop("call", None)
            else:
                vars(layer)["call"] = call
