"""The models of other cores than the Cortex-M4 against loops that are counted by hand.

Cortex-M0+, the instruction summary of its Technical Reference Manual (DDI 0484): 1, but loads and stores 2,
LDM, STM, PUSH and POP of N registers 1 + N, POP with the program counter 3 + N, a branch that is taken 2,
BL 3, BX 2, MRS and barriers 3. A snippet is entered by a branch, whose refill of 1 is its own; that of its
`pop {pc}` is the harness's.

Cortex-M7, the estimate of docs/measuring.md: two instructions begin in a cycle. A snippet saves lr (1), sets
the counter (1), waits (`dmb`, 3), and returns (1); "a | b" are the cycles of an iteration, with `subs` and
`bne`.

RV32IMC and Xtensa, estimates, too: an instruction a cycle, each when its operands are there; a branch that is
taken adds a refill of 2 and of 3. A snippet saves the return address (1), sets the counter (1), and returns
(1). The loops show what a model says, not what silicon does.
"""

from __future__ import annotations

import pytest
from counted_loops import RISCV, TIMES, XTENSA, counted

from tflm_export.machines.emulator import CORES, CoreResult

M0PLUS_FRAME = 1 + 2 + 1 + TIMES * 2 + (TIMES - 1) + 3
M7_FRAME = 1 + 1 + 3 + 1
RV32_FRAME = 2 + 1 + 1 + TIMES * 2 + (TIMES - 1) * 2 + 1
XTENSA_FRAME = 3 + 1 + 1 + TIMES * 2 + (TIMES - 1) * 3 + 1

