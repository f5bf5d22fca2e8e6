"""Weights of nets that were trained once, as files in tests/nets: what tests find of a net must not hang on
the machine that trains, nor wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[1] / "nets"


def keep(file: str, models: Mapping[str, Any]) -> None:
    """Write the weights of Keras models, by name."""
    arrays = {f"{name}:{i}": w for name, model in models.items() for i, w in enumerate(model.get_weights())}
    np.savez_compressed(FOLDER / file, **arrays)


def give(file: str, name: str, model: Any) -> None:
    """Give a model the weights that are kept under its name."""
    with np.load(FOLDER / file) as archive:
        count = sum(key.rsplit(":", 1)[0] == name for key in archive.files)
        model.set_weights([archive[f"{name}:{i}"] for i in range(count)])
