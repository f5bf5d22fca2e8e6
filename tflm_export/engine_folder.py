"""Reading the folder of a compiled engine: what `Compiled.save` wrote and every other command takes."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from tflm_export.apart import apart
from tflm_export.compiled import EXEMPLARS, Compiled
from tflm_export.compiler import compile_model
from tflm_export.contracts import contract_from_dict
from tflm_export.errors import ExportError
from tflm_export.living.memory import Exemplars
from tflm_export.plan import UpdatePlan


def load(folder: str | os.PathLike[str]) -> Compiled:
    """Compile again what `Compiled.save` wrote: its model, plan, name and options.

    The sources are those of the folder, changed by hand or not: they are what will be flashed.

    Raises `ExportError` when the folder does not hold an engine, `TfodlError` for a damaged plan.
    """
    path = Path(folder)
    try:
        facts = json.loads((path / "engine.json").read_text(encoding="utf-8"))
        tflite = (path / "model.tflite").read_bytes()
        name, gradients, rule = facts["name"], facts["gradients"], facts["input"]
        keep_dead, row_fed, ram_bytes = facts["dead"]["kept"], facts["row_fed"], facts["ram_bytes"]
        pauses, address = facts.get("pauses", False), facts.get("constants_at")
        files = sorted((path / "src").rglob("*.[ch]*"))
        sources = {file.relative_to(path).as_posix(): file.read_text(encoding="utf-8") for file in files}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"{str(path)!r} does not hold a compiled engine ({error}); run tflm-export compile first."
        ) from error
    contract = None if rule is None else contract_from_dict(rule)
    plan = UpdatePlan.load(path / "plan.json")
    exemplars = Exemplars.load(path / EXEMPLARS) if (path / EXEMPLARS).is_file() else None
    compiled = compile_model(
        tflite,
        plan,
        name=name,
        gradients=gradients,
        contract=contract,
        keep_dead=keep_dead,
        exemplars=exemplars,
        row_fed=row_fed,
        ram_bytes=ram_bytes,
        pauses=pauses,
    )
    compiled = compiled if address is None else apart(compiled, address)
    return dataclasses.replace(compiled, sources=sources)


def opened(engine: Compiled | str | os.PathLike[str]) -> Compiled:
    """A compiled engine as it is; one in a folder loaded."""
    return engine if isinstance(engine, Compiled) else load(engine)
