"""The boards' flash: registers and functions of their cores played on the host, a store on top."""

import subprocess

import pytest
from test_store import CPP, SANITIZE, SOURCES, SRC, run_host

from tflm_export.machines.host import compile_cpp

STRICT = ("-Wall", "-Wextra", "-Werror")


def build(name, driver, define, out, *flags):
    files = [CPP / f"{name}_host.cpp", SRC / "tfodl" / "store" / driver, *SOURCES]
    include = [f"-I{SRC}", f"-I{CPP}", f"-I{CPP / name}", f"-D{define}", *flags]
    compile_cpp([*map(str, files), *include, "-o", str(out)], (*SANITIZE, *STRICT))
    return out


def test_the_nrf52840s_flash(tmp_path):
    """No stop of the processor is longer than 10 ms, its worst case of 1.09 times the slice included."""
    found = run_host(build("nvmc", "nvmc_flash.cpp", "NRF52840_XXAA", tmp_path / "nvmc"))
    assert found["wrong"] == 0
    assert found["longest_ms"] * 1.09 <= 10
    assert found["erased"] > 30
    assert found["pauses"] > 10 * found["erased"]


MBED = ("-DARDUINO_ARCH_MBED", "-DARDUINO_NANO_RP2040_CONNECT")


@pytest.mark.parametrize("core", [(), MBED], ids=["pico", "nano"])
def test_the_rp2040s_flash(core, tmp_path):
    """Whole pages and sectors above the program and below the file system, while nothing else runs."""
    found = run_host(build("pico", "pico_flash.cpp", "ARDUINO_ARCH_RP2040", tmp_path / "pico", *core))
    assert found["wrong"] == 0 and found["erased"] > 30 and found["written"] > 300 and found["pauses"] > 300


def test_the_stm32h7s_flash(tmp_path):
    """Sectors of 128 KB, words of 32 bytes; a word that a cut tore is a bus error, which is caught."""
    found = run_host(
        build("bank", "bank_flash.cpp", "STM32H747xx", tmp_path / "bank", "-DCORE_CM7", "-no-pie")
    )
    assert found["wrong"] == 0 and found["erased"] > 60 and found["written"] > 5_000
    assert found["longest_ms"] <= 21  # two slices: an idle moment's, and the next
    assert found["caught"] > 30 and found["pauses"] > 100 * 60


@pytest.fixture(scope="module")
def esp(tmp_path_factory):
    return build("esp", "partition_flash.cpp", "ESP_PLATFORM", tmp_path_factory.mktemp("esp") / "esp")


def test_an_esp32s_partition(esp):
    """A larger one does, and a write that failed is the last."""
    assert run_host(esp, "tfodl", "9") == {"tried": 1}


@pytest.mark.parametrize(("label", "pages"), [("spiffs", 64), ("tfodl", 7)])
def test_an_esp32_without_its_partition_says_so_and_stops(esp, label, pages):
    done = subprocess.run([esp, label, str(pages)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "partitions.csv beside the sketch" in done.stderr
