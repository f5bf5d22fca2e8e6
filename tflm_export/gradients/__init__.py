"""The gradient functions of every op, integer and float64; `GRADIENTS` is the whole list.

Which op of the training graph computes which gradient: `training_graph.py`; what the integers mean:
docs/arithmetic.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tflm_export.gradients import broadcast, conv, elementwise, pool
from tflm_export.gradients.call import Call, Sums

__all__ = ["GRADIENTS", "SUMS", "Call", "GradientKind", "Sums"]


@dataclass(frozen=True)
class GradientKind:
    """`run(call, *inputs)` on the device's integers gives `Sums` (the shift rule follows) or a `Gradient`;
    `reference(call, *inputs)` takes and gives real gradients in float64, or in float32 with the bits and the
    order of sums of the float32 kernels."""

    run: Callable[..., Any]
    reference: Callable[..., Any]


GRADIENTS: dict[str, GradientKind] = {
    "ADD_GRADIENTS": GradientKind(elementwise.add, elementwise.real_add),
    "AVERAGE_POOL_2D_INPUT_GRADIENT": GradientKind(pool.average_pool, pool.real_average_pool),
    "CONCATENATION_INPUT_GRADIENT": GradientKind(pool.part, pool.real_part),
    "CONV_2D_INPUT_GRADIENT": GradientKind(conv.input_gradient, conv.real_input_gradient),
    "DEPTHWISE_CONV_2D_INPUT_GRADIENT": GradientKind(conv.input_gradient, conv.real_input_gradient),
    "FULLY_CONNECTED_INPUT_GRADIENT": GradientKind(conv.input_gradient, conv.real_input_gradient),
    "LOGISTIC_INPUT_GRADIENT": GradientKind(elementwise.logistic, elementwise.real_logistic),
    "LOOKUP_INPUT_GRADIENT": GradientKind(elementwise.lookup, elementwise.real_lookup),
    "MASK_GRADIENT": GradientKind(elementwise.mask, elementwise.real_mask),
    "MAX_POOL_2D_INPUT_GRADIENT": GradientKind(pool.max_pool, pool.real_max_pool),
    "MEAN_INPUT_GRADIENT": GradientKind(pool.mean, pool.real_mean),
    "MUL_INPUT_GRADIENT": GradientKind(broadcast.mul, broadcast.real_mul),
    "NEGATE_GRADIENT": GradientKind(elementwise.negate, elementwise.real_negate),
    "PAD_INPUT_GRADIENT": GradientKind(pool.part, pool.real_part),
    "RESHAPE_INPUT_GRADIENT": GradientKind(elementwise.reshape, elementwise.real_reshape),
    "SUM_GRADIENT": GradientKind(broadcast.total, broadcast.real_total),
}

SUMS: dict[str, Callable[..., Any]] = {
    "BIAS_UPDATE": conv.bias_gradient,
    "CONV_2D_COLUMNS_UPDATE": conv.weight_gradient,
    "CONV_2D_WEIGHTS_UPDATE": conv.weight_gradient,
    "DEPTHWISE_CONV_2D_WEIGHTS_UPDATE": conv.weight_gradient,
    "FULLY_CONNECTED_COLUMNS_UPDATE": conv.weight_gradient,
    "FULLY_CONNECTED_WEIGHTS_UPDATE": conv.weight_gradient,
}
