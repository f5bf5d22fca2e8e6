"""MLPerf Tiny's own int8 files (v0.5 to v1.3, Apache 2.0): cycles, RAM and flash of their engines.

They are not part of this project: `--files` is a checkout of MLCommons' repository `tiny`, or any folder that
holds the four files, which are told by their SHA-256. Each engine is first held to TFLite Micro's run of the
whole file, bit for bit. Prints a line a file and writes `results/bench/mlperf.json`, rows `{benchmark, file,
verified, macs, dead_macs, cycles, cycles_arduino, instructions, ram_bytes, flash_bytes, published_cycles}`;
`benchmarks/tables.py` puts them into docs/measuring.md.

    python benchmarks/mlperf.py --files ../tiny [--out results/bench/mlperf.json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.files import write_text
from tflm_export.machines.emulator import ARDUINO_FLAGS, O2_FLAGS
from tflm_export.machines.measure import measure
from tflm_export.machines.tflm import tflm_outputs
from tflm_export.plan import UpdatePlan

PICTURES = 8
FILES = {  # name: benchmark, SHA-256, M cycles of the best result published for a Cortex-M4 board, v1.0-v1.3
    "vww_96_int8.tflite": ("VWW", "597a384c8c2c8a1276f04702f25013b7838f2f814f1ca7c174d295b73e3d6b7b", 10.67),
    "pretrainedResnet_quant.tflite": (
        *("IC", "3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415", 19.82),
    ),
    "kws_ref_model.tflite": ("KWS", "aeea436800704fce17b17292e4412630ad856e9d777c044c64ef748a880bd0ae", 5.18),
    "ad01_int8.tflite": ("AD", "87cf24194ef93d1d9b11a591d805526b98008e351655d29883c825c9c106ba24", 0.486),
}


def main() -> int:
    """Measure the four files; 2 where one is missing, is another, or its engine differs from TFLite Micro."""
    parser = argparse.ArgumentParser(description="Measure MLPerf Tiny's own files on an emulated Cortex-M4F.")
    parser.add_argument("--files", required=True, metavar="DIR", help="a checkout of MLCommons' `tiny`")
    parser.add_argument("--out", default="results/bench/mlperf.json")
    options = parser.parse_args()
    try:
        found = {name: find(Path(options.files), name) for name in FILES}
        rows = [measured(name, data) for name, data in tqdm(found.items(), unit="file")]
    except (ExportError, OSError) as error:
        print(f"benchmarks/mlperf.py: {error}", file=sys.stderr)
        return 2
    for row in rows:
        print(f"{row['benchmark']:4} {row['cycles'] / 1e6:6.3f} M cycles, {row['ram_bytes']:,} B of RAM")
    write_text(Path(options.out), json.dumps(rows, indent=2) + "\n")
    return 0


def find(folder: Path, name: str) -> bytes:
    """The file called `name` somewhere below `folder`. Raises `ExportError` unless it is the one we know."""
    paths = sorted(folder.rglob(name))
    if not paths:
        raise ExportError(f"--files {str(folder)!r} has no {name}; give a checkout of MLCommons' `tiny`.")
    data = paths[0].read_bytes()
    if hashlib.sha256(data).hexdigest() != FILES[name][1]:
        raise ExportError(
            f"{str(paths[0])!r} is another file than the one measured here (its SHA-256 differs)."
        )
    return data


def measured(name: str, tflite: bytes) -> dict[str, object]:
    """A row. Raises `ExportError` when the engine does not do what TFLite Micro does."""
    benchmark, _, published = FILES[name]
    compiled = compile_model(tflite, UpdatePlan(head=False))
    xs = np.random.default_rng(0).integers(-128, 128, (PICTURES, *compiled.input.shape)).astype(np.int8)
    plain, arduino = (
        measure(compiled, xs, [None] * PICTURES, inferences=PICTURES, flags=flags)
        for flags in (O2_FLAGS, ARDUINO_FLAGS)
    )
    wanted = np.stack([y.ravel() for y in tflm_outputs(compiled, xs)])
    if not (np.array_equal(plain.outputs, wanted) and np.array_equal(arduino.outputs, wanted)):
        raise ExportError(f"{name}: the engine's outputs are not TFLite Micro's.")
    facts = compiled.facts
    return {
        "benchmark": benchmark,
        "file": name,
        "verified": PICTURES,
        "macs": facts["macs"]["forward"],
        "dead_macs": round(facts["dead"]["share_of_macs"], 4),
        "cycles": plain.inference.cycles,
        "cycles_arduino": arduino.inference.cycles,
        "instructions": plain.inference.instructions,
        "ram_bytes": plain.static_ram_bytes + plain.stack_bytes,
        "flash_bytes": plain.flash_bytes,
        "published_cycles": round(published * 1e6),
    }


if __name__ == "__main__":
    sys.exit(main())
