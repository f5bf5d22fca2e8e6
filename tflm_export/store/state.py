"""The weights and samples that a device has saved, from an image of its store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph
from tflm_export.plan import UpdatePlan
from tflm_export.store.arrays import StoredArray, store_identity, stored_arrays
from tflm_export.store.geometry import geometry_of
from tflm_export.store.log import Records, read_log
from tflm_export.store.packing import unpack
from tflm_export.store.samples import samples_in_flash


def read_state(image: bytes, graph: Graph, plan: UpdatePlan) -> dict[str, np.ndarray]:
    """Every array that the engine keeps, flat int64, by its name in the engine (`w3`, `momentum_w3`, `sgd`).

    image: the store's flash area, pages of 4 KB or an STM32H7's four sectors. graph, plan: of the compiled
    engine.
    Raises `ExportError` for a store of another engine, an empty or a damaged one.
    """
    return _state(_records(image, graph, plan), graph, plan)


def _records(image: bytes, graph: Graph, plan: UpdatePlan) -> Records:
    identity = store_identity(graph, plan)
    if plan.spare_classes:  # behind the engine's records a sketch keeps the names of its new classes
        identity = replace(identity, first=(*identity.first, identity.first[-1] + 1))
    return read_log(image, identity, geometry_of(image))


def _state(records: Records, graph: Graph, plan: UpdatePlan) -> dict[str, np.ndarray]:
    arrays = enumerate(stored_arrays(graph, plan))
    return {array.symbol: _values(array, key, records, graph) for key, array in arrays}


def read_weights(image: bytes, graph: Graph, plan: UpdatePlan) -> dict[str, np.ndarray]:
    """Every trained tensor whole, by its name in the model, for `front.write_tflite.patch_constants`."""
    state, found = read_state(image, graph, plan), {}
    for array in stored_arrays(graph, plan):
        variable = array.variable
        if variable is not None:
            stored = state[array.symbol].astype(variable.dtype)
            found[variable.tensor] = variable.put(graph.constant(variable.tensor), stored)
    return found


def read_samples(
    image: bytes, graph: Graph, plan: UpdatePlan, *, judges: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """What a memory in flash held when it was saved: latents int8 [n, bytes] and labels int64 [n]; of the
    `judges`, the pictures of the guard.

    Raises `ExportError` as `read_state` does, for a sample that is missing, and for a plan without such a
    memory.
    """
    samples = samples_in_flash(graph, plan)
    if samples is None:
        raise ExportError("store: the plan has no memory in flash; set memory.where to 'flash'.")
    records = _records(image, graph, plan)
    state, key = _state(records, graph, plan), len(stored_arrays(graph, plan))
    prefix = "judge_" if judges else ""
    first = len(state["labels"]) if judges else 0
    labels = state[f"{prefix}labels"][: int(state[f"{prefix}counts"][3])]
    found = [
        b"".join(records.get((key, i), b"") for i in samples.indices(place, int(state["slots"][place])))
        for place in range(first, first + len(labels))
    ]
    if any(len(latent) != samples.latent_bytes for latent in found):
        raise ExportError("store: a sample is not as it was saved; format the store on the device.")
    return np.frombuffer(b"".join(found), np.int8).reshape(len(labels), samples.latent_bytes), labels


def _values(array: StoredArray, key: int, records: Records, graph: Graph) -> np.ndarray:
    values = np.zeros(array.count, np.int64)
    for index in range(array.records):
        at = index * array.piece
        here = values[at : at + array.piece]
        if (key, index) in records:
            here[...] = unpack(records[key, index], here.size, array.width)
    if array.variable is None:
        return values
    found: np.ndarray = values + array.variable.take(graph.constant(array.variable.tensor)).reshape(-1)
    return found
