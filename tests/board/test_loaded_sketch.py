"""The sketch of a board that loads it into RAM: as its core compiles it, without the constants."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from digits_net import LAYERS, digits_net

from tflm_export.board.sketch import SERIAL, placed, sketch_files
from tflm_export.boards import BOARDS
from tflm_export.compiler import compile_model
from tflm_export.plan import UpdatePlan

ZEPHYR = BOARDS["nano33ble_zephyr"]
STUBS = Path(__file__).parents[1] / "cpp" / "arduino"
FLAGS = (  # of the core's platform.txt, boards.txt and cxxflags.txt
    *("-Os", "-std=gnu++17", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    *("-ffunction-sections", "-fdata-sections", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"),
    *("-fno-strict-aliasing", "-fno-common", "-mlong-calls", "-DNRF52840_XXAA", "-DARDUINO_ARCH_ZEPHYR"),
)
ROOT = ("-Wl,--gc-sections", "-Wl,-e,_Z4loopv", "-Wl,-u,_Z5setupv")


TABLES = "_ZN6engine9constants"  # what the names of an engine's tables begin with


def link(compiled, folder, kept):
    """The library and its sketch, as far as they link without a core: relocatable, as the board loads it.

    kept: the library's objects by what they are made from; what is missing is compiled.
    """
    files = sketch_files(compiled, ZEPHYR, compiled.facts)
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    sketch = folder / "sketch.cpp"
    sketch.write_text("#include <Arduino.h>\n" + (folder / SERIAL.path).read_text())
    objects = {s: s.with_suffix(".o") for s in [sketch, *sorted((folder / "src").rglob("*.cpp"))]}
    headers = [files[path] for path in sorted(files) if path.startswith("src/tfodl/") and path.endswith(".h")]
    made_from = {s: (s.name, s.read_bytes(), *headers) for s in objects if "tfodl" in s.parts}
    objects |= {s: kept[key] for s, key in made_from.items() if key in kept}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda job: compile_for_board(folder, *job), objects.items()))
    kept |= {key: objects[s] for s, key in made_from.items()}
    linked = folder / "sketch.elf"
    whole = ["arm-none-eabi-g++", *FLAGS, "-nostdlib", "-r", *ROOT, *map(str, objects.values())]
    subprocess.run([*whole, "-o", str(linked)], check=True)
    return linked


def compile_for_board(folder, source, out):
    include = (f"-I{folder / 'src'}", f"-I{STUBS}")
    command = ["arm-none-eabi-g++", *FLAGS, "-Wall", "-Wextra", "-Werror", *include, "-c", str(source)]
    if not out.exists():
        subprocess.run([*command, "-o", str(out)], check=True)


def sizes(linked):
    """(program, static data) as the core's platform.txt counts them: sections by name."""
    shown = subprocess.run(
        ["arm-none-eabi-size", "-A", str(linked)], check=True, capture_output=True, text=True
    ).stdout
    rows = re.findall(r"^(\.\S+)\s+(\d+)", shown, re.M)
    program = sum(int(n) for name, n in rows if re.match(r"\.(data|text|rodata)", name))
    return program, sum(int(n) for name, n in rows if re.match(r"\.(data|bss)", name))


def symbols(linked):
    shown = subprocess.run(["arm-none-eabi-nm", str(linked)], check=True, capture_output=True, text=True)
    return {line.split()[-1]: line.split()[:-1] for line in shown.stdout.splitlines()}


@pytest.fixture(scope="module")
def engines():
    ordinary = compile_model(digits_net(), UpdatePlan(LAYERS, store_bytes=8 * 4096))
    return ordinary, placed(ordinary, ZEPHYR)


def test_the_sketch_is_below_the_limit_and_holds_no_constants(engines, tmp_path):
    kept = {}
    ordinary, moved = (link(engine, tmp_path / str(i), kept) for i, engine in enumerate(engines))
    (whole, _), (program, static) = sizes(ordinary), sizes(moved)
    assert program < ZEPHYR.flash_bytes and program + static < ZEPHYR.loaded_bytes
    writer = 2_000  # what checks and writes the image, at most
    assert program < whole - len(engines[1].constants.data) + writer
    names = symbols(moved)
    assert names["engine_constants"] == ["00090000", "A"]  # which the loader takes as it is
    assert not [name for name in names if name.startswith(TABLES)]
    assert len([name for name in symbols(ordinary) if name.startswith(TABLES)]) > 20
