"""What an engine takes and gives: one int8 tensor, or several one after the other as `[1, bytes]`.

>>> x, m = (Tensor(name, (1, 2, 2), "int8") for name in "xm")
>>> Edge((x, m)).shape, Edge((x,)).shape
((1, 8), (1, 2, 2))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Tensor


@dataclass(frozen=True)
class Edge:
    """The inputs, or the outputs, of an engine, in the model's order."""

    tensors: tuple[Tensor, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array that holds them all: a single tensor's own."""
        return self.tensors[0].shape if len(self.tensors) == 1 else (1, self.size)

    @property
    def size(self) -> int:
        """Values of them all."""
        return sum(tensor.size for tensor in self.tensors)

    def checked(self, x: np.ndarray) -> np.ndarray:
        """`x`, when it is int8 of this shape. Raises `ExportError`."""
        x = np.asarray(x)
        if x.shape != self.shape or x.dtype != np.int8:
            names = ", ".join(repr(tensor.name) for tensor in self.tensors)
            raise ExportError(
                f"input {names}: got {x.dtype} {list(x.shape)}; expected int8 {list(self.shape)}."
            )
        return x

    def split(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Each tensor's part of `x` int8, by name. Raises `ExportError` for another shape or type.

        >>> edge = Edge((Tensor("x", (1, 3), "int8"), Tensor("m", (1, 1), "int8")))
        >>> edge.split(np.array([[1, 2, 3, 4]], np.int8))["m"].tolist()
        [[4]]
        """
        if len(self.tensors) == 1:
            return {self.tensors[0].name: self.checked(x)}
        ends = np.cumsum([tensor.size for tensor in self.tensors])[:-1]
        parts = np.split(self.checked(x).reshape(-1), ends)
        return {t.name: part.reshape(t.shape) for t, part in zip(self.tensors, parts, strict=True)}

    def join(self, values: Mapping[str, Any]) -> np.ndarray:
        """The array of all, from each tensor's by name, a copy.

        >>> edge = Edge((Tensor("x", (1, 3), "int8"), Tensor("m", (1, 1), "int8")))
        >>> edge.join({"m": np.int8([[4]]), "x": np.int8([[1, 2, 3]])}).tolist()
        [[1, 2, 3, 4]]
        """
        return np.concatenate([values[t.name].reshape(-1) for t in self.tensors]).reshape(self.shape)


def inputs_of(graph: Graph) -> Edge:
    """What the engine of a graph takes."""
    return Edge(tuple(graph.tensors[name] for name in graph.inputs))


def outputs_of(graph: Graph) -> Edge:
    """What an inference gives."""
    return Edge(tuple(graph.tensors[name] for name in graph.outputs))
