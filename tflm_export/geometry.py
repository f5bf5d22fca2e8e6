"""`Geometry`: the shapes of a convolution, depthwise or dense layer, as every pass and kernel sees them.

Letters: H, W input map; P, Q output map; C input, O output channels. A dense layer is a 1x1 convolution of
a map of one row, as wide as the layer has rows; a depthwise layer has O = C and weights `[1, k_h, k_w, C]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tflm_export.ir import Graph, Op


@dataclass(frozen=True)
class Geometry:
    """Shapes of one convolution: `in_shape` (H, W, C), `out_shape` (P, Q, O), padding before."""

    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    depthwise: bool

    @classmethod
    def of(cls, op: Op, graph: Graph) -> Geometry:
        """The geometry of a forward op."""
        if op.kind == "FULLY_CONNECTED":
            outputs, inputs = graph.tensors[op.inputs[1]].shape
            rows = graph.tensors[op.outputs[0]].size // outputs
            return cls((1, rows, inputs), (1, rows, outputs), (1, 1), (1, 1), (0, 0), False)
        _, h, w, c = graph.tensors[op.inputs[0]].shape
        _, p, q, o = graph.tensors[op.outputs[0]].shape
        a = op.attrs
        kernel, stride = (a["k_h"], a["k_w"]), (a["stride_h"], a["stride_w"])
        pad = (a["pad_top"], a["pad_left"])
        return cls((h, w, c), (p, q, o), kernel, stride, pad, op.kind == "DEPTHWISE_CONV_2D")

    @property
    def pointwise(self) -> bool:
        """A 1x1 convolution with stride 1: it has kernels of its own."""
        return self.kernel == (1, 1) and self.stride == (1, 1) and not self.depthwise

    @property
    def products(self) -> int:
        """Number of products in one sum of the input gradient."""
        return self.kernel[0] * self.kernel[1] * (1 if self.depthwise else self.out_shape[2])

    def taps(self) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
        """Every tap (ky, kx) and the pixels of the padded input that it reads for the output map."""
        (p, q, _), (sh, sw) = self.out_shape, self.stride
        for ky in range(self.kernel[0]):
            for kx in range(self.kernel[1]):
                yield ky, kx, (slice(ky, ky + p * sh, sh), slice(kx, kx + q * sw, sw))

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width of the input map with all the padding that some tap reads."""
        sizes = zip(self.in_shape, self.pad, self.out_shape, self.stride, self.kernel, strict=False)
        h, w = (max(size + pad, (out - 1) * s + k) for size, pad, out, s, k in sizes)
        return h, w
