"""Activation functions -> nodes.

>>> import keras
>>> layer = keras.layers.Activation("silu", name="a")
>>> [(node.kind, node.name, node.inputs) for node in activation_nodes(layer, 4)]
[('Sigmoid', 'a/sigmoid', (4,)), ('Multiply', 'a', (4, -1))]
"""

from __future__ import annotations

from typing import Any

from tflm_export.errors import TfodlError
from tfodl.quantize.folding.folded import Node

PREVIOUS = -1  # as an input: the node before, -2 the one before that
KINDS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "hard_silu": "HardSwish", "softmax": "Softmax"}
ACTIVATIONS = ("linear", "relu", "relu6", "silu", *KINDS)
SYNONYMS = {"swish": "silu", "hard_swish": "hard_silu"}


def activation_nodes(layer: Any, source: int = PREVIOUS) -> list[Node]:
    """The activation of `layer`, applied to node `source`; [] for a linear one."""
    name, kind = str(layer.name), type(layer).__name__
    function = getattr(layer, "activation", None)
    called = getattr(function, "__name__", "linear") if function is not None else "linear"
    called = SYNONYMS.get(called, called)
    if called not in ACTIVATIONS:
        raise TfodlError(
            f"{kind} {name!r}: activation {called!r} has no int8 form here; allowed: "
            f"{', '.join(ACTIVATIONS)}."
        )
    own = name if kind == "Activation" else f"{name}/{called}"
    if called == "silu":  # x sigmoid(x)
        again = source - 1 if source < 0 else source
        return [
            Node("Sigmoid", f"{own}/sigmoid", (source,)),
            Node("Multiply", own, (again, PREVIOUS)),
        ]
    if called in ("relu", "relu6"):
        return [Node("ReLU", own, (source,), {"max_value": 6.0 if called == "relu6" else None})]
    return [] if called == "linear" else [Node(KINDS[called], own, (source,))]
