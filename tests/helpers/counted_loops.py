"""Loops in assembly that the emulator counts: a function each, its body 100 times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tflm_export.machines.emulator import ARDUINO_FLAGS, Core, CoreResult, build, run

TIMES = 100
FUNCTION = """
__asm(R"(
  %s
  .text
  .balign 4
  .global snippet_%s
  .type snippet_%s, %%function
  snippet_%s:
  %s
  .size snippet_%s, . - snippet_%s
)");
"""


@dataclass(frozen=True)
class Frame:
    """What stands around a body: until the loop, behind it, and a function that returns at once."""

    before: str
    after: str
    callee: str
    others: Mapping[str, str]
    mode: str = ""


# r0 points at 64 words of RAM; r1, r2 and r12 are free.
THUMB = Frame(
    "push {lr}\n%s\n1:",
    "subs r3, #1\nbne 1b\npop {pc}",
    "bx lr",
    {"pusher": "push {lr}\npop {pc}"},
    ".syntax unified\n.thumb",
)
# a0 points at the words; a1 to a5 are free.
RISCV = Frame("mv t6, ra\n%s\n1:", "addi t0, t0, -1\nbnez t0, 1b\njr t6", "ret", {})
# a2 points at the words; a3 to a9 are free.
XTENSA = Frame(
    "mov a11, a0\n%s\n1:", "addi a10, a10, -1\nbnez a10, 1b\njx a11", "ret", {}, ".literal_position"
)


def counted(
    core: Core, begin: str, bodies: Mapping[str, str], folder: Path, frame: Frame = THUMB
) -> CoreResult:
    """Every loop measured twice. begin: what sets the counter of the frame to 100."""
    functions = {name: f"{frame.before % begin}\n{body}\n{frame.after}" for name, body in bodies.items()}
    functions |= {"callee": frame.callee, **frame.others}
    source = folder / "snippets.cpp"
    source.write_text("".join(_function(frame.mode, name, text) for name, text in functions.items()))
    elf = build([source], [], _main([*bodies]), folder / "snippets.elf", ARDUINO_FLAGS, core=core)
    return run(elf, {}, core=core)


def _function(mode: str, name: str, text: str) -> str:
    return FUNCTION % (mode, name, name, name, text, name, name)


def _main(names: Iterable[str]) -> str:
    names = list(names)
    declared = "\n".join(f'extern "C" void snippet_{name}(void*);' for name in names)
    calls = "\n".join(f'board_measure("{name}", snippet_{name}, words);' for name in [*names, *names])
    return f'#include "board.h"\n{declared}\nint main() {{ static uint32_t words[64]; {calls} return 0; }}'
