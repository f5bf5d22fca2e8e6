"""Nets that remember: variables that one inference leaves for the next, set by a subgraph that runs once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tflite_file import O, T, build, conv_options, fused

Q = {"scale": 0.1, "zero": -3}


def handle(name: str) -> tuple[T, O]:
    """A tensor that means the variable `name`, and the op that makes it."""
    return T(f"h/{name}", (), "resource", None), O("VAR_HANDLE", [], [f"h/{name}"], {"SharedName": name})


def once(values: dict[str, np.ndarray]) -> tuple[list[T], list[O]]:
    """The subgraph that sets variables."""
    tensors, ops = [], []
    for name, value in values.items():
        handles = handle(name)
        tensors += [handles[0], T(f"v/{name}", value.shape, str(value.dtype), data=value, **Q)]
        ops += [handles[1], O("ASSIGN_VARIABLE", [f"h/{name}", f"v/{name}"], [])]
    return tensors, ops


def remembering(
    values: dict[str, np.ndarray], tensors: Sequence[T], ops: Sequence[O], outputs: Sequence[str]
) -> bytes:
    """A net of x whose variables have these first values; `ops` come after their handles."""
    handles = [handle(name) for name in values]
    first = [O("CALL_ONCE", [], [], {"InitSubgraphIndex": 1}), *(op for _, op in handles)]
    rows = [*(tensor for tensor, _ in handles), *tensors]
    return build(rows, [*first, *ops], ["x"], outputs, [once(values)])


def keyword_net() -> bytes:
    """A frame of 8 values at a time, two convolutions over the last ones, as in streaming keyword nets."""
    rng = np.random.default_rng(0)

    def weights(name, shape):
        return T(name, shape, scale=0.01, data=rng.integers(-127, 128, shape, np.int8))

    def slice_of(name, steps):
        return [
            T(f"{name}/from", (4,), "int32", None, data=np.array([0, steps, 0, 0], np.int32)),
            T(f"{name}/to", (4,), "int32", None, data=np.array([0, 0, 0, 0], np.int32)),
            T(f"{name}/by", (4,), "int32", None, data=np.ones(4, np.int32)),
        ]

    tensors = [
        T("x", (1, 1, 1, 8), **Q),
        T("a/old", (1, 2, 1, 8), **Q),
        T("a/all", (1, 3, 1, 8), **Q),
        *slice_of("a", 1),
        T("a/new", (1, 2, 1, 8), **Q),
        weights("a/w", (8, 3, 1, 8)),
        T("a/y", (1, 1, 1, 8), **Q),
        T("b/old", (1, 4, 1, 8), **Q),
        *slice_of("b", 1),
        T("b/tail", (1, 3, 1, 8), **Q),
        T("b/all", (1, 4, 1, 8), **Q),
        weights("b/w", (4, 4, 1, 8)),
        T("y", (1, 1, 1, 4), scale=0.2, zero=5),
    ]
    cut = {"EndMask": 15}
    conv = conv_options("VALID")
    ops = [
        O("READ_VARIABLE", ["h/a"], ["a/old"]),
        O("READ_VARIABLE", ["h/b"], ["b/old"]),
        O("CONCATENATION", ["a/old", "x"], ["a/all"], {"Axis": 1} | fused("NONE")),
        O("STRIDED_SLICE", ["a/all", "a/from", "a/to", "a/by"], ["a/new"], cut),
        O("ASSIGN_VARIABLE", ["h/a", "a/new"], []),
        O("CONV_2D", ["a/all", "a/w", ""], ["a/y"], conv | fused("RELU")),
        O("STRIDED_SLICE", ["b/old", "b/from", "b/to", "b/by"], ["b/tail"], cut),
        O("CONCATENATION", ["b/tail", "a/y"], ["b/all"], {"Axis": 1} | fused("NONE")),
        O("ASSIGN_VARIABLE", ["h/b", "b/all"], []),
        O("CONV_2D", ["b/all", "b/w", ""], ["y"], conv),
    ]
    first = {"a": np.full((1, 2, 1, 8), -3, np.int8), "b": np.arange(32, dtype=np.int8).reshape(1, 4, 1, 8)}
    return remembering(first, tensors, ops, ["y"])


def drawn_net(seed: int) -> bytes:
    """Reads, assignments, sums and what may become a view, of three variables in any order."""
    rng = np.random.default_rng(seed)
    tensors, ops, known = (
        [T("x", (1, 4), **Q), T("size", (2,), "int32", None, data=np.int32([1, 4]))],
        [],
        ["x"],
    )
    for i in range(int(rng.integers(4, 14))):
        name = f"t{i}"
        match rng.choice(["read", "assign", "add", "relu", "same"], p=[0.3, 0.3, 0.15, 0.1, 0.15]):
            case "read":
                ops.append(O("READ_VARIABLE", [f"h/{rng.choice(list('abc'))}"], [name]))
            case "assign":
                ops.append(O("ASSIGN_VARIABLE", [f"h/{rng.choice(list('abc'))}", rng.choice(known)], []))
                continue
            case "add":
                ops.append(O("ADD", [str(n) for n in rng.choice(known, 2)], [name], fused("NONE")))
            case "relu":
                ops.append(O("RELU", [str(rng.choice(known))], [name]))
            case _ if rng.random() < 0.5:
                ops.append(O("RESHAPE", [str(rng.choice(known)), "size"], [name]))
            case _:
                ops.append(O("QUANTIZE", [str(rng.choice(known))], [name]))
        tensors.append(T(name, (1, 4), **Q))
        known.append(name)
    if len(known) == 1:
        return drawn_net(seed + 1000)
    values = {name: rng.integers(-128, 128, (1, 4), np.int8) for name in "abc"}
    outputs = [str(n) for n in rng.choice(known[1:], min(2, len(known) - 1), replace=False)]
    return remembering(values, tensors, ops, outputs)


def two_edges_net() -> bytes:
    """x [1, 4, 4, 3] and m [1, 6] to y [1, 6] and z [1, 6]: their sum, and a part of it."""
    rng = np.random.default_rng(1)
    tensors = [
        T("x", (1, 4, 4, 3), scale=0.02, zero=1),
        T("m", (1, 6), scale=0.05, zero=2),
        T("w", (6, 48), scale=0.01, data=rng.integers(-127, 128, (6, 48), np.int8)),
        T("h", (1, 6), scale=0.05, zero=-7),
        T("y", (1, 6), scale=0.09, zero=3),
        T("z", (1, 6), scale=0.09, zero=3),
    ]
    ops = [
        O("FULLY_CONNECTED", ["x", "w", ""], ["h"], fused("NONE")),
        O("ADD", ["h", "m"], ["y"], fused("NONE")),
        O("RELU", ["y"], ["z"]),
    ]
    return build(tensors, ops, ["x", "m"], ["z", "y"])
