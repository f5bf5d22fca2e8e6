"""The kernels for one kind of core give the portable kernels' bits: both in one program, on random layers."""

from pathlib import Path

import numpy as np
import pytest

from tflm_export.library import library_root
from tflm_export.machines.emulator import ARDUINO_FLAGS, CORES, O2_FLAGS, Core, Elf, build, run

HERE = Path(__file__).parent / "m4_kernels"
SOURCE = library_root() / "src"
PORTABLE = "#define TFODL_PORTABLE\n#define tfodl portable\n"


CASES = 80


M4, M0PLUS = CORES["cortex-m4"], CORES["cortex-m0plus"]
BUILDS = {"O2": (O2_FLAGS, M4), "Arduino": (ARDUINO_FLAGS, M4), "M0+": (ARDUINO_FLAGS, M0PLUS)}


@pytest.fixture(scope="module", params=BUILDS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Elf, Core]:
    """The whole library, its portable part again in a namespace of its own, and what calls both."""
    folder = tmp_path_factory.mktemp("twice")
    files = sorted((SOURCE / "tfodl").rglob("*.cpp"))
    texts = {"fast_both.cpp": '#define NAME(x) fast_##x\n#include "both.cpp"\n'}
    texts["plain_both.cpp"] = PORTABLE + '#define NAME(x) plain_##x\n#include "both.cpp"\n'
    for file in files:
        if not file.stem.endswith("_dsp"):
            texts[f"plain_{file.name}"] = f'{PORTABLE}#include "{file.relative_to(SOURCE).as_posix()}"\n'
    for name, text in texts.items():
        (folder / name).write_text(text)
    twice = files + [folder / name for name in texts]
    main = f'#define CASES {CASES}\n#include "program.cpp"\n'
    flags, core = BUILDS[request.param]
    return build(twice, [SOURCE, HERE], main, folder / "program.elf", flags, core=core), core


@pytest.mark.parametrize(("family", "seed"), [(0, 1), (1, 2), (0, 3), (1, 4)])
def test_same_bits(program: tuple[Elf, Core], family: int, seed: int) -> None:
    elf, core = program
    asked = np.uint32([family, seed]).tobytes()
    assert run(elf, {"asked.bin": asked}, core=core).number("cases") == CASES
