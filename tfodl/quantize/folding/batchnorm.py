"""Batch normalisation into the weights before it: `w' = w f`, `b' = (b - mean) f + beta`."""

from __future__ import annotations

import dataclasses

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.quantize.folding.affine import Affine
from tfodl.quantize.folding.folded import Node


def affine_node(name: str, rule: Affine, source: int, rank: int, channels: int) -> Node:
    """Node `source` scaled by constants: `x * scale + offset` of a Rescaling, of arithmetic.

    rank, channels: axes of what it gives without the batch, and the length of the last.
    """
    ones = np.ones(channels)
    config = {"factor": ones * rule.scale, "offset": ones * rule.offset, "rank": rank}
    return Node("BatchNormalization", name, (source,), config, layer=False)


def fold_batchnorm(nodes: list[Node]) -> list[Node]:
    """Merge every batch normalisation into the weights before it, or make it a depthwise convolution."""
    readers = [sum(index in node.inputs for node in nodes) for index in range(len(nodes))]
    folded: list[Node] = []
    place: list[int] = []  # old index -> new index
    for node in nodes:
        inputs = tuple(place[index] for index in node.inputs)
        if node.kind != "BatchNormalization":
            place.append(len(folded))
            folded.append(dataclasses.replace(node, inputs=inputs))
            continue
        source = folded[inputs[0]]
        if source.kernel is not None and readers[node.inputs[0]] == 1:
            folded[inputs[0]] = _absorb(source, node)
            place.append(inputs[0])
        else:
            place.append(len(folded))
            folded.append(_as_depthwise(node, inputs))
    return folded


def _absorb(source: Node, norm: Node) -> Node:
    assert source.kernel is not None and source.bias is not None
    factor = np.broadcast_to(norm.config["factor"], source.bias.shape)
    shape = source.kernel.shape[-2:] if source.kind == "DepthwiseConv2D" else (len(factor),)
    kernel = (source.kernel * factor.reshape(shape)).astype(np.float32)
    bias = (source.bias * factor + norm.config["offset"]).astype(np.float32)
    return dataclasses.replace(source, kernel=kernel, bias=bias)


def _as_depthwise(node: Node, inputs: tuple[int, ...]) -> Node:
    if node.config["rank"] != 3:
        raise TfodlError(
            f"{'BatchNormalization' if node.layer else 'scaling'} {node.name!r}: on a flat input it folds "
            "only into a Dense layer before it."
        )
    factor = np.asarray(node.config["factor"], np.float32)
    offset = np.asarray(node.config["offset"], np.float32)
    geometry = {"strides": (1, 1), "padding": "valid", "dilation_rate": (1, 1)}
    return Node(
        "DepthwiseConv2D", node.name, inputs, geometry, factor.reshape(1, 1, -1, 1), offset, node.layer
    )
