"""What leaving dead channels out saves of published nets, on the emulated Cortex-M4F.

    python benchmarks/dead.py [--out results/bench/dead.json]

The nets of the 256 KB paper at 128 px with their published weights (`TFODL_DATA`), for inference, compiled
with their dead channels and without. `benchmarks/tables.py` prints it into docs/compiler.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from engine_nets import Case, inference, published
from tqdm import tqdm

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.files import write_text
from tflm_export.machines.emulator import O2_FLAGS, ROOMY
from tflm_export.machines.measure import measure

NETS = ("mcunet-5fps", "mbv2-w0.35", "proxyless-w0.3")


def row(net: str) -> dict[str, Any]:
    """One net, both ways."""
    tflite = Case(net, "inference", published(net), inference).tflite("imagenet")
    both = {}
    for name, keep in (("kept", True), ("left_out", False)):
        compiled = compile_model(tflite, inference(tflite), keep_dead=keep)
        x = np.random.default_rng(0).integers(-128, 128, (1, *compiled.input.shape), np.int8)
        found = measure(compiled, x, [None], flags=O2_FLAGS, memories=ROOMY)
        macs = compiled.facts["macs"]["forward"]
        both[name] = {"cycles": found.inference.cycles, "flash_bytes": found.flash_bytes, "macs": macs}
    return {"net": net, **compiled.facts["dead"], **both}


def main() -> int:
    """Measure and write; 2 on bad input."""
    parser = argparse.ArgumentParser(description="Benchmark leaving dead channels out.")
    parser.add_argument("--out", default="results/bench/dead.json")
    options = parser.parse_args()
    try:
        rows = [row(net) for net in tqdm(NETS, unit="net")]
    except (ExportError, TfodlError) as error:
        print(f"benchmarks/dead.py: {error}", file=sys.stderr)
        return 2
    write_text(Path(options.out), json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
