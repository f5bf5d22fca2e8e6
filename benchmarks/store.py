"""What keeping a state takes of flash and time: mcunet-5fps, 49 KB scheme, on real pictures.

    python benchmarks/store.py [--out results/bench/store.json]

Published weights at 128 px, flower_photos (`TFODL_DATA`), rate 0.01, an area of 64 KB. The host build learns
and saves; a restore and a save of its state are counted on the emulated Cortex-M4F.
`benchmarks/tables.py` prints it into docs/store.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from engine_nets import Case, inference, published, scheme

from tflm_export.compiler import Compiled, compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.files import write_text
from tflm_export.machines.host_store import StoreEngine
from tflm_export.machines.store_cost import measure_store
from tflm_export.plan import Optimizer
from tflm_export.store.facts import ERASES, store_facts
from tfodl import datasets, models

AREA, RATE, PAGE = 16 * 4096, 0.01, 4096
EVERY = {1: 100, 20: 600}  # steps a save: steps that are measured


def engine() -> Compiled:
    """The engine with its store."""
    tflite = Case("mcunet-5fps", "49 KB scheme", published("mcunet-5fps"), inference).tflite("imagenet")
    plan = replace(scheme("mcunet-5fps-49kb")(tflite), store_bytes=AREA, optimizer=Optimizer(RATE))
    return compile_model(tflite, plan)


def main() -> int:
    """Measure and write; 2 on bad input."""
    parser = argparse.ArgumentParser(description="Benchmark the store.")
    parser.add_argument("--out", default="results/bench/store.json")
    options = parser.parse_args()
    try:
        write_text(Path(options.out), json.dumps(measured(), indent=2) + "\n")
    except (ExportError, TfodlError) as error:
        print(f"benchmarks/store.py: {error}", file=sys.stderr)
        return 2
    return 0


def measured() -> dict[str, Any]:
    """All figures, as plain numbers."""
    compiled = engine()
    data = datasets.load("flower_photos_128", size=128)
    x = compiled.to_int8(models.preprocess(data.x_train))
    host = StoreEngine(compiled)
    flash = {every: _flash_a_save(host, x, data.y_train, every, steps) for every, steps in EVERY.items()}
    board = measure_store(compiled, host.image, x[:1], [int(data.y_train[0])], before=1, timeout=600.0)
    return {
        "facts": store_facts(compiled.graph, compiled.plan),
        "flash_a_save": flash,
        "saves": {every: round(AREA // PAGE * ERASES * PAGE / nbytes) for every, nbytes in flash.items()},
        "cycles": {name: cost.count.cycles for name, cost in board.costs.items()},
    }


def _flash_a_save(host: StoreEngine, x: np.ndarray, y: np.ndarray, every: int, steps: int) -> int:
    """Bytes of flash that a save wears, in the mean of the second half of `steps` steps."""
    opened: list[int] = []
    for i in range(steps):
        host.train_step(x[i % len(x)][None], int(y[i % len(x)]))
        if (i + 1) % every == 0:
            host.save()
            opened.append(host.pages_opened)
    half = len(opened) // 2
    return round((opened[-1] - opened[half]) * PAGE / (len(opened) - 1 - half))


if __name__ == "__main__":
    sys.exit(main())
