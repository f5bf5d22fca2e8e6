"""Instructions, RAM and flash of emitted engines on an emulated Cortex-M4F, beside what others need.

Prints a table and writes `build/bench/engine.json`: a list of rows `{net, plan, weights,
instructions_inference, instructions_train_step, static_ram_bytes, stack_bytes, total_ram_bytes, flash_bytes,
macs, yardstick, ...}`; names that end in `_arduino` are with the flags that Arduino compiles with. How it is
measured: docs/measuring.md.

    python benchmarks/engine.py [--only WORD] [--weights imagenet] [--out build/bench/engine.json] [--per-op]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from engine_nets import CASES, Case
from tqdm import tqdm

from tflm_export.compiler import Compiled, compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.files import write_text
from tflm_export.machines.host import HostEngine
from tflm_export.machines.m4 import ARDUINO_FLAGS, O2_FLAGS
from tflm_export.machines.measure import measure
from tflm_export.machines.profile import profile, table

STEPS = 2  # the second is the one that counts: its gradient shifts have settled
DRIFT_STEPS = 90


def main() -> int:
    """Measure the cases that were asked for; 2 on bad input."""
    parser = argparse.ArgumentParser(description="Benchmark emitted engines on an emulated Cortex-M4F.")
    parser.add_argument("--only", default="", help="nets whose name holds this word")
    parser.add_argument("--weights", choices=["random", "imagenet"], default="random")
    parser.add_argument("--out", default="build/bench/engine.json")
    parser.add_argument(
        "--per-op", action="store_true", help="print what every kernel call costs; write nothing"
    )
    options = parser.parse_args()
    cases = [case for case in CASES if options.only.lower() in case.net.lower()]
    try:
        if not cases:
            raise ExportError(f"--only {options.only!r}: no such net; allowed: {[c.net for c in CASES]}.")
        if options.per_op:
            return print_per_op(cases, options.weights)
        rows = [measure_case(case, options.weights) for case in tqdm(cases, unit="net")]
        print_table(rows)
        write_text(Path(options.out), json.dumps(rows, indent=2) + "\n")
    except (ExportError, TfodlError) as error:
        print(f"benchmarks/engine.py: {error}", file=sys.stderr)
        return 2
    return 0


def print_per_op(cases: list[Case], weights: str) -> int:
    """A table of kernel calls for an inference and a training step of each net."""
    for case in cases:
        tflite = case.tflite(None if weights == "random" else weights)
        compiled = compile_model(tflite, case.plan(tflite))
        for kind, costs in profile(compiled, *_samples(compiled, STEPS)).items():
            print(f"\n## {case.net}, {case.plan_name}: {kind}\n\n{table(costs)}", flush=True)
    return 0


def measure_case(case: Case, weights: str) -> dict[str, object]:
    """One row of the table."""
    tflite = case.tflite(None if weights == "random" else weights)
    compiled = compile_model(tflite, case.plan(tflite))
    pictures, targets = _samples(compiled, STEPS)
    plain = measure(compiled, pictures, targets, flags=O2_FLAGS)
    arduino = measure(compiled, pictures, targets, flags=ARDUINO_FLAGS)
    return {
        "net": case.net,
        "plan": case.plan_name,
        "weights": weights,
        "instructions_inference": plain.instructions_inference,
        "instructions_train_step": plain.instructions_train_step,
        "instructions_inference_arduino": arduino.instructions_inference,
        "instructions_train_step_arduino": arduino.instructions_train_step,
        "static_ram_bytes": plain.static_ram_bytes,
        "stack_bytes": plain.stack_bytes,
        "total_ram_bytes": plain.static_ram_bytes + plain.stack_bytes,
        "flash_bytes": plain.flash_bytes,
        "macs": compiled.facts["macs"],
        "mean_weight_ratio_90_steps": weight_ratio(compiled) if compiled.graph.loss is not None else None,
        "yardstick": case.yardstick,
    }


def _samples(compiled: Compiled, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random int8 inputs, and class indices or int8 targets (of no use where nothing trains)."""
    rng, graph = np.random.default_rng(0), compiled.graph
    pictures = rng.integers(-128, 128, (count, *graph.tensors[graph.inputs[0]].shape)).astype(np.int8)
    name = graph.outputs[0] if graph.loss is None else graph.loss.inputs[0]
    shape = graph.tensors[name].shape
    if graph.loss is not None and graph.loss.kind == "SOFTMAX_CROSSENTROPY":
        return pictures, rng.integers(0, shape[-1], count)
    return pictures, rng.integers(-128, 128, (count, *shape)).astype(np.int8)


def weight_ratio(compiled: Compiled) -> float:
    """Mean |trained weight| after 90 steps on random samples over that before; no rounding may shrink it."""
    engine = HostEngine.of(compiled)
    before = _mean_magnitude(engine)
    for picture, target in zip(*_samples(compiled, DRIFT_STEPS), strict=True):
        engine.train_step(picture, target)
    return round(_mean_magnitude(engine) / before, 4)


def _mean_magnitude(engine: HostEngine) -> float:
    weights = [w for w in engine.weights().values() if w.dtype == np.int8]
    return float(np.mean(np.abs(np.concatenate([w.ravel() for w in weights]).astype(np.int32))))


def print_table(rows: list[dict]) -> None:
    """Millions of instructions, bytes, and shares of the yardstick's."""
    head = f"{'net':40} {'plan':13} {'infer M':>9} {'step M':>9} {'infer -Os':>9} {'step -Os':>9}"
    print(f"{head} {'RAM':>8} {'flash':>8}  of the yardstick")
    for row in rows:
        keys = ("instructions_inference", "instructions_train_step")
        cells = [f"{row[key + flags] / 1e6:9.3f}" for flags in ("", "_arduino") for key in keys]
        sizes = f"{row['total_ram_bytes']:8} {row['flash_bytes']:8}"
        print(f"{row['net']:40} {row['plan']:13} {' '.join(cells)} {sizes}  {_shares(row)}")


def _shares(row: dict) -> str:
    yardstick = row["yardstick"]
    shared = [key for key in row if key in yardstick and isinstance(row[key], int)]
    shares = [f"{key.removeprefix('instructions_')} {row[key] / yardstick[key]:.2f}" for key in shared]
    return f"{yardstick['by']}: {', '.join(shares)}" if shares else ""


if __name__ == "__main__":
    sys.exit(main())
