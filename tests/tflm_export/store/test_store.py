"""The store in C++ under sanitizers: power cuts everywhere, hostile areas, wear; and its twin in Python."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tflm_export.errors import ExportError
from tflm_export.library import library_root
from tflm_export.machines.emulator import ARDUINO_FLAGS, build, run
from tflm_export.machines.host import compile_cpp
from tflm_export.store import Identity, read_log
from tflm_export.store.geometry import Geometry

CPP = Path(__file__).parents[2] / "cpp"
SRC = library_root() / "src"
SOURCES = [SRC / "tfodl" / name for name in ("store/store.cpp", "store/store_scan.cpp", "detail/crc32.cpp")]
PACKING = [SRC / "tfodl" / "store" / name for name in ("packing.cpp", "kept.cpp")]
SANITIZE = ("-std=c++14", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
IDENTITY = Identity(bytes(range(1, 9)), (0, 1, 9, 20, 24))
SMALL, WIDE, MANY = ("512", "8", "4", "3"), ("512", "16", "16", "2"), ("256", "40", "8", "1")
WORDS, SECTORS = ("1024", "6", "32", "1"), ("131072", "4", "32", "3")  # of 32 bytes; an STM32H7's


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    out = tmp_path_factory.mktemp("store") / "store_host"
    compile_cpp(
        [
            str(CPP / "store_host.cpp"),
            *map(str, [*SOURCES, *PACKING]),
            f"-I{SRC}",
            f"-I{CPP}",
            f"-DTFODL_MOST_BYTES={4 * 131072}",
            "-o",
            str(out),
        ],
        SANITIZE,
    )
    return out


def run_host(program, *arguments, folder=None):
    done = subprocess.run(
        [program, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()}


@pytest.mark.parametrize("geometry", [SMALL, WIDE, MANY, WORDS], ids=" ".join)
def test_a_cut_at_every_operation_of_200_commits(program, geometry):
    """Four things that a cut may leave of the unit or page, each: the last commit is there."""
    found = run_host(program, "everywhere", 1, 200, *geometry)
    assert found["lost"] == found["misused"] == 0
    assert found["cuts"] > 9_000
    assert found["erases"] > 2 * int(geometry[1])  # compaction took place


@pytest.mark.parametrize(
    ("seed", "geometry"), [(1, SMALL), (2, SMALL), (4, WIDE), (6, MANY), (8, WORDS)], ids=str
)
def test_random_cuts(program, seed, geometry):
    """100,000 operations in all; with an even seed, what a cut left reads differently every time."""
    found = run_host(program, "random", seed, 25_000, *geometry)
    assert found["cuts"] > 1_000
    assert found["commits"] > 15_000
    assert found["refused"] < 30
    assert found["most_erases"] - found["least_erases"] < 0.03 * found["most_erases"]  # wear is spread


def test_random_cuts_in_an_stm32h7s_sectors(program):
    found = run_host(program, "random", 10, 5_000, *SECTORS)
    assert found["cuts"] > 200 and found["commits"] > 3_000 and found["refused"] == 0


@pytest.mark.parametrize("geometry", [SMALL, WIDE, MANY], ids=" ".join)
def test_hostile_areas(program, geometry):
    """Random bytes, flipped bits, forged heads with the right checksum: no crash, hang or stray access."""
    found = run_host(program, "hostile", 5, 1_000, *geometry)
    assert 100 < found["mounted"] < 700


def test_packed_arrays_come_back_and_any_payload_is_survived(program):
    run_host(program, "packed", 1, 300)


def test_a_full_store_and_bad_calls(program):
    assert run_host(program, "full", 1, 1, *SMALL)["payload_share_percent"] >= 50
    assert run_host(program, "full", 1, 1, *WIDE)["payload_share_percent"] >= 60


def payload(slot, version):
    size = 1 + (slot * 7919 + version * 104729) % (120 if slot % 5 == 0 else 40)
    i = np.arange(size)
    return (((slot * 31 + version * 131 + i * 17) ^ (version >> 3)) & 255).astype(np.uint8).tobytes()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("geometry", [SMALL, WIDE, SECTORS], ids=" ".join)
def test_python_reads_what_the_device_reads(program, geometry, seed, tmp_path):
    run_host(program, "image", seed, 60 + 37 * seed, *geometry, folder=tmp_path)
    versions = np.frombuffer((tmp_path / "versions.bin").read_bytes(), "<u2").tolist()
    expected = {}
    for slot, version in enumerate(versions):
        key = max(k for k in range(4) if IDENTITY.first[k] <= slot)
        if version:
            expected[key, slot - IDENTITY.first[key]] = payload(slot, version)
    image = (tmp_path / "area.bin").read_bytes()
    sizes = Geometry(int(geometry[0]), int(geometry[2]))
    assert read_log(image, IDENTITY, sizes) == expected
    with pytest.raises(ExportError, match="Use the engine that wrote it"):
        read_log(image, Identity(b"another.", IDENTITY.first), sizes)
    with pytest.raises(ExportError, match="whole pages"):
        read_log(image[:-1], IDENTITY, sizes)


def test_python_survives_hostile_images(program, tmp_path):
    run_host(program, "image", 3, 80, *SMALL, folder=tmp_path)
    image, rng = (tmp_path / "area.bin").read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = np.frombuffer(image, np.uint8).copy()
        damaged[rng.integers(0, damaged.size, 4)] ^= rng.integers(1, 256, 4).astype(np.uint8)
        try:
            read_log(damaged.tobytes(), IDENTITY, Geometry(512))
        except ExportError:
            refused += 1
    assert 30 < refused < 300


def test_cuts_on_the_emulated_board(tmp_path):
    main = """
#include "board.h"
#include "store_cases.h"
int main() {
  static WatchedFlash flash(512, 8, 4, 3);
  static Flash copy(512, 8, 4, 3);
  const bool ok = cut_everywhere(flash, copy, 12, 3);
  board_print_number("ok", ok);
  board_print_number("lost", flash.lost);
  board_print_number("cuts", flash.cuts);
  return 0;
}
"""
    elf = build(SOURCES, [SRC, CPP], main, tmp_path / "store.elf", ARDUINO_FLAGS)
    result = run(elf, {}, timeout=120)
    assert (result.number("ok"), result.number("lost")) == (1, 0)
    assert result.number("cuts") > 2_000
    assert elf.flash_bytes < 5_000  # the store, with memcpy and what the start needs
