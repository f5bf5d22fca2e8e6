"""Which arrays of an engine its store keeps, in the order of their keys.

>>> StoredArray("w3", "weights", 600, 1).records
2
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from tflm_export.gradients.paths import gradient_type
from tflm_export.ir import Graph
from tflm_export.ops import GRADIENTS
from tflm_export.ops.convolution.update import state_arrays
from tflm_export.plan import UpdatePlan
from tflm_export.store.log import Identity
from tflm_export.store.samples import LABEL_BYTES, Samples, samples_in_flash
from tflm_export.variable import Variable, variables

COUNTS = 4  # of a tfodl::ReplayCounts
PIECE_BYTES = 512  # kPieceBytes of kept.h
STATE_WIDTH = {"batch": 4, "momentum": 4, "accumulator": 2}


@dataclass(frozen=True)
class StoredArray:
    """`count` integers of `width` bytes, called `symbol` in the engine.

    kind: "weights", "bias", a state array of the optimizer, "scales", "settings", or of a memory in flash
    "places" and "counts"; the first two are kept as differences from the model's values, of which `variable`
    tells.
    """

    symbol: str
    kind: str
    count: int
    width: int
    variable: Variable | None = None

    @property
    def records(self) -> int:
        """Pieces: records of the store at most."""
        return -(-self.count * self.width // PIECE_BYTES)

    @property
    def piece(self) -> int:
        """Integers in a whole piece."""
        return PIECE_BYTES // self.width


def stored_arrays(graph: Graph, plan: UpdatePlan) -> tuple[StoredArray, ...]:
    """What changes when the engine learns: keys 0, 1, ... of its store."""
    return tuple(_arrays(graph, plan))


def _arrays(graph: Graph, plan: UpdatePlan) -> Iterator[StoredArray]:
    for variable in variables(graph):
        symbol, width = f"{'b' if variable.bias else 'w'}{variable.layer.label}", 4 if variable.bias else 1
        kind = "bias" if variable.bias else "weights"
        yield StoredArray(symbol, kind, variable.nbytes // width, width, variable)
        for state, on in state_arrays(plan.optimizer, variable).items():
            if on:
                yield StoredArray(f"{state}_{symbol}", state, variable.count, STATE_WIDTH[state])
    scales = scale_count(graph)
    if scales:
        yield StoredArray("scales", "scales", scales, 1)
    yield StoredArray("sgd", "settings", 3, 4)
    samples = samples_in_flash(graph, plan)
    if samples is not None:
        yield from _memory_arrays(graph, plan, samples)


def _memory_arrays(graph: Graph, plan: UpdatePlan, samples: Samples) -> Iterator[StoredArray]:
    """What says which sample is where, and of what class; then the same of the pictures that judge."""
    assert graph.loss is not None
    classes, judges = graph.tensors[graph.loss.inputs[0]].size, plan.guard.samples if plan.guard else 0
    yield StoredArray("slots", "places", samples.places, 1)
    for prefix, places in (("", samples.places - judges), ("judge_", judges)):
        if places:
            yield StoredArray(f"{prefix}labels", "places", places, LABEL_BYTES)
            yield StoredArray(f"{prefix}offered", "places", classes, 4)
            yield StoredArray(f"{prefix}counts", "counts", COUNTS, 4)
    if judges:
        yield StoredArray("steps_judged", "counts", 1, 4)


def scale_count(graph: Graph) -> int:
    """Gradients that have a run-time shift: the loss's and those of the ops that own one."""
    if gradient_type(graph) == "float32":
        return 0
    rows = (GRADIENTS[op.kind] for op in graph.layers.values() if op.kind in GRADIENTS)
    return 1 + sum(not row.same_exponent for row in rows)


def first_records(arrays: tuple[StoredArray, ...], samples: Samples | None) -> tuple[int, ...]:
    """The number of every array's first record, of the samples' first, and of all."""
    counts = [array.records for array in arrays] + ([] if samples is None else [samples.records])
    return (0, *accumulate(counts))


def store_identity(graph: Graph, plan: UpdatePlan) -> Identity:
    """What a log must be of to belong to this engine: 8 bytes of a hash of model and plan, and the layout."""
    arrays = stored_arrays(graph, plan)
    digest = hashlib.sha256(repr((plan.optimizer, plan.loss, plan.seed, gradient_type(graph))).encode())
    for array in arrays:
        channels = array.variable.channels if array.variable is not None else ()
        digest.update(repr((array.symbol, array.kind, array.count, array.width, channels)).encode())
    for name, tensor in graph.tensors.items():
        digest.update(repr((name, tensor.dtype, tensor.shape, tensor.quant)).encode())
        if tensor.data is not None:
            digest.update(tensor.data.tobytes())
    return Identity(digest.digest()[:8], first_records(arrays, samples_in_flash(graph, plan)))
