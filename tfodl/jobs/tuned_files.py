"""`write_tuned`: the files that `finetune` leaves."""

from __future__ import annotations

import json
from pathlib import Path

import keras

from tflm_export.companion import write_companion
from tflm_export.contracts import Contract
from tflm_export.files import write_text
from tfodl.jobs.files import save_model
from tfodl.jobs.loaded import note_input
from tfodl.jobs.tune import Tuned


def write_tuned(folder: Path, model: keras.Model, contract: Contract, tuned: Tuned) -> None:
    """`model.keras`, its companion with the input contract, `plan.json` and `history.json`; says so."""
    save_model(model, folder / "model.keras")
    write_companion(folder / "model.keras", contract)
    note_input(tuned.plan, contract).save(folder / "plan.json")
    write_text(folder / "history.json", json.dumps(tuned.history, indent=1) + "\n")
    print(f"wrote {folder}/model.keras, model.keras.json, plan.json, history.json")
