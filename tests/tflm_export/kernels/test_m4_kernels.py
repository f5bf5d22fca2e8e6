"""The DSP kernels give the portable kernels' bits: both in one program, on random layers."""

from pathlib import Path

import pytest

from tflm_export.library import library_root
from tflm_export.machines.cortex_m import ARDUINO_FLAGS, O2_FLAGS, build, run

HERE = Path(__file__).parent / "m4_kernels"
SOURCE = library_root() / "src"
PORTABLE = "#define TFODL_PORTABLE\n#define tfodl portable\n"


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The whole library, its portable part again in a namespace of its own, and entry points to both."""
    folder = tmp_path_factory.mktemp("twice")
    files = sorted((SOURCE / "tfodl").rglob("*.cpp"))
    texts = {"fast_both.cpp": '#define NAME(x) fast_##x\n#include "both.cpp"\n'}
    texts["plain_both.cpp"] = PORTABLE + '#define NAME(x) plain_##x\n#include "both.cpp"\n'
    for file in files:
        if not file.stem.endswith("_dsp"):
            texts[f"plain_{file.name}"] = f'{PORTABLE}#include "{file.relative_to(SOURCE).as_posix()}"\n'
    for name, text in texts.items():
        (folder / name).write_text(text)
    return files + [folder / name for name in texts]


@pytest.mark.parametrize(
    ("program", "seed", "flags"),
    [("forward.cpp", 1, O2_FLAGS), ("gradient.cpp", 2, O2_FLAGS), ("forward.cpp", 3, ARDUINO_FLAGS),
     ("gradient.cpp", 4, ARDUINO_FLAGS)],
)  # fmt: skip
def test_same_bits(
    twice: list[Path], tmp_path: Path, program: str, seed: int, flags: tuple[str, ...]
) -> None:
    cases = 80
    main = f'#define SEED {seed}u\n#define CASES {cases}\n#include "{program}"\n'
    elf = build(twice, [SOURCE, HERE], main, tmp_path / "program.elf", flags)
    assert run(elf, {}).number("cases") == cases
