"""What a gradient function is given and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflm_export.ir import Graph, Op

Mask = np.ndarray | None


@dataclass(frozen=True)
class Call:
    """One gradient op and the forward op that it differentiates, in their graph."""

    op: Op
    forward: Op
    graph: Graph

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Shape of the gradient that comes out."""
        return self.graph.tensors[self.op.outputs[0]].shape


@dataclass(frozen=True)
class Sums:
    """Accumulators before the shift rule: whole numbers below 2^31 in magnitude, any shape.

    The real gradient is `acc * 2**exponent`.
    """

    acc: np.ndarray
    exponent: int


def gate(values: np.ndarray, passing: Mask) -> np.ndarray:
    """`values` where the clip mask passes, else 0."""
    return values if passing is None else values * passing
