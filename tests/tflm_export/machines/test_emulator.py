"""The emulated board counts, protects and reports what it says; expected values are worked by hand."""

from pathlib import Path

import pytest

from tflm_export.errors import ExportError
from tflm_export.machines.emulator import ARDUINO_FLAGS, CORES, O2_FLAGS, Core, Elf, build, read_elf, run

ENGINE = """
static int table[100];
static int started = 7;
extern "C" int work(int n) { for (int& t : table) t += n; started += n; return table[3] + started; }
extern "C" void nops(void*) { __asm volatile(".rept 1000\\nnop\\n.endr"); }
extern "C" void loop(void* n) { for (int i = 0; i < *(int*)n; ++i) __asm volatile("nop"); }
extern "C" void deep(void*) { volatile char block[2000]; for (int i = 0; i < 2000; ++i) block[i] = 1; }
"""
MAIN = """
#include "board.h"
extern "C" int work(int n);
extern "C" void nops(void*);
extern "C" void loop(void*);
extern "C" void deep(void*);
int main() {
  for (int i = 0; i < 3; ++i) board_measure("nops", nops, 0);
  int n = 1000, m = 2000;
  board_measure("short", loop, &n);
  board_measure("long", loop, &m);
  board_measure("deep", deep, 0);
  board_print_number("work", work(5));
  const uint32_t bytes = board_file_size("in.bin");
  char* data = static_cast<char*>(board_alloc(bytes));
  board_read("in.bin", data, bytes);
  board_write("out.bin", data + 1, bytes - 1);
  return 0;
}
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("m4") / "engine.cpp"
    path.write_text(ENGINE)
    return path


def link(engine: Path, main: str, flags: tuple[str, ...] = O2_FLAGS) -> Elf:
    return build([engine], [], main, engine.parent / "program.elf", flags)


@pytest.mark.parametrize("flags", [O2_FLAGS, ARDUINO_FLAGS])
def test_counts_stack_and_files(engine: Path, flags: tuple[str, ...]) -> None:
    elf = link(engine, MAIN, flags)
    result = run(elf, {"in.bin": b"hello"})
    assert result.cost("nops").count.instructions == 1000 + 1  # and bx lr
    assert len({cost.count for cost in result.costs if cost.name == "nops"}) == 1
    difference = result.cost("long").count - result.cost("short").count
    assert difference.instructions % 1000 == 0 and difference.cycles > difference.instructions >= 2000
    assert result.cost("nops").stack_bytes == 0
    assert 2000 <= result.cost("deep").stack_bytes <= 2040
    assert result.number("work") == 5 + 12
    assert result.files["out.bin"] == b"ello"


def test_sizes_are_the_engines_alone(engine: Path) -> None:
    elf = link(engine, MAIN)
    assert elf.static_ram_bytes == 400 + 4 or elf.static_ram_bytes == 400 + 8
    assert 2024 <= elf.flash_bytes <= 2200  # 1000 nops


def test_a_wild_store_is_a_fault(engine: Path) -> None:
    elf = link(engine, MAIN.replace("return 0", "*(volatile int*)0x20080000 = 1; return 0"))
    with pytest.raises(ExportError, match="FAULT .* address 0x20080000"):
        run(elf, {"in.bin": b"hello"})


def test_a_stack_overflow_is_named(engine: Path) -> None:
    recursion = """
    extern "C" int work(int n);
    int sink(int n) { volatile char block[100]; block[3] = n; return work(0) ? sink(n + 1) + block[3] : 0; }
    int main() { return sink(1); }
    """
    with pytest.raises(ExportError, match="FAULT stack overflow"):
        run(link(engine, recursion), {})


@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
def test_every_core_is_protected(engine: Path, core: Core) -> None:
    """A store outside its memories, and a stack that grows into what lies below it."""
    lines = {
        r"FAULT pc 0x\w+ \w+ 0x\w+ \w+ 0x\w+ address 0x2f000000": "*(volatile int*)0x2F000000 = 1;",
        "FAULT stack overflow": "return sink(1);",
    }
    sink = "int sink(int n) { volatile char block[999]; block[3] = n; return sink(n + 1) + block[3]; }"
    for said, line in lines.items():
        main = f"{sink} int main() {{ {line} return 0; }}"
        elf = build([engine], [], main, engine.parent / "wild.elf", core=core)
        with pytest.raises(ExportError, match=said):
            run(elf, {}, core=core)


def test_errors_are_one_line(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match=r"compiling board_main.cpp failed: .*'nonsense'"):
        link(engine, "int main() { nonsense; }")
    with pytest.raises(ExportError, match="linking .* failed: .*RAM.*overflowed by"):
        large = tmp_path / "large.cpp"
        large.write_text("char large[300000];")
        link(large, "extern char large[300000]; int main() { return large[7]; }")
    elf = link(engine, "int main() { for (;;) {} }")
    with pytest.raises(ExportError, match="no end within 0.5 s"):
        run(elf, {}, timeout=0.5)
    elf = link(engine, '#include "board.h"\nint main() { board_file_size("absent.bin"); return 0; }')
    with pytest.raises(ExportError, match="status 98: BOARD cannot open file absent.bin"):
        run(elf, {})
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ExportError, match="apt-get install gcc-arm-none-eabi"):
        link(engine, MAIN)
    with pytest.raises(ExportError, match="apt-get install qemu-system-arm"):
        run(elf, {})


def test_not_an_elf(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"text")
    with pytest.raises(ExportError, match="not a 32-bit ELF"):
        read_elf(tmp_path / "x")