# Body of the loop, its cycles.
M0PLUS: dict[str, tuple[str, int]] = {
    "nothing": ("", 0),
    "alu": ("adds r1, r2, r2\nlsls r1, r1, #3\nsxtb r1, r2\nadd r12, r1", 4),
    "multiply": ("muls r1, r2, r1", 1),
    "taken_branch": ("b 2f\nnop\n2:", 2),
    "branch_not_taken": ("cmp r0, #0\nbeq 2f\n2:", 2),
    "loads_in_a_row": ("ldr r1, [r0]\nldrb r1, [r0, #1]\nldrh r1, [r0, #2]", 2 + 2 + 2),
    "stores": ("str r1, [r0]\nstrb r1, [r0, #5]\nldr r2, [r0]", 2 + 2 + 2),
    "ldm": ("mov r2, r0\nldm r2!, {r1}", 1 + 1 + 1),
    "stm": ("mov r2, r0\nstm r2!, {r0, r1}", 1 + 1 + 2),
    "push_pop": ("push {r0, r1, r2}\npop {r0, r1, r2}", 1 + 3 + 1 + 3),
    "call": ("bl snippet_callee", 3 + 2),
    "return_by_pop": ("bl snippet_pusher", 3 + 1 + 1 + 3 + 1),
    "system": ("mrs r1, apsr\ndmb\nnop", 3 + 3 + 1),
}
# Body of the loop, the cycles of an iteration.
M7: dict[str, tuple[str, int]] = {
    "nothing": ("", 1),  # subs bne
    "pair": ("add.w r1, r2, r2\neor r12, r2, r0", 2),  # add eor | subs bne
    "three": ("add.w r1, r2, r2", 2),  # add subs | bne
    "chain": ("add.w r1, r1, r2\nadd.w r1, r1, r2", 3),  # add | add subs | bne
    "one_shifter": ("lsl.w r1, r2, #3\nlsl.w r12, r2, #4", 3),  # lsl | lsl subs | bne
    "shifted_early": ("add.w r1, r2, r2\nadd.w r12, r2, r1, lsl #2", 4),  # add | - | add subs | bne
    "load_use": ("ldr r1, [r0]\nadd.w r12, r1, r2", 3),  # ldr | add subs | bne
    "byte_use": ("ldrb r1, [r0]\nadd.w r12, r1, r2", 4),  # ldrb | - | add subs | bne
    "address_use": ("ldr r1, [r0]\nldr.w r12, [r1]", 4),  # ldr | - | ldr subs | bne
    "one_access": ("ldr r1, [r0]\nldr.w r12, [r0, #4]", 3),  # ldr | ldr subs | bne
    "load_beside_product": ("ldr r1, [r0]\nsmlad r12, r2, r2, r12", 2),  # ldr smlad | subs bne
    "sums_in_a_row": ("smlad r1, r2, r2, r1\nsmlad r1, r2, r2, r1\nsmlad r1, r2, r2, r1", 4),
    "product_use": ("mul r1, r2, r2\nadd.w r12, r1, r2", 4),  # mul | - | add subs | bne
    "small_number": ("mul r1, r2, r2\nadds r2, r0, #1", 2),  # mul adds | subs bne: the 1 is no r1
    "long_product": ("smull r1, r12, r2, r2\nsmlal r1, r12, r2, r2", 3),  # smull | smlal subs | bne
    "dsp_second": ("add.w r1, r2, r2\nsxtb16 r12, r2", 3),  # add | sxtb16 subs | bne
    "dsp_first": ("sxtb16 r12, r2\nadd.w r1, r2, r2", 2),  # sxtb16 add | subs bne
    "saturated_use": ("ssat r1, #8, r2\nadd.w r12, r1, r2", 4),  # ssat | - | add subs | bne
    "packed_early": ("add.w r1, r2, r2\npkhbt r12, r2, r1", 4),  # add | - | pkhbt subs | bne
    "stored_late": ("add.w r1, r2, r2\nstr r1, [r0]", 2),  # add str | subs bne
    "store_load": ("str r1, [r0]\nldr.w r12, [r0, #4]", 3),  # str | ldr subs | bne
    "indexed": ("movs r2, #4\nldr.w r1, [r0, r2]", 4),  # movs | - | ldr subs | bne
    "ldm": ("ldm.w r0, {r1, r2, r12}", 4),  # ldm ldm ldm | subs bne
    "ldrd": ("ldrd r1, r2, [r0]", 2),
    "push_pop": ("push {r1, r2}\npop {r1, r2}", 5),
    "divide": ("udiv r1, r2, r2", 8),
    "taken_branch": ("b 2f\nnop\n2:", 2),  # b | subs bne
    "it_block": ("cmp r0, #0\nit eq\nmoveq r1, #1", 3),  # cmp | it moveq | subs bne
    "carry": ("adds r1, r2, r2\nadc r12, r2, r2", 3),  # adds | adc subs | bne
    "one_float": ("vadd.f32 s0, s1, s2\nvmul.f32 s3, s1, s2", 3),  # vadd | vmul subs | bne
    "float_use": ("vadd.f32 s0, s1, s2\nvmul.f32 s3, s0, s2", 5),  # vadd | - | - | vmul subs | bne
    "float_sums": ("vmov.f32 s0, s1\nvmla.f32 s0, s1, s2\nvmla.f32 s0, s1, s2", 6),
    "float_divide": ("vdiv.f32 s0, s1, s2", 17),
    "float_load_use": ("vldr s0, [r0]\nvadd.f32 s1, s0, s2", 3),  # vldr | vadd subs | bne
    "table_branch": ("movs r1, #0\ntbb [pc, r1]\n.byte 1, 1\n2:", 5),  # movs | - | tbb tbb | subs bne
    "call": ("bl snippet_callee", 3),  # bl | bx | subs bne
    "many_loads": (".rept 600\nldr r1, [r0]\n.endr", 601),  # over more than one of QEMU's blocks
}
# Body of the loop, its cycles.
RV32: dict[str, tuple[str, int]] = {
    "nothing": ("", 0),
    "alu": ("add a1, a2, a3\nslli a1, a1, 3\nlui a2, 5", 3),
    "load_use": ("lw a1, 0(a0)\nadd a2, a1, a1", 1 + 1 + 1),
    "byte_use": ("lbu a1, 0(a0)\nadd a2, a1, a1", 1 + 1 + 1),
    "load_between": ("lw a1, 0(a0)\naddi a3, a3, 1\nadd a2, a1, a1", 3),
    "loads_in_a_row": ("lw a1, 0(a0)\nlh a2, 4(a0)\nlb a3, 8(a0)", 3),
    "load_of_nothing": ("lw x0, 0(a0)\nadd a1, x0, x0", 2),
    "stores": ("sw a1, 0(a0)\nsb a1, 5(a0)\nlw a2, 0(a0)", 3),
    "stored_at_once": ("lw a1, 0(a0)\nsw a1, 4(a0)", 1 + 1 + 1),
    "over_a_block": ("lw a1, 0(a0)\nbne a0, a0, 2f\n2: add a2, a1, a1", 3),
    "branch_on_a_load": ("lw a1, 0(a0)\nblt a1, x0, 2f\n2:", 1 + 1 + 1),
    "multiply": ("mul a1, a2, a3\nadd a1, a1, a2\nmulh a1, a2, a3\nadd a1, a1, a2", 4),
    "divide": ("divu a1, a2, a2\nremu a3, a2, a2", 8 + 8),
    "taken_branch": ("j 2f\nnop\n2:", 1 + 2),
    "call": ("jal snippet_callee", 1 + 2 + 1 + 2),
    "compressed": ("c.li a1, 3\nc.add a1, a2\nc.lw a2, 0(a0)\nc.sub a2, a1", 4 + 1),
}
LX106: dict[str, tuple[str, int]] = {
    "nothing": ("", 0),
    "alu": ("add a3, a4, a5\nslli a3, a3, 3\naddx4 a4, a3, a5\nmovi a6, 7", 4),
    "load_use": ("l32i a3, a2, 0\nadd a4, a3, a3", 1 + 2 + 1),
    "byte_use": ("l8ui a3, a2, 0\nadd a4, a3, a3", 1 + 2 + 1),
    "load_between": ("l32i a3, a2, 0\naddi a5, a5, 1\nadd a4, a3, a3", 3 + 1),
    "loads_in_a_row": ("l32i a3, a2, 0\nl16si a4, a2, 4\nl16ui a5, a2, 8", 3),
    "literal": ("movi a3, 0x12345678\nadd a4, a3, a3", 1 + 2 + 1),
    "stores": ("s32i a3, a2, 0\ns8i a3, a2, 5\nl32i a4, a2, 0", 3),
    "over_a_block": ("l32i a3, a2, 0\nbne a2, a2, 2f\n2: add a4, a3, a3", 3 + 1),
    "multiply": ("mull a3, a4, a4\nadd a5, a3, a3\nmul16s a3, a4, a4\nadd a5, a3, a3", 3 + 3),
    "shifts": ("ssl a4\nsll a3, a5\nssr a4\nsra a6, a3", 4),
    "conditional": ("moveqz a3, a4, a5\nabs a6, a3\nnsau a7, a6", 3),
    "taken_branch": ("j 2f\nnop\n2:", 1 + 3),
    "call": ("call0 snippet_callee", 1 + 3 + 1 + 3),
    "narrow": ("movi.n a3, 3\nadd.n a4, a3, a3\nl32i.n a5, a2, 0\nmov.n a6, a5", 4 + 2),
}
ESTIMATES = {
    "rv32imc": (RISCV, "li t0, 100", RV32_FRAME, RV32),
    "xtensa": (XTENSA, "movi a10, 100", XTENSA_FRAME, LX106),
}


