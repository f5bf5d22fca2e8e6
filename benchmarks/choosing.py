"""What an engine that chooses costs on the emulated Cortex-M4F, beside one that never does.

    python benchmarks/choosing.py [--out results/choose/cost.json]

mbv2-w0.35 at 96 px, its last four blocks, a pool of 21 KB: RAM with stack, cycles of a step without replays
in the first epoch, and of its end without the flash's own time; the other engine learns that epoch's channels
for good. The same of input channels. A last one remembers more, judges what it learns and has spare classes.
`benchmarks/choose_tables.py` prints it into docs/choosing.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from engine_nets import CASES

from tflm_export.compiler import Compiled, compile_model
from tflm_export.files import write_text
from tflm_export.front.spare import add_spare_classes
from tflm_export.living.choosing import ChoosingSimulator
from tflm_export.living.pool import candidates
from tflm_export.machines.choosing_cost import measure_choosing
from tflm_export.machines.emulator import ARDUINO_FLAGS, ROOMY
from tflm_export.machines.measure import measure
from tflm_export.plan import Guard, LayerUpdate, Memory, UpdatePlan
from tflm_export.pool import Pool

LAST_BLOCKS = tuple(f"#{i}" for i in (51, 53, 54, 55, 56, 57, 59, 60, 61, 63, 64, 65))
STEPS = 11  # more than are held out, so that all of them are measured


WHOLE = {  # a device with all that a plan may have, but exemplars
    "memory": Memory(samples=24, replays=0),
    "guard": Guard(samples=20, every=10),
    "spare_classes": 2,
}


def whole(tflite: bytes, plan: UpdatePlan, x: np.ndarray, labels: list[int]) -> dict[str, Any]:
    """The engine with everything, as plain numbers."""
    compiled = compile_model(add_spare_classes(tflite, 2), replace(plan, **WHOLE))
    found = measure_choosing(compiled, x, labels, every=STEPS, flags=ARDUINO_FLAGS, timeout=900.0)
    return {
        "ram_bytes": found.static_ram_bytes + found.stack_bytes,
        "stack_bytes": found.stack_bytes,
        "flash_bytes": found.flash_bytes,
        "epoch_end": vars(found.new_epoch),
        "samples": compiled.facts["latent"]["samples"],
        "judges": compiled.facts["latent"]["judges"],
        "guard_ram_bytes": compiled.facts["latent"]["guard_ram_bytes"],
        "area_bytes": compiled.facts["pool"]["area_bytes"],
    }


def cost(tflite: bytes) -> dict[str, Any]:
    """All engines, as plain numbers."""
    memory = Memory(samples=16, replays=0)
    plan = UpdatePlan(candidates=LAST_BLOCKS, memory=memory, pool=Pool(21 * 1024, "velocity", spend="fill"))
    inputs = replace(plan, pool=Pool(21 * 1024, "random", spend="fill", axis="in"))
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (STEPS, 1, 96, 96, 3), np.int8)
    labels = [i % 10 for i in range(STEPS)]
    beside = {"inputs": pair(tflite, inputs, x, labels), "whole": whole(tflite, plan, x, labels)}
    return pair(tflite, plan, x, labels) | beside


def pair(tflite: bytes, plan: UpdatePlan, x: np.ndarray, labels: list[int]) -> dict[str, Any]:
    """An engine that chooses, and one of the same channels for good."""
    compiled = compile_model(tflite, plan)
    chosen = measure_choosing(compiled, x, labels, every=STEPS, flags=ARDUINO_FLAGS, timeout=900.0)
    first = ChoosingSimulator(compiled.graph, plan).history[0]
    rows = first.channels.items()
    layers = tuple(_learning(compiled, name, channels) for name, channels in rows if channels)
    fixed = compile_model(tflite, replace(plan, layers=layers, pool=None))
    static = measure(fixed, x, labels, flags=ARDUINO_FLAGS, memories=ROOMY, timeout=900.0)
    return {
        "step": vars(chosen.train_step),
        "epoch_end": vars(chosen.new_epoch),
        "static_step": vars(static.train_step),
        "ram_bytes": chosen.static_ram_bytes + chosen.stack_bytes,
        "stack_bytes": chosen.stack_bytes,
        "static_ram_bytes": static.static_ram_bytes + static.stack_bytes,
        "flash_bytes": chosen.flash_bytes,
        "static_flash_bytes": static.flash_bytes,
        "channels": first.count,
        "weights_bytes": sum(c.weights.count for c in candidates(compiled.graph) if c.weights.in_pool),
        "pool": compiled.facts["pool"],
    }


def _learning(compiled: Compiled, name: str, channels: tuple[int, ...]) -> LayerUpdate:
    """What learns of a candidate, for a plan without a pool."""
    c = next(c for c in candidates(compiled.graph) if c.layer.name == name)
    rows = c.weights.axis == 0 or c.weights.depthwise
    return LayerUpdate(name, "out" if rows else "in", channels, "selected" if rows else "none")


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description="Benchmark an engine that chooses.")
    parser.add_argument("--out", default="results/choose/cost.json")
    options = parser.parse_args()
    case = next(c for c in CASES if c.net == "mbv2-w0.35 96x96x3" and c.gradients == "int16")
    write_text(Path(options.out), json.dumps(cost(case.tflite(None)), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
