"""UNIDIRECTIONAL_SEQUENCE_LSTM and SVDF: their variable tensors become states of the graph, of bytes.

A pass on ops as the file has them. What an op has beside one output goes into ops of its own
(`ops/lstm.py`, `ops/svdf.py`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tflm_export.front.schema import Records
from tflm_export.ir import Graph, Op, QParams, State, Tensor
from tflm_export.ops.check import require

KEPT = {"UNIDIRECTIONAL_SEQUENCE_LSTM": (18, 19), "SVDF": (4,)}  # inputs that are variables
LSTM_INPUTS, LSTM_ABSENT = 24, (9, 10, 11, 16, 17, 20, 21, 22, 23)


def kept_tensors(records: Records) -> set[int]:
    """Indices of the variable tensors that these ops keep."""
    return {op.inputs[i] for op in records.ops for i in KEPT.get(op.kind, ()) if i < len(op.inputs)}


def settle_recurrent(graph: Graph) -> Graph:
    """The graph with states for what recurrent ops keep; itself where it has none.

    Raises `ExportError` for forms that TFLite Micro does not take: peepholes, a projection, normalised gates,
    another batch than 1.
    """
    if not any(op.kind in KEPT for op in graph.ops):
        return graph
    tensors, states, ops = dict(graph.tensors), list(graph.states), []
    for op in graph.ops:
        if op.kind not in KEPT:
            ops.append(op)
            continue
        parts = _lstm(op, graph) if op.kind.endswith("LSTM") else _svdf(op, graph)
        ops += parts.ops
        tensors |= {tensor.name: tensor for tensor in parts.tensors}
        states.append(parts.state)
    kept = {op.inputs[i] for op in graph.ops for i in KEPT.get(op.kind, ())}
    require_unread(kept, ops)
    tensors = {name: tensor for name, tensor in tensors.items() if name not in kept}
    return graph.replace(tensors=tensors, ops=tuple(ops), states=tuple(states))


def require_unread(kept: set[str], ops: Sequence[Op]) -> None:
    """Raise `ExportError` where another op reads a variable tensor."""
    for op in ops:
        names = kept & {*op.inputs, *op.outputs}
        require(not names, op, f"it reads or writes {sorted(names)}, which a recurrent op keeps.")


@dataclass(frozen=True)
class _Parts:
    """What takes an op's place."""

    ops: tuple[Op, ...]
    tensors: tuple[Tensor, ...]
    state: State


def _lstm(op: Op, graph: Graph) -> _Parts:
    """All steps; the next state, their last bytes; the output, their first bytes."""
    names = op.inputs
    count = f"has {len(names)} inputs and {len(op.outputs)} outputs; allowed: {LSTM_INPUTS} and 1."
    require(len(names) == LSTM_INPUTS and len(op.outputs) == 1, op, count)
    absent = [i for i in LSTM_ABSENT if names[i]]
    what = "it has peepholes, a projection or normalised gates"
    require(not absent, op, f"{what} (inputs {absent}); allowed: the plain cell, as Keras's LSTM.")
    needed = [i for i in range(20) if i not in LSTM_ABSENT and not names[i]]
    require(not needed, op, f"needed inputs {needed} are missing; allowed: the plain cell, four gates.")
    x, hidden, cell = (graph.tensors[names[i]] for i in (0, *KEPT[op.kind]))
    y = graph.tensors[op.outputs[0]]
    _shapes(op, graph, x, y)
    units = y.shape[-1]
    require(hidden.size == cell.size == units, op, f"its state has {hidden.size} values; expected {units}.")
    require(hidden.dtype == "int8" and cell.dtype == "int16", op, _types(hidden, cell))
    quant = _one_scale(op, hidden)
    every = Tensor(f"{op.name}/steps", (1, y.size + 2 * units), "int8", quant)
    first = np.full((1, 3 * units), quant.zero_point[0], np.int8)
    first[:, units:] = _one_scale(op, cell).zero_point[0]
    state, following = _state(op, first.shape, quant)
    attrs = {**op.attrs, "cell_scale": _one_scale(op, cell).scale[0]}
    inputs = (*names[:9], *names[12:16], state.name)
    ops = (
        dataclasses.replace(op, inputs=inputs, outputs=(every.name,), attrs=attrs),
        op.beside("LSTM_STATE", "s", (every.name, state.name), (following.name,)),
        op.beside("LSTM_OUTPUT", "y", (every.name,), op.outputs),
    )
    return _Parts(ops, (every, state, following), State(state.name, following.name, first))


