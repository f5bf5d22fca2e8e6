"""Cycles, RAM and flash of emitted engines on an emulated Cortex-M4F, beside what others need.

Prints a table and writes `build/bench/engine.json`: a list of rows `{net, plan, weights, cycles_inference,
cycles_train_step, milliseconds_inference, milliseconds_train_step, instructions_inference,
instructions_train_step, flash_reads_inference, flash_reads_train_step, static_ram_bytes, stack_bytes,
total_ram_bytes, flash_bytes, macs, cycles_a_mac_inference, cycles_replay_step, sample_bytes, yardstick,
...}`; names that end in `_arduino` are with the flags that Arduino compiles with. How it is measured:
docs/measuring.md.

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

from tflm_export.boards import BOARDS
from tflm_export.compiler import Compiled
from tflm_export.errors import ExportError, TfodlError
from tflm_export.files import write_text
from tflm_export.machines.emulator import ARDUINO_FLAGS, O2_FLAGS
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import Measured, measure
from tflm_export.machines.profile import profile, table

STEPS = 2  # the second is the one that counts: its gradient shifts have settled
DRIFT_STEPS = 90
KINDS = ("inference", "train_step")


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
        compiled = case.compiled(None if weights == "random" else weights)
        for kind, costs in profile(compiled, *drawn_samples(compiled, STEPS)).items():
            print(f"\n## {case.net}, {case.plan_name}: {kind}\n\n{table(costs)}", flush=True)
    return 0


def measure_case(case: Case, weights: str) -> dict[str, object]:
    """One row of the table."""
    compiled = case.compiled(None if weights == "random" else weights)
    pictures, targets = drawn_samples(compiled, STEPS)
    plain = measure(compiled, pictures, targets, flags=O2_FLAGS)
    arduino = measure(compiled, pictures, targets, flags=ARDUINO_FLAGS)
    return {
        "net": case.net,
        "plan": case.plan_name,
        "weights": weights,
        **_work(plain, compiled.facts["macs"]),
        **{f"{name}_arduino": value for name, value in _work(arduino, compiled.facts["macs"]).items()},
        "static_ram_bytes": plain.static_ram_bytes,
        "stack_bytes": plain.stack_bytes,
        "total_ram_bytes": plain.static_ram_bytes + plain.stack_bytes,
        "flash_bytes": plain.flash_bytes,
        "cycles_replay_step": plain.replay_step.cycles,
        "instructions_replay_step": plain.replay_step.instructions,
        "sample_bytes": compiled.facts["latent"]["bytes_a_sample"] if compiled.plan.memory else 0,
        "macs": compiled.facts["macs"],
        "mean_weight_ratio_90_steps": weight_ratio(compiled) if compiled.graph.loss is not None else None,
        "yardstick": case.yardstick,
    }


def _work(measured: Measured, macs: dict[str, int]) -> dict[str, int | float]:
    """What both kinds of call take; 0 for a training step of an engine that only infers."""
    work: dict[str, int | float] = {}
    for kind, count in zip(KINDS, (measured.inference, measured.train_step), strict=True):
        work[f"cycles_{kind}"] = count.cycles
        work[f"milliseconds_{kind}"] = round(BOARDS["nano33ble"].milliseconds(count.cycles), 3)
        work[f"instructions_{kind}"] = count.instructions
        work[f"flash_reads_{kind}"] = count.flash_reads
    work["cycles_a_mac_inference"] = round(measured.inference.cycles / macs["forward"], 3)
    work["cycles_a_mac_train_step"] = round(measured.train_step.cycles / sum(macs.values()), 3)
    return work


def drawn_samples(compiled: Compiled, count: int) -> tuple[np.ndarray, np.ndarray]:
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
    engine = HostEngine(compiled)
    before = _mean_magnitude(engine)
    for picture, target in zip(*drawn_samples(compiled, DRIFT_STEPS), strict=True):
        engine.train_step(picture, target)
    return round(_mean_magnitude(engine) / before, 4)


def _mean_magnitude(engine: HostEngine) -> float:
    weights = [w for w in engine.weights().values() if w.dtype == np.int8]
    return float(np.mean(np.abs(np.concatenate([w.ravel() for w in weights]).astype(np.int32))))


def print_table(rows: list[dict]) -> None:
    """A line for an inference and one for a training step of each net, with shares of the yardstick's."""
    titles = ("M cycles", "ms", "cycles/MAC", "M instr.", "-Os M cyc.", "RAM", "flash")
    print(f"{'net':40} {'plan':13} {'':10} {' '.join(f'{title:>10}' for title in titles)}  of the yardstick")
    for row in rows:
        kinds = [kind for kind in KINDS if row[f"cycles_{kind}"]]
        for kind in kinds:
            cells = " ".join(f"{cell:>10}" for cell in _cells(row, kind))
            print(f"{row['net']:40} {row['plan']:13} {kind:10} {cells}  {_shares(row, kind)}")


def _cells(row: dict, kind: str) -> list[str]:
    return [
        f"{row[f'cycles_{kind}'] / 1e6:.3f}",
        f"{row[f'milliseconds_{kind}']:.1f}",
        f"{row[f'cycles_a_mac_{kind}']:.2f}",
        f"{row[f'instructions_{kind}'] / 1e6:.3f}",
        f"{row[f'cycles_{kind}_arduino'] / 1e6:.3f}",
        f"{row['total_ram_bytes']}",
        f"{row['flash_bytes']}",
    ]


def _shares(row: dict, kind: str) -> str:
    yardstick = row["yardstick"]
    keys = (f"cycles_{kind}", f"instructions_{kind}", "total_ram_bytes", "flash_bytes")
    shares = [f"{key} {row[key] / yardstick[key]:.2f}" for key in keys if key in yardstick]
    return f"{yardstick['by']}: {', '.join(shares)}" if shares else ""


if __name__ == "__main__":
    sys.exit(main())
