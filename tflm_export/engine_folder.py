"""The folder of a compiled engine: what `tflm-export compile` writes and every other command reads."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from tflm_export.compiler import Compiled, compile_model
from tflm_export.errors import ExportError
from tflm_export.files import replace_folder
from tflm_export.input_contract import InputContract
from tflm_export.plan import UpdatePlan


def save(compiled: Compiled, folder: str | os.PathLike[str]) -> Path:
    """Write an engine to `folder`, which is replaced as a whole or not at all.

    Raises `ExportError` when it cannot be written, or holds something that is no engine.
    """
    target = Path(folder)
    if target.exists() and not (target.is_dir() and (not any(target.iterdir()) or _is_engine(target))):
        raise ExportError(f"{str(target)!r} exists and is not a compiled engine; name a new or empty folder.")
    return replace_folder(target, _files(compiled))


def load(folder: str | os.PathLike[str]) -> Compiled:
    """Compile again what `save` wrote: its model, plan, name and kind of gradients. The sources are those of
    the folder, changed by hand or not: they are what will be flashed.

    Raises `ExportError` when the folder does not hold an engine, `TfodlError` for a damaged plan.
    """
    path = Path(folder)
    try:
        facts = json.loads((path / "engine.json").read_text(encoding="utf-8"))
        tflite = (path / "model.tflite").read_bytes()
        name, gradients, rule = facts["name"], facts["gradients"], facts["input"]
        files = sorted((path / "src").rglob("*.[ch]*"))
        sources = {file.relative_to(path).as_posix(): file.read_text(encoding="utf-8") for file in files}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"{str(path)!r} does not hold a compiled engine ({error}); run tflm-export compile first."
        ) from error
    contract = None if rule is None else InputContract.from_dict(rule)
    plan = UpdatePlan.load(path / "plan.json")
    compiled = compile_model(tflite, plan, name=name, gradients=gradients, contract=contract)
    return dataclasses.replace(compiled, sources=sources)


def opened(engine: Compiled | str | os.PathLike[str]) -> Compiled:
    """A compiled engine as it is; one in a folder loaded."""
    return engine if isinstance(engine, Compiled) else load(engine)


def _files(compiled: Compiled) -> dict[str, bytes]:
    files = {path: text.encode() for path, text in compiled.sources.items()}
    files["model.tflite"] = compiled.tflite
    files["plan.json"] = (compiled.plan.to_json() + "\n").encode()
    files["engine.json"] = (json.dumps(dict(compiled.facts), indent=2) + "\n").encode()
    return files


def _is_engine(folder: Path) -> bool:
    return (folder / "engine.json").is_file() and (folder / "model.tflite").is_file()
