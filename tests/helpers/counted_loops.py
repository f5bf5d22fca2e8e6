"""Loops in assembly that the emulator counts: a function each, its body 100 times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tflm_export.machines.emulator import Core, CoreResult, build, run

TIMES = 100
CALLEES = """
extern "C" __attribute__((naked)) void snippet_callee() { __asm("bx lr"); }
extern "C" __attribute__((naked)) void snippet_pusher() { __asm("push {lr}\\npop {pc}"); }
"""
SNIPPET = """
extern "C" __attribute__((naked)) void snippet_%s(void*) {
  __asm(R"(
    .syntax unified
    push {lr}
    %s
    1:
    %s
    subs r3, #1
    bne 1b
    pop {pc}
  )");
}
"""


def counted(core: Core, begin: str, bodies: Mapping[str, str], folder: Path) -> CoreResult:
    """Every loop measured twice.

    begin: what sets r3 to 100. bodies: assembly; r0 points at 64 words of RAM, r1, r2 and r12 are free.
    """
    source = folder / "snippets.cpp"
    source.write_text(CALLEES + "".join(SNIPPET % (name, begin, body) for name, body in bodies.items()))
    elf = build([source], [], _main([*bodies]), folder / "snippets.elf", core=core)
    return run(elf, {}, core=core)


def _main(names: Iterable[str]) -> str:
    names = list(names)
    declared = "\n".join(f'extern "C" void snippet_{name}(void*);' for name in names)
    calls = "\n".join(f'board_measure("{name}", snippet_{name}, words);' for name in [*names, *names])
    return f'#include "board.h"\n{declared}\nint main() {{ static uint32_t words[64]; {calls} return 0; }}'
