"""Boards on which the constants lie beside the sketch: what `sketch` writes, and what fits there."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import nets
import pytest
from digits_net import LAYERS, digits_net

from tflm_export.apart import apart
from tflm_export.board.examples import Example
from tflm_export.board.fit import MEMORIES, limits, uses
from tflm_export.board.sketch import make_sketch, placed
from tflm_export.boards import BOARDS, FlashRange
from tflm_export.cli import main
from tflm_export.compiler import compile_model
from tflm_export.emit.constants import HEAD_BYTES
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError
from tflm_export.plan import UpdatePlan

NAME = "nano33ble_zephyr"
ZEPHYR = BOARDS[NAME]
STORE = UpdatePlan(store_bytes=8 * 4096)
SKETCH_FLASH = Path(__file__).parents[2] / "arduino/src/tfodl/store/sketch_flash.h"


@pytest.fixture(scope="module")
def compiled():
    return compile_model(digits_net(), UpdatePlan(LAYERS))


def small(monkeypatch, **limits):
    monkeypatch.setitem(BOARDS, NAME, replace(ZEPHYR, **limits))


def test_the_library_reads_constants_at_the_board_s_place(compiled, tmp_path):
    """And the image stands in it, and beside it for a flashing tool."""
    image = placed(compiled, ZEPHYR).constants
    assert image.address == ZEPHYR.constants.start == 0x90000
    with zipfile.ZipFile(make_sketch(compiled, NAME, tmp_path / "x.zip")) as packed:
        texts = {name: packed.read(f"TFODL_engine/{name}") for name in ("extras/constants.bin",)}
        source = packed.read("TFODL_engine/src/engine_constants.cpp").decode()
        facts = json.loads(packed.read("TFODL_engine/extras/metadata.json"))
    assert texts["extras/constants.bin"] == image.data == (tmp_path / "x.constants.bin").read_bytes()
    assert f"TFODL_CONSTANTS_AT(engine_constants, {len(image.data)}, 0x90000)" in source
    assert facts["constants_bytes"] == len(image.data) and facts["constants_at"] == 0x90000
    assert facts["board_allows"]["constants_bytes"] == 0x50000
    assert (tmp_path / "x.constants.hex").read_text() == image.files()["constants.hex"].decode()


def test_other_boards_have_them_in_the_sketch(compiled, tmp_path):
    make_sketch(compiled, "nano33ble", tmp_path / "x.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]
    with pytest.raises(ExportError, match="part of the sketch; compile without --constants-at"):
        make_sketch(apart(compiled, 0x90000), "nano33ble", tmp_path / "y.zip")


def test_what_is_counted(compiled, monkeypatch):
    """Program, what it shares with static data, and the image, each against its own limit."""
    moved = placed(compiled, ZEPHYR)
    constants = len(moved.constants.data)
    costs = {"flash_bytes": 60_000, "static_ram_bytes": 9_000, "stack_bytes": 2_000}
    counted = uses(moved, costs, ZEPHYR)
    program = 60_000 - constants + HEAD_BYTES  # measured with the constants in it
    assert counted == {
        "ram_bytes": 9_000,
        "stack_bytes": 2_000,
        "flash_bytes": program,
        "loaded_bytes": program + 9_000,
        "constants_bytes": constants,
    }
    assert list(limits(ZEPHYR).values()) == [ZEPHYR.ram_bytes, 4_096, 98_304, 107_072, 0x50000]
    measured = uses(moved, costs | {"constants_at": 0x90000}, ZEPHYR)
    assert measured["flash_bytes"] == 60_000
    kept = placed(compile_model(digits_net(), STORE), ZEPHYR)
    assert uses(kept, costs, ZEPHYR)["constants_bytes"] == len(kept.constants.data) + STORE.store_bytes


@pytest.mark.parametrize("what", ["flash_bytes", "loaded_bytes", "constants_bytes"])
def test_a_byte_too_much_is_refused(compiled, what, tmp_path, monkeypatch):
    costs = {"flash_bytes": 50_000, "static_ram_bytes": 9_000, "stack_bytes": 2_000, "constants_at": 0x90000}
    have = uses(placed(compiled, ZEPHYR), costs, ZEPHYR)[what]
    for over in (1, 0):
        most = have - over
        range_ = {"constants": FlashRange(0x90000, 0x90000 + most)}
        small(monkeypatch, **(range_ if what == "constants_bytes" else {what: most}))
        if over:
            with pytest.raises(ExportError, match=rf"Zephyr\): {MEMORIES[what]} {have:,} B, 1 B too much"):
                make_sketch(compiled, NAME, tmp_path / "x.zip", costs)
            assert not list(tmp_path.iterdir())
        else:
            assert make_sketch(compiled, NAME, tmp_path / "x.zip", costs).is_file()


def test_what_is_learned_lies_behind_the_image(tmp_path):
    """At the end of the same range: the library's word for Zephyr is the board's."""
    assert f"kEnd = {ZEPHYR.constants.end:#X}".replace("0X", "0x") in SKETCH_FLASH.read_text()
    compiled = compile_model(digits_net(), STORE)
    assert make_sketch(compiled, NAME, tmp_path / "x.zip").is_file()


def test_the_range_is_whole_pages_between_core_and_sketch():
    """Behind a core, or a sketch, that begins at 0x70000, before a sketch at 0xE0000: docs/add_board.md."""
    start, end = ZEPHYR.constants.start, ZEPHYR.constants.end
    assert start % 4096 == end % 4096 == 0 and start >= 0x70000 + ZEPHYR.flash_bytes and end <= 0xE0000


def test_products_without_words_for_missing_constants_are_refused(compiled):
    with pytest.raises(ExportError, match="'anomaly' does not run on .*--example serial"):
        Example("anomaly", 100.0, "g").check(compiled, ZEPHYR)


def test_the_command_line(tmp_path, capsys):
    (tmp_path / "m.tflite").write_bytes(nets.residual_net())
    folder = tmp_path / "engine"
    model = ["compile", str(tmp_path / "m.tflite"), "--out", str(folder)]
    assert main([*model, "--constants-at", NAME]) == 0
    image = load(folder).constants
    assert image.address == 0x90000
    place = f"constants: {len(image.data):,} B at 0x90000 of the flash"
    assert place in capsys.readouterr().out
    assert main(["sketch", str(folder), "--board", NAME, "--out", str(tmp_path / "x.zip"), "--measure"]) == 0
    assert "tfodl board constants writes them" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "x.zip") as packed:
        facts = json.loads(packed.read("TFODL_engine/extras/metadata.json"))
    assert facts["flash_bytes"] > 20_000 and facts["constants_bytes"] == len(image.data)
    with pytest.raises(SystemExit):
        main([*model, "--constants-at", "pico"])
    assert "neither an address" in capsys.readouterr().err
    assert main([*model, "--constants-at", "0x90002"]) == 2
    assert "multiple of 4" in capsys.readouterr().err
