"""The registers that the counter finds in an instruction are those that binutils' disassembler names."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tflm_export.machines.emulator import CORES
from tflm_export.machines.emulator.counter import PLUGIN

ROOT = Path(__file__).parents[3]
LIBRARY = ROOT / "arduino" / "src"
PORTABLE = ("forward/conv_s8", "forward/lstm_s8", "forward/softmax_s8", "float32/update_f32",
            "serial/commands", "detail/support")  # fmt: skip
LINE = re.compile(r"\s*[0-9a-f]+:\s+((?:[0-9a-f]{4,8} ?)+)\s*\t([a-z][\w.]*)\t?([^;@]*)")
TARGET = re.compile(r"\b[0-9a-f]+ <.*")  # of a branch: no register, though it may be called a8


def _thumb(text: str) -> set[int]:
    """Numbers of the registers in operands; s0 is 16."""
    text = re.sub(r"([rsd])(\d+)-[rsd](\d+)", lambda m: _range(m[1], int(m[2]), int(m[3])), text)
    others = {"sb": 9, "sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14}
    found = {others[name] for name in re.findall(r"\b(s[bp]|sl|fp|ip|lr)\b", text)}
    found |= {int(n) for n in re.findall(r"\br(\d+)\b", text)}
    found |= {16 + int(n) for n in re.findall(r"\bs(\d+)\b", text)}
    return found | {16 + 2 * int(n) + i for n in re.findall(r"\bd(\d+)\b", text) for i in (0, 1)}


def _range(letter: str, first: int, last: int) -> str:
    return ", ".join(f"{letter}{i}" for i in range(first, last + 1))


def _riscv(text: str) -> set[int]:
    return {int(n) for n in re.findall(r"\bx(\d+)\b", text)} - {0}


def _xtensa(text: str) -> set[int]:
    return {int(n) for n in re.findall(r"\ba(\d+)\b", text)}


@dataclass(frozen=True)
class Machine:
    """named: register numbers in operands. hidden: registers that operands do not name, by mnemonic.

    not_the_first: mnemonics whose first operand is no result. flags: bits of the decoder's that are none of
    the registers that are named. unknown: what the decoder may see either way.
    """

    core: str
    sources: tuple[str, ...]
    named: Callable[[str], set[int]]
    hidden: dict[str, set[int]]
    not_the_first: re.Pattern[str]
    flags: frozenset[int] = frozenset()
    unknown: dict[str, set[int]] = field(default_factory=dict)


MACHINES = {
    "thumb": Machine(
        "cortex-m7",
        ("dsp/block_dsp", "dsp/step_dsp", "dsp/pair_dsp", "float32/update_f32"),
        _thumb,
        {"push": {13}, "pop": {13}, "vpush": {13}, "vpop": {13}, "bl": {14}},
        re.compile(r"st|push|pop|ldm|ldrd|b(?!ic|f)|cb|cm[pn]|tst|teq|v|it|[su]mlal|[su]mull|nop|tb"),
        frozenset({15}),
        {"push": {14}, "pop": {14}},  # in a list of 16 bits lr is left out: it gates no loop
    ),
    "riscv": Machine(
        "rv32imc",
        PORTABLE,
        _riscv,
        {"c.jal": {1}, "c.jalr": {1}},
        re.compile(r"s[bhw]$|c\.sw|b|c\.b|c\.j|c\.nop|jal|fence"),
    ),
    "xtensa": Machine(
        "xtensa",
        PORTABLE,
        _xtensa,
        {"call0": {0}, "callx0": {0}, "ret": {0}, "ret.n": {0}},
        re.compile(r"s\d+i|b|j|call|ret|ss|nop|memw|ill"),
        frozenset({16}),
    ),
}


@pytest.fixture(scope="module", params=MACHINES)
def machine(request) -> tuple[str, Machine]:
    return request.param, MACHINES[request.param]


@pytest.fixture(scope="module")
def instructions(machine, tmp_path_factory):
    """(bytes, mnemonic, operands) of kernels compiled for the core, each once."""
    folder, found, core = tmp_path_factory.mktemp("kernels"), {}, CORES[machine[1].core]
    tools, raw = core.toolchain, ["-M", "no-aliases,numeric"] if machine[0] == "riscv" else []
    flags = [*core.flags(["-O2", "-std=c++14", "-mfloat-abi=hard"]), *tools.compile, f"-I{LIBRARY}"]
    for i, source in enumerate(machine[1].sources):
        made, kernel = str(folder / f"{i}.o"), str(LIBRARY / f"tfodl/{source}.cpp")
        subprocess.run([tools.tool("g++"), *flags, "-c", kernel, "-o", made], check=True)
        command = [tools.tool("objdump"), *raw, "-d", made]
        listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        matches = filter(None, map(LINE.match, listing.splitlines()))
        found |= {_in_memory(m[1].split()): (m[2], TARGET.sub("", m[3]).strip()) for m in matches}
    return [(code, *text) for code, text in found.items()]


def _in_memory(words: list[str]) -> bytes:
    """Of numbers as the disassembler writes them, the lowest byte last."""
    return b"".join(bytes.fromhex(word)[::-1] for word in words)


@pytest.fixture(scope="module")
def decoded(machine, instructions, tmp_path_factory):
    """(length, registers named, registers written) of each."""
    program = tmp_path_factory.mktemp("decoder") / "decoder"
    sources = [ROOT / "tests/cpp/decoded_registers.c"]
    sources += [PLUGIN / f"{name}.c" for name in (*MACHINES, "pattern")]
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{PLUGIN}"]
    subprocess.run(["gcc", *flags, *map(str, sources), "-o", str(program)], check=True)
    lines = "".join(f"{code.hex()}\n" for code, _, _ in instructions)
    done = subprocess.run([str(program), machine[0]], input=lines, check=True, capture_output=True, text=True)
    rows = [[int(word, 16) for word in line.split()] for line in done.stdout.splitlines()]
    return [(length, _members(machine[1], one), _members(machine[1], other)) for length, one, other in rows]


def _members(machine: Machine, bits: int) -> set[int]:
    return {i for i in range(48) if bits >> i & 1} - machine.flags


def test_every_register_is_found(machine, instructions, decoded):
    about = machine[1]
    assert len({name for _, name, _ in instructions}) > 50 and len(instructions) > 1000
    for (code, name, operands), (length, named, _) in zip(instructions, decoded, strict=True):
        wanted = about.named(operands) | about.hidden.get(
            name.split(".")[0] if about.unknown else name, set()
        )
        unknown = (about.unknown or {}).get(name.split(".")[0], set())
        assert length == len(code) and not (named ^ wanted) - unknown, (code.hex(), name, operands, named)


def test_results_are_the_first_operand(machine, instructions, decoded):
    checked, about = 0, machine[1]
    for (code, name, operands), (_, _, written) in zip(instructions, decoded, strict=True):
        if not about.not_the_first.match(name):
            assert written == about.named(operands.split(",")[0]), (code.hex(), name, operands, written)
            checked += 1
    assert checked > 500
