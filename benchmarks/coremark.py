"""CoreMark by the model of every core, beside what is published: how far an estimate may be trusted.

CoreMark (EEMBC, Apache 2.0) is not part of this project: `--files` is a checkout of EEMBC's repository
`coremark`. It is compiled with -O3, run for one iteration and for three on the emulated core, and has to
validate its own results; what two iterations add is counted. Writes rows `{core, cycles, instructions,
coremark_per_mhz, published, by}`, which `benchmarks/tables.py` puts into docs/measuring.md.

    python benchmarks/coremark.py --files ../coremark [--out results/bench/coremark.json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from tflm_export.errors import ExportError
from tflm_export.files import write_text
from tflm_export.machines.emulator import CORES, Core, Count, link, run
from tflm_export.machines.emulator.toolchain import SUPPORT

SOURCES = ("core_list_join", "core_main", "core_matrix", "core_state", "core_util")
HARD = ("-mfloat-abi=hard",)
ARM = "Arm, with its own compiler"
PUBLISHED = {  # CoreMark/MHz, whose
    "cortex-m0plus": (2.46, ARM),
    "cortex-m4": (3.42, ARM),
    "cortex-m33": (4.02, ARM),
    "cortex-m7": (5.01, ARM),
    "rv32imc": (409.249 / 160, "Espressif on an ESP32-C3 at 160 MHz, GCC 12.2, -O3"),
    "xtensa": (504.85 / 240, "Espressif's data sheet of the ESP32, one core at 240 MHz"),
}
DEFINES = (
    *("-DPERFORMANCE_RUN=1", "-DHAS_FLOAT=0", "-DHAS_PRINTF=0", "-DHAS_STDIO=0", "-Dmain=coremark_main"),
    *('-DCOMPILER_FLAGS=""', "-include", "stddef.h", "-w"),
)
PORT = """
#include "coremark.h"
#include "board.h"
volatile ee_s32 seed1_volatile = 0, seed2_volatile = 0, seed3_volatile = 0x66;
volatile ee_s32 seed4_volatile = ITERATIONS, seed5_volatile = 0;
ee_u32 default_num_contexts = 1;
static int validated;
void start_time(void) {}
void stop_time(void) {}
CORE_TICKS get_time(void) { return 1; }
secs_ret time_in_secs(CORE_TICKS ticks) { return 10 * ticks; }
void portable_init(core_portable* p, int* n, char* rest[]) { (void)n, (void)rest, p->portable_id = 1; }
void portable_fini(core_portable* p) { p->portable_id = 0; }
int ee_printf(const char* format, ...) {
  validated += format[0] == 'C' && format[1] == 'o' && format[2] == 'r' && format[3] == 'r';
  return 0;
}
extern int coremark_main(int n, char* arguments[]);
static void work(void* none) { (void)none, coremark_main(0, 0); }
#undef main
int main(void) {
  board_measure("coremark", work, 0);
  board_print_number("validated", validated);
  return 0;
}
"""


def main() -> int:
    """Count on every core and write; 2 where the sources are missing or do not validate."""
    parser = argparse.ArgumentParser(description="CoreMark by the models of the emulated cores' cycles.")
    parser.add_argument("--files", required=True, metavar="DIR", help="a checkout of EEMBC's `coremark`")
    parser.add_argument("--out", default="results/bench/coremark.json")
    options = parser.parse_args()
    try:
        rows = [row(Path(options.files), name, core) for name, core in tqdm(CORES.items(), unit="core")]
    except (ExportError, OSError) as error:
        print(f"benchmarks/coremark.py: {error}", file=sys.stderr)
        return 2
    for found in rows:
        print(f"{found['core']:14} {found['coremark_per_mhz']:.2f}, published {found['published']:.2f}")
    write_text(Path(options.out), json.dumps(rows, indent=2) + "\n")
    return 0


def row(folder: Path, name: str, core: Core) -> dict[str, object]:
    """What an iteration takes."""
    three, one = (counted(folder, core, iterations) for iterations in (3, 1))
    cycles, instructions = (three.cycles - one.cycles) // 2, (three.instructions - one.instructions) // 2
    published, by = PUBLISHED[name]
    return {
        "core": name,
        "cycles": cycles,
        "instructions": instructions,
        "coremark_per_mhz": round(1e6 / cycles, 3),
        "published": round(published, 3),
        "by": by,
    }


def counted(folder: Path, core: Core, iterations: int) -> Count:
    """Of a whole run. Raises `ExportError` when the sources are missing or the run's results are wrong."""
    missing = [f"{source}.c" for source in SOURCES if not (folder / f"{source}.c").is_file()]
    if missing:
        raise ExportError(
            f"--files {str(folder)!r} has no {missing[0]}; give a checkout of EEMBC's `coremark`."
        )
    tools = core.toolchain
    flags = [*core.flags(["-O3", *HARD]), *tools.compile, *DEFINES, f"-DITERATIONS={iterations}"]
    flags += [f"-I{path}" for path in (folder, folder / "barebones", SUPPORT)]
    with tempfile.TemporaryDirectory(prefix="tfodl-coremark-") as name:
        port = Path(name) / "board_port.c"
        port.write_text(PORT)
        objects = []
        for source in (*(folder / f"{source}.c" for source in SOURCES), port):
            objects.append(Path(name) / f"{source.stem}.o")
            command = [tools.tool("gcc"), *flags, "-c", str(source), "-o", str(objects[-1])]
            subprocess.run(command, check=True)
        elf = link(objects, Path(name) / "coremark.elf", HARD, core.roomy, core)
        result = run(elf, {}, core=core)
    if result.number("validated") != 1:
        raise ExportError(f"{core.title}: CoreMark does not validate its results.")
    return result.cost("coremark").count


if __name__ == "__main__":
    sys.exit(main())
