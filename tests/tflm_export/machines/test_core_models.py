"""The models of the Cortex-M0+ and the Cortex-M7 against loops that are counted by hand.

Cortex-M0+, the instruction summary of its Technical Reference Manual (DDI 0484): 1, but loads and stores 2,
LDM, STM, PUSH and POP of N registers 1 + N, POP with the program counter 3 + N, a branch that is taken 2,
BL 3, BX 2, MRS and barriers 3. A snippet is entered by a branch, whose refill of 1 is its own; that of its
`pop {pc}` is the harness's.

Cortex-M7, the estimate of docs/measuring.md: two instructions begin in a cycle. A snippet saves lr (1), sets
the counter (1), waits (`dmb`, 3), and returns (1); "a | b" are the cycles of an iteration, with `subs` and
`bne`. The loops show what the model says, not what silicon does.
"""

from __future__ import annotations

import pytest
from counted_loops import TIMES, counted

from tflm_export.machines.emulator import CORES, CoreResult

M0PLUS_FRAME = 1 + 2 + 1 + TIMES * 2 + (TIMES - 1) + 3
M7_FRAME = 1 + 1 + 3 + 1

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


def test_reads_of_flash_are_those_outside_the_ram(m7: CoreResult) -> None:
    reads = {name: m7.cost(name).count.flash_reads for name in M7}
    assert {name: n for name, n in reads.items() if n} == {"address_use": TIMES, "table_branch": TIMES}
