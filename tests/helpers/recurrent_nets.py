"""Layers that remember as TensorFlow Lite's files have them: UNIDIRECTIONAL_SEQUENCE_LSTM and SVDF, drawn.

>>> [op.kind for op in lstm(0, steps=2, depth=3, units=4).ops]
['UNIDIRECTIONAL_SEQUENCE_LSTM']
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tflite_file import ACTIVATION, O, T, build

GATES = ("i", "f", "c", "o")
X_SCALE = 0.03


@dataclass(frozen=True)
class Layer:
    """Tensors and ops from x to y; `constants` without x and y, `slots` the names of all inputs."""

    x: T
    y: T
    constants: tuple[T, ...]
    slots: tuple[str, ...]
    options: dict[str, object]
    kind: str

    @property
    def ops(self) -> list[O]:
        return [O(self.kind, self.slots, [self.y.name], self.options)]

    def tflite(self) -> bytes:
        """The layer alone."""
        return build([self.x, *self.constants, self.y], self.ops, [self.x.name], [self.y.name])


def lstm(
    seed: int,
    steps: int = 5,
    depth: int = 3,
    units: int = 6,
    time_major: bool = False,
    power: int = -11,
    clip: float = 0.0,
    x: str = "x0",
    **more: object,
) -> Layer:
    """x [1, steps, depth] (time_major: [steps, 1, depth]) to y [1, steps, units]; the cell in 2^power."""
    rng = np.random.default_rng(seed)
    zero, hidden = int(rng.integers(-20, 20)), {"scale": 1 / 140, "zero": int(rng.integers(-9, 9))}

    def weights(name: str, columns: int) -> T:
        data = rng.integers(-127, 128, (units, columns), np.int8)
        return T(name, (units, columns), scale=rng.uniform(0.002, 0.02), data=data)

    def bias(name: str) -> T:
        data = rng.integers(-4000, 4000, units, np.int32)
        return T(name, (units,), "int32", 1e-4, data=data)

    rows = [weights(f"w{g}", depth) for g in GATES] + [weights(f"r{g}", units) for g in GATES]
    biases = [bias(f"b{g}") for g in GATES]
    states = [
        T("h", (1, units), is_variable=True, **hidden),
        T("c", (1, units), "int16", 2.0**power, is_variable=True),
    ]
    named = [t.name for t in rows]
    slots = (x, *named, *[""] * 3, *(b.name for b in biases), "", "", "h", "c", *[""] * 4)
    options = {
        "FusedActivationFunction": ACTIVATION["TANH"],
        "TimeMajor": time_major,
        "CellClip": clip,
    } | more
    front = (steps, 1) if time_major else (1, steps)
    ends = T(x, (*front, depth), scale=X_SCALE, zero=zero), T("y", (*front, units), **hidden)
    return Layer(*ends, (*rows, *biases, *states), slots, options, "UNIDIRECTIONAL_SEQUENCE_LSTM")


def svdf(
    seed: int,
    depth: int = 7,
    units: int = 4,
    rank: int = 2,
    memory: int = 5,
    state: str = "int8",
    x: str = "x0",
) -> Layer:
    """x [1, depth] to y [1, units]."""
    rng, filters = np.random.default_rng(seed), units * rank
    wide = state == "int16"
    kept = {"scale": 2.0**-11 if wide else 0.05, "zero": 0 if wide else int(rng.integers(-9, 9))}
    limit = 3000 if wide else 127
    time = rng.integers(-limit, limit + 1, (filters, memory)).astype(state)
    time_scale = 2.0**-13 if wide else 0.01
    constants = (
        T("wf", (filters, depth), scale=0.004, data=rng.integers(-127, 128, (filters, depth), np.int8)),
        T("wt", (filters, memory), state, time_scale, data=time),
        T("b", (units,), "int32", kept["scale"] * time_scale, data=rng.integers(-900, 900, units, np.int32)),
        T("s", (1, filters * memory), state, is_variable=True, **kept),
    )
    zero = int(rng.integers(-20, 20))
    ends = T(x, (1, depth), scale=X_SCALE, zero=zero), T("y", (1, units), scale=0.02, zero=-3)
    options = {"Rank": rank, "FusedActivationFunction": ACTIVATION["NONE"]}
    return Layer(*ends, constants, (x, "wf", "wt", "b", "s"), options, "SVDF")


def with_head(layer: Layer, classes: int = 3) -> bytes:
    """The layer and a dense head on all that it gives."""
    rng, size = np.random.default_rng(7), int(np.prod(layer.y.shape))
    head = [
        T("hw", (classes, size), scale=0.01, data=rng.integers(-127, 128, (classes, size), np.int8)),
        T("hb", (classes,), "int32", 0.01 * layer.y.scale, data=np.zeros(classes, np.int32)),
        T("logits", (1, classes), scale=0.6 * np.sqrt(size) * layer.y.scale),
    ]
    ops = [*layer.ops, O("FULLY_CONNECTED", ["y", "hw", "hb"], ["logits"])]
    return build([layer.x, *layer.constants, layer.y, *head], ops, [layer.x.name], ["logits"])


def replaced(layer: Layer, slots: Sequence[tuple[int, str]] = (), tensors: Sequence[T] = ()) -> bytes:
    """The layer with other inputs at some places, and other tensors for those of the same names."""
    names = list(layer.slots)
    for place, name in slots:
        names[place] = name
    by_name = {t.name: t for t in (layer.x, *layer.constants, layer.y, *tensors)}
    op = O(layer.kind, names, [layer.y.name], layer.options)
    return build(list(by_name.values()), [op], [layer.x.name], [layer.y.name])