@pytest.fixture(scope="module")
def estimates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CoreResult]:
    found = {}
    for name, (frame, begin, _, rows) in ESTIMATES.items():
        bodies = {row: body for row, (body, _) in rows.items()}
        found[name] = counted(CORES[name], begin, bodies, tmp_path_factory.mktemp(name), frame)
    return found


@pytest.fixture(scope="module")
def m0plus(tmp_path_factory: pytest.TempPathFactory) -> CoreResult:
    bodies = {name: body for name, (body, _) in M0PLUS.items()}
    return counted(CORES["cortex-m0plus"], "movs r3, #100", bodies, tmp_path_factory.mktemp("m0plus"))


@pytest.fixture(scope="module")
def m7(tmp_path_factory: pytest.TempPathFactory) -> CoreResult:
    bodies = {name: body for name, (body, _) in M7.items()}
    return counted(CORES["cortex-m7"], "mov.w r3, #100\ndmb", bodies, tmp_path_factory.mktemp("m7"))


def cycles(result: CoreResult, name: str) -> int:
    """Of a loop that was measured twice, the same both times."""
    first, second = (cost.count for cost in result.costs if cost.name == name)
    assert first == second
    return first.cycles


@pytest.mark.parametrize("name", M0PLUS)
def test_a_loop_of_the_cortex_m0plus(m0plus: CoreResult, name: str) -> None:
    assert cycles(m0plus, name) == M0PLUS_FRAME + TIMES * M0PLUS[name][1]


@pytest.mark.parametrize("name", M7)
def test_a_loop_of_the_cortex_m7(m7: CoreResult, name: str) -> None:
    assert cycles(m7, name) == M7_FRAME + TIMES * M7[name][1]


@pytest.mark.parametrize(
    "core, name", [(core, name) for core, (*_, rows) in ESTIMATES.items() for name in rows]
)
def test_a_loop_of_an_esp32(estimates: dict[str, CoreResult], core: str, name: str) -> None:
    *_, frame, rows = ESTIMATES[core]
    assert cycles(estimates[core], name) == frame + TIMES * rows[name][1]


def test_reads_of_flash_are_those_outside_the_ram(m7: CoreResult) -> None:
    reads = {name: m7.cost(name).count.flash_reads for name in M7}
    assert {name: n for name, n in reads.items() if n} == {"address_use": TIMES, "table_branch": TIMES}
