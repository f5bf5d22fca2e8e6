"""The registers that the counter finds in an instruction are those that binutils' disassembler names."""

import re
import subprocess
from pathlib import Path

import pytest

from tflm_export.machines.emulator import CORES
from tflm_export.machines.emulator.counter import PLUGIN

ROOT = Path(__file__).parents[3]
LIBRARY = ROOT / "arduino" / "src"
SOURCES = ("dsp/block_dsp", "dsp/step_dsp", "dsp/pair_dsp", "float32/update_f32")
LINE = re.compile(r"\s*[0-9a-f]+:\t([0-9a-f]{4}(?: [0-9a-f]{4})?)\s*\t([a-z]\w*)\S*\t?([^;@<]*)")
OTHERS = {"sb": 9, "sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14}
FLAGS, FIRST_FLOAT = 15, 16
UNKNOWN = {"push": {14}, "pop": {14}}  # in a list of 16 bits lr is left out: it gates no loop
IMPLIED = {"push": {13}, "pop": {13}, "vpush": {13}, "vpop": {13}, "bl": {14}}
NOT_THE_FIRST = re.compile(r"st|push|pop|ldm|ldrd|b(?!ic|f)|cb|cm[pn]|tst|teq|v|it|[su]mlal|[su]mull|nop|tb")


def registers(text: str) -> set[int]:
    """Numbers of the registers in operands; s0 is 16."""
    text = re.sub(r"([rsd])(\d+)-[rsd](\d+)", lambda m: _range(m[1], int(m[2]), int(m[3])), text)
    found = {OTHERS[name] for name in re.findall(r"\b(s[bp]|sl|fp|ip|lr)\b", text)}
    found |= {int(n) for n in re.findall(r"\br(\d+)\b", text)}
    found |= {FIRST_FLOAT + int(n) for n in re.findall(r"\bs(\d+)\b", text)}
    return found | {FIRST_FLOAT + 2 * int(n) + i for n in re.findall(r"\bd(\d+)\b", text) for i in (0, 1)}


def _range(letter: str, first: int, last: int) -> str:
    return ", ".join(f"{letter}{i}" for i in range(first, last + 1))


@pytest.fixture(scope="module")
def instructions(tmp_path_factory):
    """(half-words, mnemonic, operands) of kernels compiled for the Cortex-M7, each once."""
    folder, found = tmp_path_factory.mktemp("thumb"), {}
    flags = [*CORES["cortex-m7"].cpu, "-mfloat-abi=hard", "-O2", "-std=c++14", f"-I{LIBRARY}"]
    for i, source in enumerate(SOURCES):
        made, kernel = str(folder / f"{i}.o"), str(LIBRARY / f"tfodl/{source}.cpp")
        subprocess.run(["arm-none-eabi-g++", *flags, "-c", kernel, "-o", made], check=True)
        listing = subprocess.run(
            ["arm-none-eabi-objdump", "-d", made], check=True, capture_output=True, text=True
        )
        matches = filter(None, map(LINE.match, listing.stdout.splitlines()))
        found |= {m[1]: (m[2], m[3].strip()) for m in matches}
    return [(code, *text) for code, text in found.items()]


@pytest.fixture(scope="module")
def decoded(instructions, tmp_path_factory):
    """(registers named, registers written) of each."""
    program = tmp_path_factory.mktemp("decoder") / "decoder"
    sources = [str(ROOT / "tests/cpp/thumb_registers.c"), str(PLUGIN / "thumb.c")]
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{PLUGIN}"]
    subprocess.run(["gcc", *flags, *sources, "-o", str(program)], check=True)
    lines = "".join(f"{code}\n" for code, _, _ in instructions)
    done = subprocess.run([str(program)], input=lines, check=True, capture_output=True, text=True)
    rows = [[int(word, 16) for word in line.split()] for line in done.stdout.splitlines()]
    return [tuple({i for i in range(48) if bits >> i & 1 and i != FLAGS} for bits in row) for row in rows]


def test_every_register_is_found(instructions, decoded):
    assert len({name for _, name, _ in instructions}) > 50 and len(instructions) > 1000
    wrong = [
        (one, named)
        for one, (named, _) in zip(instructions, decoded, strict=True)
        if (named ^ (registers(one[2]) | IMPLIED.get(one[1], set()))) - UNKNOWN.get(one[1], set())
    ]
    assert not wrong


def test_results_are_the_first_operand(instructions, decoded):
    checked = 0
    for one, (_, written) in zip(instructions, decoded, strict=True):
        if not NOT_THE_FIRST.match(one[1]):
            assert written == registers(one[2].split(",")[0]), one
            checked += 1
    assert checked > 500
