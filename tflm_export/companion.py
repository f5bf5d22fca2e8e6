"""The companion of a model file, `MODEL.json` beside it: what the file itself cannot say.

`{"model_sha256": "...", "input": {...}}`: the companion of another model is refused, not believed.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from tflm_export.contracts import Contract, contract_from_dict
from tflm_export.errors import TfodlError
from tflm_export.files import write_text


def companion_path(model: str | os.PathLike[str]) -> Path:
    """Where the companion of a model file lies.

    >>> companion_path("build/model.tflite").name
    'model.tflite.json'
    """
    return Path(f"{os.fspath(model)}.json")


def write_companion(model: str | os.PathLike[str], contract: Contract) -> None:
    """Write the companion of the file `model`, which exists. Raises `TfodlError` when it cannot."""
    facts = {"model_sha256": _digest(model), "input": contract.to_dict()}
    write_text(companion_path(model), json.dumps(facts, indent=2) + "\n")


def read_companion(model: str | os.PathLike[str]) -> Contract | None:
    """The input contract of the file `model`; None when it has no companion.

    Raises `TfodlError` for a damaged companion, or one of another model.
    """
    path = companion_path(model)
    if not path.is_file():
        return None
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        digest, contract = facts["model_sha256"], facts["input"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TfodlError(f"{str(path)!r} is no companion of a model ({error}); delete it.") from error
    if digest != _digest(model):
        raise TfodlError(
            f"{str(path)!r} was written for another {Path(model).name!r}; delete it, and say with "
            "--input how this model takes its pictures."
        )
    return contract_from_dict(contract)


def _digest(model: str | os.PathLike[str]) -> str:
    return hashlib.sha256(Path(model).read_bytes()).hexdigest()
