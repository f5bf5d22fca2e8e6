"""The flash of boards beside the nRF52840: their cores' functions played on the host, a store on top."""

import subprocess
from pathlib import Path

import pytest

from tflm_export.library import library_root
from tflm_export.machines.host import compile_cpp

CPP = Path(__file__).parents[2] / "cpp"
SRC = library_root() / "src"
SOURCES = [SRC / "tfodl" / name for name in ("store/store.cpp", "store/store_scan.cpp", "detail/crc32.cpp")]
SANITIZE = ("-std=c++14", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined")


def build(name, driver, define, out):
    files = [CPP / f"{name}_host.cpp", SRC / "tfodl" / "store" / driver, *SOURCES]
    include = [f"-I{SRC}", f"-I{CPP}", f"-I{CPP / name}", f"-D{define}"]
    compile_cpp([*map(str, files), *include, "-o", str(out)], (*SANITIZE, "-fno-sanitize-recover=all"))
    return out


def test_the_rp2040s_flash(tmp_path):
    """Whole pages and sectors above the program and below the file system, while nothing else runs."""
    program = build("pico", "pico_flash.cpp", "ARDUINO_ARCH_RP2040", tmp_path / "pico")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = {name: int(value) for name, value in (line.split() for line in done.stdout.splitlines())}
    assert found["wrong"] == 0 and found["erased"] > 30 and found["written"] > 300 and found["pauses"] > 300


@pytest.fixture(scope="module")
def esp(tmp_path_factory):
    return build("esp", "partition_flash.cpp", "ESP_PLATFORM", tmp_path_factory.mktemp("esp") / "esp")


def test_an_esp32s_partition(esp):
    """A larger one does, and a write that failed is the last."""
    done = subprocess.run([esp, "tfodl", "9"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("label", "pages"), [("spiffs", 64), ("tfodl", 7)])
def test_an_esp32_without_its_partition_says_so_and_stops(esp, label, pages):
    done = subprocess.run([esp, label, str(pages)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "partitions.csv beside the sketch" in done.stderr