def _shapes(op: Op, graph: Graph, x: Tensor, y: Tensor) -> None:
    """Check that the batch is 1 and that the axes fit."""
    batch = 1 if op.attrs["time_major"] else 0
    fits = len(x.shape) == len(y.shape) == 3 and x.shape[:2] == y.shape[:2] and x.shape[batch] == 1
    depth = graph.tensors[op.inputs[1]].shape
    require(
        fits and depth == (y.shape[2], x.shape[2]), op,
        f"shapes {list(x.shape)} x {list(depth)} -> {list(y.shape)} do not fit; allowed: a batch of 1, [1, "
        "steps, depth] or, with time first, [steps, 1, depth].",
    )  # fmt: skip


def _types(hidden: Tensor, cell: Tensor) -> str:
    return (
        f"its state is {hidden.dtype} and its cells are {cell.dtype}; allowed: int8 and int16. "
        "Convert with full integer quantisation."
    )


def _svdf(op: Op, graph: Graph) -> _Parts:
    """The state one step on; the output that is read from it."""
    names = op.inputs
    count = f"has {len(names)} inputs and {len(op.outputs)} outputs; allowed: 5 and 1."
    require(len(names) == 5 and len(op.outputs) == 1 and all((*names[:3], names[4])), op, count)
    x, features, time, kept = (graph.tensors[names[i]] for i in (0, 1, 2, 4))
    fits = len(x.shape) == len(features.shape) == len(time.shape) == 2 and x.shape[0] == 1
    fits = fits and features.shape[0] == time.shape[0] and kept.shape == (1, math.prod(time.shape))
    rank = op.attrs["rank"]
    fits = fits and rank > 0 and features.shape[0] % rank == 0
    shapes = " ".join(str(list(tensor.shape)) for tensor in (x, features, time, kept))
    require(fits, op, f"shapes {shapes} and rank {rank} do not fit; allowed: a batch of 1.")
    wide = kept.dtype == "int16"
    require(kept.dtype in ("int8", "int16"), op, f"its state is {kept.dtype}; allowed: int8 and int16.")
    quant = _one_scale(op, kept)
    first = np.full((1, kept.nbytes), quant.zero_point[0], np.int8)
    state, following = _state(op, first.shape, quant)
    ops = (
        dataclasses.replace(
            op, inputs=(*names[:2], state.name), outputs=(following.name,), attrs={"wide": wide}
        ),
        op.beside(
            "SVDF_OUTPUT", "y", (following.name, names[2], names[3]), op.outputs, {**op.attrs, "wide": wide}
        ),
    )
    return _Parts(ops, (state, following), State(state.name, following.name, first))


def _state(op: Op, shape: tuple[int, ...], quant: QParams) -> tuple[Tensor, Tensor]:
    before = Tensor(f"{op.name}/state", shape, "int8", quant)
    return before, dataclasses.replace(before, name=f"{op.name}/next")


def _one_scale(op: Op, tensor: Tensor) -> QParams:
    """Its scale and zero point; TFLite Micro fills a state with the zero point's byte."""
    quant = tensor.quant
    fits = quant is not None and len(quant.scale) == 1
    require(fits, op, f"tensor {tensor.name!r} has no scale. Convert with full integer quantisation.")
    assert quant is not None
    require(tensor.dtype == "int8" or quant.zero_point == (0,), op, f"{tensor.name!r} has a zero point.")
    return quant
