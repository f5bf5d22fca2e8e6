"""The Arduino library: its layout, its metadata, and that it compiles as the Arduino IDE compiles it."""

import configparser
import json
import os
import re
import shutil
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cores import CORES
from nets import residual_net
from task_nets import dense_net

from tflm_export.board.examples import Example
from tflm_export.board.manifest import Manifest
from tflm_export.board.sketch import SERIAL, make_sketch, sketch_files
from tflm_export.boards import BOARDS, board
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.input_contract import InputContract
from tflm_export.machines.emulator import ARDUINO_FLAGS
from tflm_export.machines.host import HostEngine
from tflm_export.memory.engine_size import flash_estimate
from tflm_export.memory.storage import STACK_BYTES
from tflm_export.plan import LayerUpdate, Memory, Pool, UpdatePlan

TOP = "TFODL_engine"
STUBS = Path(__file__).parents[1] / "cpp" / "arduino"
PAGE = Path(__file__).parents[2] / "docs" / "add_board.md"
CPU = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-ffunction-sections", "-fdata-sections")
CHIP = "-DNRF52840_XXAA"  # as the core's defines.txt has it
PLAN = UpdatePlan(layers=(LayerUpdate("#3", "out", (0, 2), "all"),), head=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """A compiled engine's folder."""
    return compile_model(residual_net(), PLAN).save(tmp_path_factory.mktemp("sketch") / "engine")


@pytest.fixture(scope="module")
def unpacked(engine, tmp_path_factory):
    """The sketch's .zip, unpacked."""
    folder = tmp_path_factory.mktemp("zip")
    with zipfile.ZipFile(make_sketch(engine, "nano33ble", folder / "x.zip")) as packed:
        assert packed.testzip() is None
        packed.extractall(folder)
    (folder / "x.zip").unlink()
    assert [p.name for p in folder.iterdir()] == [TOP]
    return folder / TOP


def test_library_properties(unpacked):
    lines = (unpacked / "library.properties").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    needed = {
        "name",
        "version",
        "author",
        "maintainer",
        "sentence",
        "paragraph",
        "category",
        "url",
        "architectures",
    }
    assert needed <= set(fields)
    assert fields["name"] == TOP and not {"arduino", "library"} & set(fields["name"].lower().split())
    assert fields["category"] == "Data Processing"
    assert {"mbed_nano", "mbed"} <= set(fields["architectures"].split(","))
    assert (unpacked / "src" / fields["includes"]).is_file()


def test_platformio_takes_the_same_folder(unpacked):
    """By its manifest's rules for names and lengths; what it names is there."""
    facts = json.loads((unpacked / "library.json").read_text())
    properties = (unpacked / "library.properties").read_text().splitlines()
    assert facts["name"] == TOP.replace("_", "-") and f"version={facts['version']}" in properties
    assert re.fullmatch(r"[A-Za-z0-9](-?[A-Za-z0-9]+)*", facts["name"]) and len(facts["description"]) <= 255
    assert (unpacked / "src" / facts["headers"]).is_file()
    assert all((unpacked / e["base"] / name).is_file() for e in facts["examples"] for name in e["files"])


def test_two_engines_live_in_one_program(tmp_path):
    """Of two libraries side by side, built by CMake; both learn what they learn alone."""
    engines = [
        compile_model(residual_net(seed), PLAN, name=name) for seed, name in ((0, "ears"), (1, "eyes"))
    ]
    lines, headers = [], []
    for compiled in engines:
        name = compiled.name
        with zipfile.ZipFile(make_sketch(compiled, "nano33ble", tmp_path / "x.zip")) as packed:
            packed.extractall(tmp_path)
        for file in (tmp_path / f"TFODL_{name}").rglob("*.h"):  # by dates, too, no copy is the other's
            os.utime(file, (1_000_000 + len(headers),) * 2)
        headers.append(f"#include <TFODL_{name}.h>\n")
        lines.append(
            f"  memset({name}::input(), 0, {name}::kInputBytes);\n"
            f'  printf("%a ", tfodl::{name}_sketch::learner().reset ? {name}::train_step(1) : 0.0f);\n'
        )
    main = "#include <stdio.h>\n#include <string.h>\n" + "".join(headers) + "int main() {\n"
    resets = "".join(f"  {e.name}::reset();\n" for e in engines)
    (tmp_path / "main.cpp").write_text(main + resets + "".join(lines * 2) + "}\n")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(app LANGUAGES CXX)\nadd_executable(app main.cpp)\n"
        "add_subdirectory(TFODL_ears)\nadd_subdirectory(TFODL_eyes)\n"
        "target_link_libraries(app PRIVATE TFODL_ears TFODL_eyes)\n"
    )
    for command in (["cmake", "-S", ".", "-B", "out"], ["cmake", "--build", "out", "-j2"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    said = subprocess.run([tmp_path / "out/app"], check=True, capture_output=True, text=True).stdout
    hosts = [HostEngine(compiled) for compiled in engines]
    x = np.zeros(engines[0].input.shape, np.int8)
    assert [float.fromhex(loss) for loss in said.split()] == [h.train_step(x, 1) for h in hosts * 2]


def test_keywords_are_separated_by_tabs(unpacked):
    lines = (unpacked / "keywords.txt").read_text().splitlines()
    rows = [line for line in lines if line and not line.startswith("#")]
    assert rows and all(len(row.split("\t")) == 2 and " " not in row for row in rows)


def test_metadata(unpacked):
    facts = json.loads((unpacked / "extras" / "metadata.json").read_text())
    assert facts["arena_bytes"] > 0 and facts["planned_static_ram_bytes"] > facts["arena_bytes"]
    assert facts["board_allows"]["ram_bytes"] == board("nano33ble").ram_bytes
    assert (unpacked / "extras" / "model.tflite").read_bytes() == residual_net()


def test_the_same_engine_gives_the_same_bytes(engine, tmp_path):
    a, b = (make_sketch(engine, "nano33ble", tmp_path / name).read_bytes() for name in ("a.zip", "b.zip"))
    assert a == b


def test_measured_costs_are_kept(engine, tmp_path):
    costs = {"static_ram_bytes": 5000, "stack_bytes": 900, "flash_bytes": 30000, "cycles": {"inference": 7}}
    with zipfile.ZipFile(make_sketch(engine, "nano33ble", tmp_path / "x.zip", costs)) as packed:
        facts = json.loads(packed.read(f"{TOP}/extras/metadata.json"))
    assert {name: facts[name] for name in costs} == costs


@pytest.mark.parametrize("name, bytes_over", [("static_ram_bytes", 300_000), ("flash_bytes", 1_000_000)])
def test_too_large_for_the_board(engine, tmp_path, name, bytes_over):
    out = tmp_path / "x.zip"
    with pytest.raises(ExportError, match=r"does not fit Arduino Nano 33 BLE: .* B too much"):
        make_sketch(engine, "nano33ble", out, {name: bytes_over})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("area", [0, 8 * 4096])
def test_without_measuring_the_planned_flash_counts(tmp_path, monkeypatch, area):
    """Program, constants and what learning is kept in, not the size of the model's file."""
    compiled = compile_model(residual_net(), replace(PLAN, store_bytes=area))
    planned = flash_estimate(compiled.graph) + area
    assert planned > compiled.facts["model_bytes"] + area
    for over in (1, 0):
        small = replace(board("nano33ble"), flash_bytes=planned - over)
        monkeypatch.setitem(BOARDS, "small", small)
        if over:
            with pytest.raises(ExportError, match=r"flash .* 1 B too much \(planned; --measure links it\)"):
                make_sketch(compiled, "small", tmp_path / "x.zip")
        else:
            assert make_sketch(compiled, "small", tmp_path / "x.zip").is_file()


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_is_of_a_core_that_is_compiled_for(engine, tmp_path, name):
    target = BOARDS[name]
    assert target.core in CORES
    assert target.stack_bytes > STACK_BYTES
    assert f"`{name}`" in PAGE.read_text()
    with zipfile.ZipFile(make_sketch(engine, name, tmp_path / "x.zip")) as packed:
        facts = json.loads(packed.read(f"{TOP}/extras/metadata.json"))
    assert facts["fqbn"] == target.fqbn and facts["board_allows"]["ram_bytes"] == target.ram_bytes


def test_unknown_board(engine, tmp_path):
    with pytest.raises(ExportError, match="board 'uno' is not known; allowed: nano33ble"):
        make_sketch(engine, "uno", tmp_path / "x.zip")


def compile_for_arm(source, include, out):
    """As the Arduino IDE would, with warnings as errors."""
    warnings = ("-Wall", "-Wextra", "-Werror")
    command = ["arm-none-eabi-g++", *CPU, *ARDUINO_FLAGS, CHIP, *warnings, *(f"-I{i}" for i in include)]
    done = subprocess.run([*command, "-c", str(source), "-o", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    return str(out)


@pytest.fixture(scope="module")
def linked_sketch(unpacked, tmp_path_factory):
    """The sketch, linked with its library as far as that goes without a core."""
    folder = tmp_path_factory.mktemp("arm")
    sketch = folder / "sketch.cpp"
    sketch.write_text("#include <Arduino.h>\n" + (unpacked / SERIAL.path).read_text())
    sources = [sketch, *sorted((unpacked / "src").rglob("*.cpp"))]
    include = (unpacked / "src", STUBS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(compile_for_arm, s, include, folder / f"{i}.o") for i, s in enumerate(sources)]
        objects = [job.result() for job in jobs]
    linked = folder / "sketch.o"
    link = ["arm-none-eabi-g++", *CPU, "-mfloat-abi=softfp", "-nostdlib", "-r", "-Wl,--gc-sections"]
    subprocess.run([*link, "-Wl,-e,_Z4loopv", "-Wl,-u,_Z5setupv", *objects, "-o", str(linked)], check=True)
    arithmetic = [o for s, o in zip(sources, objects, strict=True) if s != sketch and "serial" not in s.name]
    return linked, arithmetic


def arm_tool(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_no_product_is_fused_with_a_sum(linked_sketch):
    """With gnu++14, Arduino's standard, GCC fuses them where nothing forbids it: other last bits of the loss.
    What prints numbers for people may."""
    listing = arm_tool("arm-none-eabi-objdump", "-d", "--no-show-raw-insn", *linked_sketch[1])
    assert "vmul.f32" in listing and re.findall(r"vfn?m[as]", listing) == []


def test_the_sketch_needs_no_heap_no_printf_no_double(linked_sketch):
    listing = arm_tool("arm-none-eabi-nm", "-u", str(linked_sketch[0]))
    needed_symbols = {line.split()[-1] for line in listing.splitlines()}
    assert "nvmc_stub" in needed_symbols  # the engine's reset() switches the instruction cache on
    core = {s for s in needed_symbols if "SerialStub" in s or s in ("Serial", "nvmc_stub")}
    core |= {"_Z6millisv", "yield", "_Z7pinModeh7PinMode", "_Z12digitalWriteh9PinStatus"}
    c_library = {
        "memchr",
        "memcmp",
        "memcpy",
        "memmove",
        "memset",
        "strlen",
        "__aeabi_atexit",
        "__dso_handle",
    }
    integers = {
        "__aeabi_uldivmod",
        "__aeabi_ldivmod",
        "__aeabi_lmul",
        "__aeabi_llsl",
        "__aeabi_llsr",
        "__aeabi_lasr",
    }
    integers |= {"__aeabi_l2f", "__aeabi_ul2f", "__aeabi_f2lz"}
    assert needed_symbols - core - c_library - integers == set()


@pytest.mark.parametrize("flags, switched", [([CHIP], 1), ([], 0)])
def test_the_library_switches_the_instruction_cache_on(unpacked, tmp_path, flags, switched):
    main, source = tmp_path / "main.cpp", unpacked / "src" / "tfodl" / "detail" / "instruction_cache.cpp"
    main.write_text(
        '#include <nrf.h>\n#include "tfodl/support.h"\nNvmcStub nvmc_stub;\n'
        "int main() { tfodl::enable_instruction_cache(); return nvmc_stub.ICACHECNF; }\n"
    )
    include = [f"-I{unpacked / 'src'}", f"-I{STUBS}"]
    program = str(tmp_path / "main")
    subprocess.run(["g++", *flags, *include, str(main), str(source), "-o", program], check=True)
    assert subprocess.run([program]).returncode == switched


@pytest.mark.parametrize("head, function", [(True, "reset"), (False, "infer")])
def test_every_engine_asks_for_it_first(head, function):
    text = compile_model(residual_net(), UpdatePlan(head=head)).sources["src/engine.cpp"]
    assert f"void {function}() {{\n  tfodl::enable_instruction_cache();\n" in text


def test_the_header_of_a_regression_compiles(tmp_path):
    plan = UpdatePlan(layers=(), head=True, loss="mse")
    compiled = compile_model(residual_net(softmax=False), plan)
    for path, data in sketch_files(compiled, board("nano33ble"), compiled.facts).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    main = tmp_path / "main.cpp"
    main.write_text(
        "#include <TFODL.h>\nbool f(uint8_t* t, float* l) { return tfodl::learner().train(t, l); }\n"
    )
    compile_for_arm(main, (tmp_path / "src",), tmp_path / "main.o")


def test_tools_are_there():
    """The tests above need Debian's gcc-arm-none-eabi."""
    assert shutil.which("arm-none-eabi-g++")


def test_arduino_s_registry_would_take_it(engine, tmp_path):
    """Arduino Lint's rules for library.properties, as its documentation has them."""
    who = Manifest("Ada Lovelace <ada@example.org>", "https://example.org/engine")
    with zipfile.ZipFile(make_sketch(engine, "nano33ble", tmp_path / "x.zip", manifest=who)) as packed:
        lines = packed.read(f"{TOP}/library.properties").decode().splitlines()
        paths = [path.removeprefix(f"{TOP}/") for path in packed.namelist()]
        about = json.loads(packed.read(f"{TOP}/library.json"))
    fields = dict(line.split("=", 1) for line in lines)
    assert len(lines) == len(fields) and all(value == value.strip() != "" for value in fields.values())
    assert re.fullmatch(r"[A-Za-z0-9][\w. -]{0,62}", fields["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"])
    assert (fields["maintainer"], fields["url"]) == (
        "Ada Lovelace <ada@example.org>",
        "https://example.org/engine",
    )
    assert not any(fields[name].lower().startswith("arduino") for name in ("name", "author", "maintainer"))
    assert not fields["paragraph"].startswith(fields["sentence"])
    assert not {"misspelled", ""} & set(fields["architectures"].split(","))
    assert {row.fqbn.split(":")[1] for row in BOARDS.values()} <= set(fields["architectures"].split(","))
    assert about["homepage"] == fields["url"]
    ada = {"name": "Ada Lovelace", "email": "ada@example.org", "maintainer": True}
    assert about["authors"] == [{"name": "tfodl contributors"}, ada]
    assert not [
        path for path in paths if path.startswith(("src/.", ".")) or path.endswith((".exe", ".gitmodules"))
    ]
    examples = [path for path in paths if path.startswith("examples/")]
    assert examples and all(Path(path).stem == Path(path).parent.name for path in examples)


def test_the_readme_speaks_of_the_engine(tmp_path):
    ears = compile_model(residual_net(), PLAN, name="ears")
    with zipfile.ZipFile(make_sketch(ears, "nano33ble", tmp_path / "x.zip")) as packed:
        readme = packed.read("TFODL_ears/README.md").decode()
    assert "#include <TFODL_ears.h>" in readme and "ears::predict()" in readme and "engine::" not in readme


def test_an_old_compiler_is_told(unpacked, tmp_path):
    (tmp_path / "sketch.cpp").write_text('#include "tfodl/kernels.h"\n')
    command = ["g++", "-std=gnu++11", "-fsyntax-only", f"-I{unpacked / 'src'}", str(tmp_path / "sketch.cpp")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode and "TFODL is C++14" in next(x for x in done.stderr.splitlines() if "error" in x)


@pytest.mark.parametrize(
    "names, said",
    [
        (("a", "b", "a", "c"), "'a' is given twice"),
        (("a", "b", "", "c"), "a name is empty"),
        (("a", "b"), "2 names of classes were given; the model has 4 classes"),
    ],
)
def test_names_of_classes_that_are_refused(engine, tmp_path, names, said):
    with pytest.raises(ExportError, match=said):
        make_sketch(engine, "nano33ble", tmp_path / "x.zip", names=names)


def test_a_regression_has_no_classes_to_name(tmp_path):
    numbers = compile_model(dense_net(6, 5, 3), UpdatePlan(loss="mse"))
    with pytest.raises(ExportError, match="has no classes; it learns by MEAN_SQUARED_ERROR"):
        make_sketch(numbers, "nano33ble", tmp_path / "x.zip", names=("a", "b", "c", "d"))


def test_a_project_of_platformio(engine, tmp_path):
    """What its parser reads, and a program that compiles."""
    project = make_sketch(engine, "giga", tmp_path / "project", form="platformio")
    ini = configparser.ConfigParser()
    ini.read(project / "platformio.ini")
    assert (
        dict(ini["env:giga_r1_m7"])["platform"] == "ststm32"
        and ini["env:giga_r1_m7"]["framework"] == "arduino"
    )
    assert (project / "lib" / TOP / "library.json").is_file()
    compile_for_arm(project / "src/main.cpp", (project / "lib" / TOP / "src", STUBS), tmp_path / "main.o")


def test_a_folder_of_cmake(engine, tmp_path):
    folder = make_sketch(engine, "pico2", tmp_path / TOP, form="cmake")
    with zipfile.ZipFile(make_sketch(engine, "pico2", tmp_path / "x.zip")) as packed:
        zipped = {path.removeprefix(f"{TOP}/"): packed.read(path) for path in packed.namelist()}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in files} == zipped
    assert "CMakeLists.txt" in zipped


REFUSED = {
    "no such format": ({"form": "make"}, "format 'make' is not known; allowed: arduino, platformio, cmake"),
    "a .zip": ({"form": "cmake"}, "writes a folder, and .*x.zip' is a .zip"),
    "a board": (
        {"form": "platformio", "board_name": "pico2"},
        "PlatformIO has no Arduino core for Raspberry Pi Pico 2",
    ),
}


@pytest.mark.parametrize("asked, said", REFUSED.values(), ids=REFUSED)
def test_formats_that_are_refused(engine, tmp_path, asked, said):
    with pytest.raises(ExportError, match=said):
        make_sketch(engine, **{"board_name": "nano33ble", "out": tmp_path / "x.zip"} | asked)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_left_alone(engine, tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ExportError, match="exists; name a new or empty folder"):
        make_sketch(engine, "nano33ble", tmp_path, form="cmake")
    assert (tmp_path / "notes").read_text() == "mine"


@pytest.mark.parametrize("who", [{"maintainer": "Arduino"}, {"maintainer": " \n"}, {"url": "somewhere"}])
def test_who_answers_for_a_library(who):
    with pytest.raises(ExportError, match="--(maintainer|url)"):
        Manifest(**who)


CHOOSES = UpdatePlan(candidates=("#3",), pool=Pool(200), memory=Memory(samples=4))


def test_what_a_board_cannot_keep_is_refused(tmp_path, monkeypatch):
    compiled = compile_model(residual_net(), replace(PLAN, store_bytes=8 * 4096))
    monkeypatch.setitem(BOARDS, "bare", replace(BOARDS["giga"], area=""))
    with pytest.raises(
        ExportError,
        match="no area for it on Arduino Giga R1 .* it has one on nano33ble, nano33ble_zephyr, portenta_h7",
    ):
        make_sketch(compiled, "bare", tmp_path / "x.zip")
    assert make_sketch(compiled, "giga", tmp_path / "x.zip").is_file()
    chooses = compile_model(residual_net(), CHOOSES)
    with pytest.raises(ExportError, match="'engine' chooses: .* Giga R1 .* sectors of 128 KB. Compile"):
        make_sketch(chooses, "giga", tmp_path / "y.zip")
    memory = Memory(samples=1000, replays=0, where="flash")
    many = compile_model(residual_net(), replace(PLAN, memory=memory, store_bytes=64 * 4096))
    with pytest.raises(ExportError, match="4 pages of 131,072 B hold 130,[0-9]+; train less"):
        make_sketch(many, "giga", tmp_path / "y.zip")


PICTURES = InputContract((8, 8, 3))
MISFITS = {
    "serial": ({}, True, "asks for its picture by rows.*--example camera fits"),
    "motion": (
        {"hz": 50, "unit": "g"},
        False,
        "rows of x, y and z.*8x8x3 rgb.*--example serial or camera fits",
    ),
    "sound": ({}, False, "log-mel features"),
    "anomaly": ({"hz": 50, "unit": "g"}, False, "autoencoders, and the engine learns by crossentropy"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_sketch_that_is_not_for_the_engine(name, tmp_path):
    how, row_fed, said = MISFITS[name]
    compiled = compile_model(residual_net(), UpdatePlan(), contract=PICTURES, row_fed=row_fed)
    with pytest.raises(ExportError, match=f"example '{name}' is not for engine 'engine': .*{said}"):
        make_sketch(compiled, "nano33ble", tmp_path / "x.zip", example=Example(name, **how))
    camera = make_sketch(compiled, "nano33ble", tmp_path / "x.zip", example=Example("camera"))
    with zipfile.ZipFile(camera) as packed:
        assert f"{TOP}/examples/LearnFromCamera/LearnFromCamera.ino" in packed.namelist()
        assert "depends=Arduino_OV767X" in packed.read(f"{TOP}/library.properties").decode()
        assert "LearnFromCamera" in packed.read(f"{TOP}/README.md").decode()


@pytest.mark.parametrize("name, board_name", [("camera", "giga"), ("sound", "esp32s3")])
def test_a_sketch_that_is_not_for_the_board(engine, name, board_name, tmp_path):
    with pytest.raises(ExportError, match=rf"'{name}' does not run on .*is for nano33ble"):
        make_sketch(engine, board_name, tmp_path / "x.zip", example=Example(name))


@pytest.mark.parametrize("asked, said", [({"name": "lidar"}, "is not known; allowed: serial, camera"),
                                         ({"name": "motion"}, "give --hz, rows a second, and --unit"),
                                         ({"name": "motion", "hz": 0, "unit": "g"}, "got 0 and g"),
                                         ({"name": "serial", "hz": 50}, "has no --hz")])  # fmt: skip
def test_recordings_must_be_described(asked, said):
    with pytest.raises(ExportError, match=said):
        Example(**asked)


@pytest.mark.parametrize("library", ["Arduino_LSM9DS1", "Arduino_BMI270_BMM150"])
def test_either_imu_s_library(library, tmp_path):
    compiled = compile_model(
        residual_net(), UpdatePlan(), contract=PICTURES
    )  # its header has what a sketch lacks here
    text = Example("motion", hz=99.84, unit="m/s2").text()
    assert "kHz = 99.84f;" in text and "kUnit = 9.80665f;" in text
    for path, data in sketch_files(compiled, board("nano33ble"), compiled.facts).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    head = f"#include <{library}.h>\n#include <TFODL.h>\nnamespace tfodl {{\nconstexpr int kTimes = 8;\n"
    head += "void put_value(uint32_t, float);\n}\n"
    sketch = tmp_path / "sketch.cpp"
    sketch.write_text(head + text.replace("#include <Arduino_LSM9DS1.h>", ""))
    compile_for_arm(sketch, (tmp_path / "src", STUBS), tmp_path / "x.o")
