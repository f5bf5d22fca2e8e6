"""What a memory in flash takes of RAM, flash and time: mbv2-w0.35 at 96 px, 49 KB scheme, 120 samples.

    python benchmarks/samples.py [--out results/bench/samples.json]

The host build is offered 200,000 samples, of which its reservoir keeps some 900, in an area of 64 pages; a
replay is counted on the emulated Cortex-M4F, its latent in RAM and in flash. `benchmarks/tables.py` prints it
into docs/store.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from engine_nets import CASES

from tflm_export.compiler import Compiled, compile_model
from tflm_export.errors import ExportError
from tflm_export.files import write_text
from tflm_export.living.memory import ACCEPT, random_below
from tflm_export.machines.emulator import ROOMY
from tflm_export.machines.keeping_host import KeepingEngine
from tflm_export.machines.measure import measure
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.store.facts import store_facts

NET = ("mbv2-w0.35 96x96x3", "49 KB scheme")
SAMPLES, AREA, SAVE, OFFERED = 120, 64 * 4096, 20, 200_000  # SAVE: kept samples a save


@functools.cache
def model() -> tuple[bytes, UpdatePlan]:
    """The net and its plan without a memory."""
    case = next(case for case in CASES if (case.net, case.plan_name) == NET)
    tflite = case.tflite(None)
    return tflite, case.plan(tflite)


def engine(where: str, samples: int = SAMPLES) -> Compiled:
    """The engine with its memory in RAM or in flash."""
    tflite, plan = model()
    memory = Memory(samples=samples, where=where)  # type: ignore[arg-type]
    return compile_model(tflite, replace(plan, memory=memory, store_bytes=AREA))


def main() -> int:
    """Measure and write; 2 on bad input."""
    parser = argparse.ArgumentParser(description="Benchmark a memory in flash.")
    parser.add_argument("--out", default="results/bench/samples.json")
    options = parser.parse_args()
    try:
        write_text(Path(options.out), json.dumps(measured(), indent=2) + "\n")
    except ExportError as error:
        print(f"benchmarks/samples.py: {error}", file=sys.stderr)
        return 2
    return 0


def measured() -> dict[str, Any]:
    """All figures, as plain numbers."""
    in_flash, in_ram = engine("flash"), engine("ram")
    facts = store_facts(in_flash.graph, in_flash.plan)
    assert facts is not None
    return {
        "samples": facts["samples"],
        "latent_bytes": in_flash.facts["latent"]["latent_bytes"],
        "index_bytes": facts["ram_bytes"],
        "static_ram": {c.plan.memory.where: c.memory.static_ram for c in (in_ram, in_flash) if c.plan.memory},
        "kept_an_erase": _kept_an_erase(in_flash),
        "replay_cycles": {where: _replay_cycles(engine(where, 4)) for where in ("ram", "flash")},
    }


def _kept_an_erase(compiled: Compiled) -> float:
    """Samples that a full memory takes while one page is erased: one picture, offered again and again."""
    host, seed = KeepingEngine(compiled), compiled.plan.seed
    host.infer(np.zeros(compiled.input.shape, np.int8))
    kept = before = 0
    for offered in range(1, OFFERED + 1):
        if offered > SAMPLES and random_below(seed, offered, ACCEPT, offered) < SAMPLES:
            kept += 1
            if kept % SAVE == 0:
                host.save()
        host.remember(0)
        if offered == SAMPLES:
            host.save()
            before = host.pages_opened
    return round(kept / (host.pages_opened - before), 3)


def _replay_cycles(compiled: Compiled) -> int:
    x = np.random.default_rng(1).integers(-128, 128, (1, *compiled.input.shape), np.int8)
    return measure(compiled, x, [0], memories=ROOMY, timeout=900.0).replay_step.cycles


if __name__ == "__main__":
    sys.exit(main())
