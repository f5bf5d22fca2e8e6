"""How much of a model is dead, in figures and in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tflm_export.front.dead_channels import Constant, dead_channels
from tflm_export.gradients.trained import Trained
from tflm_export.ir import Graph
from tflm_export.macs import count_macs
from tflm_export.ops import WEIGHTED

NAMED = 8


def dead_facts(
    forward: Graph, live: Graph, trained: Sequence[Trained], kept: bool, spare: int = 0
) -> dict[str, Any]:
    """Plain values for JSON. forward, live: the simplified model as it is and pruned. spare: outputs of the
    head that wait for a class: they are not dead.

    channels, of: dead outputs of layers with weights in the file, and all of them. removed: what pruning
    takes under the plan. in_plan: dead channels that the plan names, by op. kept: nothing was pruned.
    """
    constants = dead_channels(forward)
    if spare:
        head = [op for op in forward.ops if op.kind in WEIGHTED][-1].outputs[0]
        constants = {**constants, head: _awaited(constants[head], spare)}
    own = [constants[op.outputs[0]].dead for op in forward.ops if op.kind in WEIGHTED]
    before, after = _size(forward), _size(live)
    return {
        "kept": kept,
        "channels": sum(int(dead.sum()) for dead in own),
        "of": sum(dead.size for dead in own),
        "removed": {name: before[name] - after[name] for name in before},
        "share_of_macs": round(1 - after["macs"] / max(1, before["macs"]), 4),
        "in_plan": {t.op.name: named for t in trained if (named := _named(t, constants))},
    }


def _awaited(constant: Constant, spare: int) -> Constant:
    dead = constant.dead.copy()
    dead[-spare:] = False
    return dataclasses.replace(constant, dead=dead)


def _size(graph: Graph) -> dict[str, int]:
    """Outputs of layers, MACs of an inference, weights; bytes of constants."""
    layers = [op for op in graph.ops if op.kind in WEIGHTED]
    used = {name for op in graph.ops for name in op.inputs if name and graph.tensors[name].data is not None}
    return {
        "channels": sum(graph.tensors[op.outputs[0]].shape[-1] for op in layers),
        "macs": count_macs(graph)["forward"],
        "weights": sum(graph.tensors[op.inputs[1]].size for op in layers),
        "bytes": sum(graph.tensors[name].nbytes for name in used),
    }


def _named(trained: Trained, constants: Mapping[str, Constant]) -> list[int]:
    """Channels that train in `trained` and are dead as the file has them."""
    tensor = trained.op.outputs[0] if trained.axis == "out" else trained.op.inputs[0]
    if tensor not in constants:
        return []
    dead = set(np.flatnonzero(constants[tensor].dead).tolist())
    biases = trained.biases if trained.axis == "out" else ()
    return sorted(dead & {*trained.channels, *biases})


def dead_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The same for people; nothing where nothing is dead."""
    removed = facts["removed"]
    if not facts["channels"] and not any(removed.values()):
        return
    verb = "would save" if facts["kept"] else "saved"
    yield (
        f"dead channels: {facts['channels']:,} of {facts['of']:,} have one value for every input; "
        f"leaving out {removed['channels']:,} {verb} {removed['macs']:,} MAC an inference "
        f"({facts['share_of_macs']:.1%}), "
        f"{removed['weights']:,} weights, {removed['bytes']:,} B of constants"
        + (" (--keep-dead keeps them)" if facts["kept"] else "")
    )
    for name, channels in facts["in_plan"].items():
        listed = ", ".join(map(str, channels[:NAMED])) + (", ..." if len(channels) > NAMED else "")
        yield (
            f"the plan trains dead channels of {name} ({listed}): they stay, and learn only if training of "
            "other channels or of their bias wakes them; better name live ones"
        )
