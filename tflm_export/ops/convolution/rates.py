"""`c[co]`: steps of an integer parameter per unit of learning rate (docs/arithmetic.md, "Update").

They follow from the requantisation of the layer, so the device computes them and flash holds no table:
`R = M 2^(n - 31) = s_x s_w / s_y`, and c is a constant of the layer times or by R.
"""

from __future__ import annotations

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops.result import output_quant, tensor_quant


def rate_factor(update: Op, layer: Op, graph: Graph, qas: bool) -> tuple[np.float32, bool]:
    """The layer's constant, and whether R divides it (QAS) or multiplies it.

    A softmax's beta is in it: the gradients are those of the loss with respect to beta times the logits.
    """
    beta = 1.0 if graph.loss is None else float(graph.loss.attrs.get("beta", 1.0))
    s_x, s_y = tensor_quant(graph, layer.inputs[0]).scale[0], output_quant(layer, graph).scale[0]
    if not qas:
        return np.float32(beta * s_y), False
    return np.float32(beta / s_y if update.kind == "BIAS_UPDATE" else beta * s_x * s_x / s_y), True


def rate_constants(update: Op, layer: Op, graph: Graph, qas: bool) -> np.ndarray:
    """`c` float32 [O]; 0 where the multiplier is 0."""
    channels = graph.tensors[layer.outputs[0]].shape[-1]
    multiplier = np.broadcast_to(np.asarray(layer.attrs["multiplier"]), (channels,)).astype(np.float32)
    shift = np.broadcast_to(np.asarray(layer.attrs["shift"]), (channels,)).astype(np.float64)
    ratio = multiplier * np.exp2(shift - 31).astype(np.float32)
    factor, inverse = rate_factor(update, layer, graph, qas)
    safe = np.where(ratio == 0, np.float32(1), ratio)
    return np.where(ratio == 0, np.float32(0), factor / safe if inverse else factor * safe).astype(np.float32)
