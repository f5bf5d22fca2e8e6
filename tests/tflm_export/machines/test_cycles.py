"""The cycle counter against loops that are counted by hand.

Cycles are those of the Arm Cortex-M4 Technical Reference Manual (100166), "Processor instruction set
summary", "Load/store timings" and "FPU instruction set", with P = 2 for the refill of the pipeline behind a
taken branch:

- data processing, MUL, MLA, SMULL, SMLAL and all of the DSP extension: 1
- B, BX, BL, CBZ: 1, and P when taken; TBB 2 + P
- LDR 2, STR 1; a load right behind a load or a store 1, its address phase runs beside their data phase
- LDM, STM, PUSH, POP of N registers 1 + N, LDRD, STRD 1 + 2; they overlap with nothing
- UDIV, SDIV 2 to 12 by the values; the counter says 7
- VADD, VSUB, VMUL 1, VMLA, VFMA 3, VDIV, VSQRT 14, VLDR, VSTR 2, VLDM 1 + N

A snippet is entered by a branch (P), saves lr (`push` 1 + 1), sets the counter (1), runs its loop 100 times
(`subs` 1, `bne` 1 + P, the last time 1) and returns (`pop` 1 + 1, whose refill is the harness's).

The estimate of the Cortex-M33 is the same table.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from counted_loops import TIMES, counted

from tflm_export.errors import ExportError
from tflm_export.machines.emulator import CORES, CoreResult, build, counter, run
from tflm_export.machines.emulator.counter import read_costs

P = 2
FRAME_CYCLES = P + 2 + 1 + TIMES * 2 + (TIMES - 1) * P + 2
FRAME_INSTRUCTIONS = 1 + 1 + TIMES * 2 + 1

# Body of the loop, its cycles, its instructions. r0: 64 words of RAM.
LOOPS: dict[str, tuple[str, int, int]] = {
    "nothing": ("", 0, 0),
    "alu": ("add r1, r2\nlsl.w r1, r1, #3\nubfx r1, r2, #3, #4\nmovw r1, #7", 4, 4),
    "taken_branch": ("b 2f\nnop\n2:", 1 + P, 1),
    "branch_not_taken": ("cmp r0, #0\nbeq 2f\n2:", 2, 2),
    "one_load": ("ldr r1, [r0]\nnop", 2 + 1, 2),
    "loads_in_a_row": ("ldr r1, [r0]\nldrb.w r2, [r0, #1]\nldrsh.w r1, [r0, #2]\nldr r2, [r0]", 2 + 3, 4),
    "load_behind_alu": ("ldr r1, [r0]\nnop\nldr r2, [r0]\nnop", 2 + 1 + 2 + 1, 4),
    "store": ("str r1, [r0]\nstrb.w r1, [r0, #5]\nstrh r1, [r0, #6]", 1 + 1 + 1, 3),
    "load_store": ("ldr r1, [r0]\nstr r1, [r0, #4]\nnop", 2 + 1 + 1, 3),
    "load_behind_store": ("str r1, [r0]\nldr r1, [r0, #4]\nnop", 1 + 1 + 1, 3),
    "ldm": ("ldm r0, {r1, r2, r12}", 1 + 3, 1),
    "ldm_two": ("ldm r0, {r1, r2}\nldm.w r0, {r1, r12}", 1 + 2 + 1 + 2, 2),
    "load_behind_ldm": ("ldm r0, {r1, r2}\nldr r1, [r0]\nnop", 1 + 2 + 2 + 1, 3),
    "stm": ("stm.w r0, {r1, r2, r12}", 1 + 3, 1),
    "push_pop": ("push {r0, r1, r2, r3}\npop {r0, r1, r2, r3}", 1 + 4 + 1 + 4, 2),
    "ldrd_strd": ("ldrd r1, r2, [r0]\nstrd r1, r2, [r0, #8]", 3 + 3, 2),
    "smlad": ("smlad r1, r2, r2, r1\nsmlad r1, r2, r12, r1\nsmladx r1, r2, r2, r1", 3, 3),
    "multiply": ("mul r1, r2, r2\nmla r1, r2, r2, r1\nsmull r1, r2, r12, r12\nsmlal r1, r2, r12, r12", 4, 4),
    "widen": ("sxtb16 r1, r2, ror #8\npkhbt r1, r2, r1\nssat r1, #8, r2\nsmmlar r1, r2, r2, r1", 4, 4),
    "divide": ("udiv r1, r2, r2\nsdiv r1, r2, r2", 7 + 7, 2),
    "it_block": ("cmp r0, #0\nite eq\nmoveq r1, #1\nmovne r1, #2", 4, 4),
    "float": ("vadd.f32 s0, s1, s2\nvmul.f32 s0, s1, s2\nvmov s0, r1\nvabs.f32 s0, s1", 4, 4),
    "float_multiply_add": ("vmla.f32 s0, s1, s2\nvfma.f32 s0, s1, s2\nvmls.f32 s0, s1, s2", 3 + 3 + 3, 3),
    "float_divide": ("vdiv.f32 s0, s1, s2\nvsqrt.f32 s0, s1", 14 + 14, 2),
    "float_load_store": ("vldr s0, [r0]\nnop\nvstr s0, [r0, #4]", 2 + 1 + 2, 3),
    "float_lists": ("vldm r0, {s0-s3}\nvstm r0, {s0-s3}", 1 + 4 + 1 + 4, 2),
    "table_branch": ("movs r1, #0\ntbb [pc, r1]\n.byte 1, 1\n2:", 1 + 2 + P, 2),
    "literal": ("ldr.w r1, 3f\nnop\nb 2f\n.balign 4\n3: .word 0\n2:", 2 + 1 + 1 + P, 3),
    "many_loads": (".rept 600\nldr r1, [r0]\n.endr", 1 + 600, 600),  # over more than one of QEMU's blocks
    "call": ("bl snippet_callee", 1 + P + 1 + P, 2),  # and its bx lr
}  # fmt: skip


@pytest.fixture(scope="module", params=["cortex-m4", "cortex-m33"])
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CoreResult:
    bodies = {name: body for name, (body, _, _) in LOOPS.items()}
    return counted(CORES[request.param], "mov.w r3, #100", bodies, tmp_path_factory.mktemp("cycles"))


@pytest.mark.parametrize("name", LOOPS)
def test_cycles_of_a_loop(result: CoreResult, name: str) -> None:
    _, cycles, instructions = LOOPS[name]
    first, second = (cost.count for cost in result.costs if cost.name == name)
    assert first.cycles == FRAME_CYCLES + TIMES * cycles
    assert first.instructions == FRAME_INSTRUCTIONS + TIMES * instructions
    assert second == first


def test_reads_of_flash(result: CoreResult) -> None:
    reads = {name: result.cost(name).count.flash_reads for name in LOOPS}
    assert {name: n for name, n in reads.items() if n} == {"literal": TIMES, "table_branch": TIMES}


def test_a_lap_is_taken_off() -> None:
    marks = "begin 5 5 0\nlap 10 8 0\nlap 17 12 0\nlap 44 30 2\nend 50 33 2\n"
    (cost,) = read_costs("lap 0\nlap 0\nlap 7\nf stack 16\n", marks)
    assert (cost.name, cost.stack_bytes, cost.count.cycles) == ("f", 16, 45)
    assert cost.laps == ((7, counter.Count(27 - 7, 18 - 4, 2)),)


def test_without_counts_or_tools_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="wrote no counts"):
        read_costs("f stack 16\n", "")
    monkeypatch.setattr(counter, "FLAGS", ("-nonsense",))
    counter._compiled.cache_clear()
    with pytest.raises(ExportError, match="cycle counter: gcc failed: .*nonsense"):
        counter.plugin()
    counter._compiled.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match="gcc is not installed; .*apt-get install gcc"):
        counter.plugin()


def test_a_qemu_without_plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "f.cpp"
    source.write_text("int f() { return 0; }")
    elf = build([source], [], "int f(); int main() { return f(); }", tmp_path / "f.elf")
    fake = tmp_path / "qemu-system-arm"
    fake.write_text('#!/bin/sh\necho "qemu-system-arm: -plugin: invalid option"; exit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ExportError, match="QEMU takes no plugin of interface 1"):
        run(elf, {})
