"""What tells one engine from another over a serial line: 8 bytes of model and plan, and a description."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from tflm_export.compiler import Compiled


def engine_id(compiled: Compiled) -> bytes:
    """8 bytes of a hash of everything that says what the engine computes: model, plan, arithmetic, exemplars.

    >>> one, other = (compile_model(tflite, p) for p in (plan, dataclasses.replace(plan, seed=1)))
    >>> len(engine_id(one)), engine_id(one) == engine_id(other)
    (8, False)
    """
    plan = dataclasses.replace(compiled.plan, provenance={})
    exemplars = b"" if compiled.exemplars is None else compiled.exemplars.to_bytes()
    parts = (compiled.tflite, plan.to_json().encode(), compiled.facts["gradients"].encode(), exemplars)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.digest()[:8]


def about(compiled: Compiled, names: Sequence[str] = ()) -> dict[str, Any]:
    """What the board says of itself when it is asked.

    names: of its classes, the spare ones apart. The rest are facts of `engine.json`; None: no such part.
    """
    facts, plan = compiled.facts, compiled.plan
    optimizer = dataclasses.asdict(plan.optimizer)
    return {
        "engine": compiled.name,
        "model_sha256": facts["model_sha256"],
        "loss": plan.loss,
        "gradients": facts["gradients"],
        "classes": list(names),
        "spare_classes": plan.spare_classes,
        "input": facts["input"],
        "shape": list(compiled.input.shape[1:]),
        "parameters": facts["trained_parameters"],
        "optimizer": optimizer,
        "memory": _memory(compiled),
        "guard": None if plan.guard is None else dataclasses.asdict(plan.guard),
        "store_bytes": plan.store_bytes,
        "selection": _selection(compiled),
    }


def _memory(compiled: Compiled) -> dict[str, Any] | None:
    memory = compiled.plan.memory
    if memory is None:
        return None
    latent = compiled.facts["latent"]
    kept: dict[str, Any] = {"policy": memory.policy, "replays": memory.replays}
    kept |= {"where": "flash"} if memory.where == "flash" else {}
    return kept | {name: latent[name] for name in ("samples", "latent_bytes", "exemplars")}


def _selection(compiled: Compiled) -> dict[str, Any] | None:
    if compiled.plan.pool is None:
        return None
    pool = compiled.facts["pool"]
    return {name: pool[name] for name in ("rule", "epoch", "bytes", "channels", "area_bytes")}


def about_json(compiled: Compiled, names: Sequence[str] = ()) -> str:
    """`about` in as few characters as JSON takes."""
    return json.dumps(about(compiled, names), separators=(",", ":"))
