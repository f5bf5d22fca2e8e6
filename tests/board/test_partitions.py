"""Where engines keep what they learned beside the Nano 33 BLE: a partition, or the sketch's flash."""

import csv
import zipfile
from dataclasses import replace

import pytest
from nets import residual_net

from tflm_export.board.partitions import partitions
from tflm_export.board.sketch import make_sketch
from tflm_export.boards import BOARDS
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.plan import UpdatePlan

PLAN = UpdatePlan(store_bytes=8 * 4096)
TABLE = "TFODL_engine/examples/TrainOverSerial/partitions.csv"
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def engine():
    return compile_model(residual_net(), PLAN)


@pytest.mark.parametrize("area", [4 * 4096, 0x100000, 0x160000])
def test_partitions_fill_the_flash_and_none_meets_another(area):
    rows = [row for row in csv.reader(partitions(area).splitlines()) if not row[0].startswith("#")]
    spans = {row[0]: (int(row[3], 16), int(row[4], 16)) for row in rows}
    ends = [0x9000, *(start + size for start, size in spans.values())]
    assert ends[:-1] == [start for start, _ in spans.values()] and ends[-1] == 4 * MEGABYTE
    assert spans["tfodl"][1] == area and all(start % 4096 == 0 for start, _ in spans.values())
    assert all(spans[app][0] % 0x10000 == 0 for app in ("app0", "app1"))  # as the chip maps programs


def test_a_partition_that_is_too_large_is_refused():
    with pytest.raises(ExportError, match="holds an area of 1,441,792 B.*Take less store_bytes"):
        partitions(0x161000)


@pytest.mark.parametrize("name", [name for name, row in BOARDS.items() if row.area])
def test_a_partition_stands_beside_the_sketch_where_one_is_needed(engine, name, tmp_path):
    with zipfile.ZipFile(make_sketch(engine, name, tmp_path / "x.zip")) as packed:
        assert (TABLE in packed.namelist()) == name.startswith("esp32")
    learning = compile_model(residual_net(), UpdatePlan())
    with zipfile.ZipFile(make_sketch(learning, name, tmp_path / "y.zip")) as packed:
        assert TABLE not in packed.namelist()


def test_a_platformio_project_names_its_partitions(engine, tmp_path):
    make_sketch(engine, "esp32c3", tmp_path / "esp", form="platformio")
    assert "board_build.partitions = partitions.csv\n" in (tmp_path / "esp" / "platformio.ini").read_text()
    assert (tmp_path / "esp" / "partitions.csv").read_text() == partitions(PLAN.store_bytes)
    make_sketch(engine, "nano33ble", tmp_path / "nano", form="platformio")
    assert "partitions" not in (tmp_path / "nano" / "platformio.ini").read_text()


def test_platformio_s_core_of_a_pico_has_no_place(engine, tmp_path):
    """Arduino's; Earle Philhower's has one. An engine that keeps nothing runs under either."""
    with pytest.raises(ExportError, match="another Arduino core for Raspberry Pi Pico than the one in whose"):
        make_sketch(engine, "pico", tmp_path / "pico", form="platformio")
    learning = compile_model(residual_net(), UpdatePlan())
    assert make_sketch(learning, "pico", tmp_path / "pico", form="platformio").is_dir()


@pytest.mark.parametrize(("name", "fits"), [("pico", False), ("esp32", True)])
def test_an_area_counts_where_it_is_the_sketchs(engine, name, fits, monkeypatch, tmp_path):
    facts = dict(engine.facts) | {"flash_bytes": 100_000}
    monkeypatch.setitem(BOARDS, name, replace(BOARDS[name], flash_bytes=100_000 + PLAN.store_bytes - 1))
    if fits:
        assert make_sketch(engine, name, tmp_path / "x.zip", facts).is_file()
    else:
        with pytest.raises(ExportError, match="flash 132,768 B, 1 B too much"):
            make_sketch(engine, name, tmp_path / "x.zip", facts)
