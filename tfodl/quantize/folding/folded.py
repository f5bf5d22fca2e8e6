"""`FoldedModel`: a Keras model as a plain list of nodes, batch normalisation folded into the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.quantize.folding.affine import Affine


@dataclass(frozen=True)
class Node:
    """One layer after folding.

    kind: a Keras class name, or "Input".
    name: path of the Keras layer, as `LayerUpdate.name` has it; a separable convolution gives
        `"sep/depthwise"` and `"sep"`, an activation inside a layer `"conv/relu"`.
    inputs: indices into `FoldedModel.nodes`.
    config: the arguments that the layer of the same kind takes, weights apart.
    kernel: Conv2D [k_h, k_w, C_in, C_out], DepthwiseConv2D [k_h, k_w, C, m], Dense [n_in, n_out]; float32.
    bias: float32 [C_out], or None where the node holds no weights.
    layer: whether the weights are a layer's, rather than constants of the model's arithmetic.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    kernel: np.ndarray | None = None
    bias: np.ndarray | None = None
    layer: bool = True


@dataclass(frozen=True)
class FoldedModel:
    """The nodes in order of computation; the last one is the output.

    rescaling: of the input, by layers right after it (Rescaling, Normalization, arithmetic with constants),
        which are no nodes: it lives on in the quantisation of the input.
    absorbed: names of the batch normalisations that went into the weights before them.
    """

    nodes: tuple[Node, ...]
    rescaling: Affine = Affine()
    absorbed: tuple[str, ...] = ()

    def consumers(self, index: int) -> list[int]:
        """Indices of the nodes that read node `index`."""
        return [i for i, node in enumerate(self.nodes) if index in node.inputs]

    def weighted(self) -> list[Node]:
        """The nodes that hold weights, in order."""
        return [node for node in self.nodes if node.kernel is not None]

    @property
    def head(self) -> Node:
        """The classifier: the last node with weights. Raises `TfodlError` when there is none."""
        weighted = self.weighted()
        if not weighted:
            raise TfodlError("the model has no layer with weights: nothing to train.")
        return weighted[-1]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, without the batch axis."""
        found: tuple[int, ...] = self.nodes[0].config["shape"]
        return found

    @property
    def gives_probabilities(self) -> bool:
        """True when the model ends in a softmax."""
        return self.nodes[-1].kind == "Softmax"
