"""Run the forward ops of a graph in numpy: the specification of the device's inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op
from tflm_export.ops import forward
from tflm_export.ops.result import passing


def run(
    graph: Graph, inputs: Mapping[str, np.ndarray], *, all_tensors: bool = False
) -> dict[str, np.ndarray]:
    """Evaluate the forward ops of `graph` on int8 `inputs` by name.

    An input has its tensor's shape, or `[B, ...]` in place of `[1, ...]` for B samples at once. An entry
    that names a constant (a trained weight) takes its place. Returns the graph's outputs by name, or every
    tensor computed when `all_tensors`. States are what the first inference finds. Raises `ExportError` for a
    missing or misshapen input.
    """
    values = {name: _checked(graph, name, array) for name, array in inputs.items()}
    missing = [name for name in graph.inputs if name not in values]
    if missing:
        raise ExportError(f"inputs {missing} are missing; needed: {list(graph.inputs)}.")
    values = {state.tensor: state.initial for state in graph.states} | values
    for op in graph.ops:
        if op.role == "forward":
            values[op.outputs[0]] = forward(op, graph, values).value
    return values if all_tensors else {name: values[name] for name in graph.outputs}


def run_forward(op: Op, graph: Graph, values: dict[str, Any]) -> None:
    """Compute an op of the forward pass, or all that a stream stands for, into `values`.

    Clip masks are bool arrays of the output's shape.
    """
    for member in op.members:
        result = forward(member, graph, values)
        values[member.outputs[0]] = result.value
        if len(member.outputs) > 1:
            values[member.outputs[1]] = passing(member, graph, result)


def _checked(graph: Graph, name: str, array: np.ndarray) -> np.ndarray:
    tensor = graph.tensors.get(name)
    if tensor is None:
        raise ExportError(f"there is no tensor {name!r}; inputs are {list(graph.inputs)}.")
    array = np.asarray(array)
    batch = tensor.data is None and tensor.shape[:1] == (1,) and array.ndim == len(tensor.shape)
    same = array.shape[1:] == tensor.shape[1:] if batch else array.shape == tensor.shape
    if not same or array.dtype != tensor.dtype or array.size == 0:
        raise ExportError(
            f"tensor {name!r}: got {array.dtype} {list(array.shape)}; "
            f"expected {tensor.dtype} {list(tensor.shape)}."
        )
    return array
