"""The same engines on every core: cycles, RAM and flash by core.

    python benchmarks/boards.py [--out results/bench/boards.json]

Which models are estimates docs/measuring.md says. `benchmarks/tables.py` prints it, with the boards' clocks,
into docs/add_board.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from engine import STEPS, drawn_samples
from engine_nets import CASES
from tqdm import tqdm

from tflm_export.errors import ExportError, TfodlError
from tflm_export.files import write_text
from tflm_export.machines.emulator import CORES
from tflm_export.machines.measure import measure

NETS = (("CNN 16x16x1, conv 8, conv 16, dense 10", "everything"), ("mbv2-w0.35 96x96x3", "49 KB scheme"))


def main() -> int:
    """Measure and write; 2 on bad input."""
    parser = argparse.ArgumentParser(description="Benchmark engines on every core.")
    parser.add_argument("--out", default="results/bench/boards.json")
    options = parser.parse_args()
    try:
        rows = [row for net in NETS for row in tqdm(rows_of(*net), total=len(CORES), desc=net[0])]
        write_text(Path(options.out), json.dumps(rows, indent=2) + "\n")
    except (ExportError, TfodlError) as error:
        print(f"benchmarks/boards.py: {error}", file=sys.stderr)
        return 2
    return 0


def rows_of(net: str, plan: str) -> Any:
    """A row a core, one after the other."""
    case = next(case for case in CASES if (case.net, case.plan_name) == (net, plan))
    compiled = case.compiled(None)
    pictures, targets = drawn_samples(compiled, STEPS)
    for name, core in CORES.items():
        found = measure(compiled, pictures, targets, memories=core.roomy, core=core, timeout=900)
        yield {
            "net": net,
            "plan": plan,
            "core": name,
            "cycles_inference": found.inference.cycles,
            "cycles_train_step": found.train_step.cycles,
            "instructions_train_step": found.train_step.instructions,
            "static_ram_bytes": found.static_ram_bytes,
            "stack_bytes": found.stack_bytes,
            "flash_bytes": found.flash_bytes,
        }


if __name__ == "__main__":
    sys.exit(main())
