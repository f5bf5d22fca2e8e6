"""What may learn in an engine, tensor by tensor, as plain values."""

from __future__ import annotations

from typing import Any

from tflm_export.emit.names import display
from tflm_export.ir import Graph
from tflm_export.variable import variables


def learning_rows(graph: Graph) -> list[dict[str, Any]]:
    """A row a trained tensor: its layer, its name, which channels along which axis, and of how many.

    chosen: the device itself chooses among the channels.

    >>> compiled = compile_model(tflite, plan)
    >>> [(row["op"], row["what"], row["of"]) for row in learning_rows(compiled.graph)]
    [('#9', 'weights', 4), ('#9', 'biases', 4)]
    """
    return [
        {
            "op": variable.layer.name,
            "name": display(variable.tensor),
            "what": "biases" if variable.bias else "weights",
            "axis": "out" if variable.bias or variable.axis == 0 or variable.depthwise else "in",
            "channels": list(variable.channels),
            "of": variable.shape[variable.axis],
            "parameters": variable.count,
            "chosen": variable.pooled,
        }
        for variable in variables(graph)
    ]
