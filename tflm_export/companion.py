"""The companion of a model file, `MODEL.json` beside it: what the file itself cannot say.

`{"model_sha256": "...", "input": {...}, "loss": "mse"}`: the companion of another model is refused, not
believed. `loss`, which may lack, is that of the task the model was made for.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from tflm_export.contracts import Contract, contract_from_dict
from tflm_export.errors import TfodlError
from tflm_export.files import write_text
from tflm_export.plan import LOSSES, Loss


def companion_path(model: str | os.PathLike[str]) -> Path:
    """Where the companion of a model file lies.

    >>> companion_path("build/model.tflite").name
    'model.tflite.json'
    """
    return Path(f"{os.fspath(model)}.json")


def write_companion(model: str | os.PathLike[str], contract: Contract, loss: Loss | None = None) -> None:
    """Write the companion of the file `model`, which exists. Raises `TfodlError` when it cannot."""
    facts = {"model_sha256": _digest(model), "input": contract.to_dict()} | ({"loss": loss} if loss else {})
    write_text(companion_path(model), json.dumps(facts, indent=2) + "\n")


def read_companion(model: str | os.PathLike[str]) -> Contract | None:
    """The input contract of the file `model`; None when it has no companion.

    Raises `TfodlError` for a damaged companion, or one of another model.
    """
    facts = _facts(model)
    return None if facts is None else contract_from_dict(facts["input"])


def task_loss(model: str | os.PathLike[str]) -> Loss | None:
    """The loss of the task that the file `model` was made for; None where nobody says.

    Raises `TfodlError` as `read_companion`, and for an unknown loss.
    """
    facts = _facts(model) or {}
    loss: Loss | None = facts.get("loss")
    if loss is not None and loss not in LOSSES:
        raise TfodlError(
            f"{str(companion_path(model))!r} has loss {loss!r}; allowed: {', '.join(LOSSES)}. Delete it, or "
            "write it again."
        )
    return loss


def _facts(model: str | os.PathLike[str]) -> dict[str, Any] | None:
    path = companion_path(model)
    if not path.is_file():
        return None
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        digest, _ = facts["model_sha256"], facts["input"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TfodlError(f"{str(path)!r} is no companion of a model ({error}); delete it.") from error
    if digest != _digest(model):
        raise TfodlError(
            f"{str(path)!r} was written for another {Path(model).name!r}; delete it, and say with "
            "--input how this model takes its pictures."
        )
    return facts


def _digest(model: str | os.PathLike[str]) -> str:
    return hashlib.sha256(Path(model).read_bytes()).hexdigest()
