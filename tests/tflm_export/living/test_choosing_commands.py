"""A pool from the shell, in a plan's JSON, in the report's facts, as a picture."""

import json
from dataclasses import replace

import nets
import numpy as np
import pytest

from tflm_export import cli
from tflm_export.boards import BOARDS
from tflm_export.compiler import compile_model
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError, TfodlError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.living.image import area_bytes
from tflm_export.living.selection import Selection
from tflm_export.machines.choosing_host import ChoosingEngine
from tflm_export.machines.emulator import build
from tflm_export.memory.engine_size import flash_estimate
from tflm_export.plan import Guard, LayerUpdate, Memory, UpdatePlan
from tflm_export.pool import AXES, Pool
from tflm_export.report.draw_selection import draw_selections, learned
from tflm_export.report.propose import propose

PLAN = UpdatePlan(candidates=("#1", "#2"), memory=Memory(samples=20), pool=Pool(200, "random", epoch=5))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.tflite").write_bytes(nets.residual_net())
    return tmp_path


def compile_with(*options):
    return cli.main(["compile", "m.tflite", "--out", "engine", *options])


def test_compile_takes_a_pool(folder, capsys):
    options = ["--candidates", "#1,#3", "--pool", "1KB", "--rule", "velocity", "--epoch", "500"]
    assert compile_with(*options, "--memory", "30") == 0
    out = capsys.readouterr().out
    assert (
        "chooses: 12 channels of 2 layers, 1,024 B at a time (at most 12 channels), by velocity every 500"
        in out
    )
    plan = load("engine").plan
    assert plan.candidates == ("#1", "#3") and plan.memory == Memory(samples=30)
    assert plan.pool == Pool(1024, "velocity", epoch=500)
    facts = json.loads((folder / "engine" / "engine.json").read_text())["pool"]
    assert facts["area_bytes"] == 4 * 4096 and facts["epochs"] == 20_000 and facts["epoch_macs"] > 0


def test_a_proposal_leaves_room_in_flash_for_program_and_area():
    """As much as the engine is planned to take, not less by a page, nor more."""
    tflite = nets.residual_net()
    whole = propose(tflite, BOARDS["nano33ble"], UpdatePlan())
    compiled = compile_model(tflite, whole)
    needed = flash_estimate(compiled.graph) + area_bytes(compiled.graph, whole)
    assert propose(tflite, replace(BOARDS["nano33ble"], flash_bytes=needed), UpdatePlan()) == whole
    with pytest.raises(ExportError, match="no layer of this model fits"):
        propose(tflite, replace(BOARDS["nano33ble"], flash_bytes=needed // 2), UpdatePlan())
    less = propose(tflite, replace(BOARDS["nano33ble"], flash_bytes=needed - 1), UpdatePlan())
    assert len(less.candidates) < len(whole.candidates)


def test_what_a_device_learned_becomes_a_model(folder):
    PLAN.save("p.json")
    assert compile_with("--plan", "p.json") == 0
    engine = ChoosingEngine("engine")
    for i in range(5):
        engine.train_step(np.full(engine.compiled.input.shape, 20 * i, np.int8), i % 4)
    (folder / "area.bin").write_bytes(engine.image)
    assert cli.main(["learned", "engine", "--store", "area.bin", "--out", "new.tflite"]) == 0
    learned_graph = read_tflite((folder / "new.tflite").read_bytes())
    for name, weights in engine.weights().items():
        np.testing.assert_array_equal(learned_graph.constant(name), weights)
    assert cli.main(["sketch", "engine", "--out", "x.zip"]) == 0


def test_options_change_a_plans_pool(folder, capsys):
    PLAN.save("p.json")
    assert compile_with("--plan", "p.json", "--rule", "fixed", "--axis", "in", "--pool", "300") == 0
    assert "chooses: 9 input channels of 2 layers" in capsys.readouterr().out
    plan = load("engine").plan
    assert plan == replace(PLAN, pool=Pool(300, "fixed", epoch=5, axis="in"))
    assert UpdatePlan.from_json(plan.to_json()) == plan


def test_a_board_gets_what_it_holds(folder, capsys):
    """All layers on a large one; fewer, and a smaller pool, the smaller it is."""
    assert compile_with("--fit", "nano33ble", "--rule", "velocity", "--epoch", "500", "--memory", "30") == 0
    assert 'proposed for Arduino Nano 33 BLE: --candidates "#1,#2,#3' in capsys.readouterr().out
    plan = load("engine").plan
    assert plan.pool.rule == "velocity" and plan.pool.epoch == 500 and plan.memory == Memory(samples=30)
    tflite, found = nets.residual_net(), {}
    whole = propose(tflite, BOARDS["nano33ble"], UpdatePlan())
    most = compile_model(tflite, whole).memory.static_ram
    for ram in range(most + 1000, 5000, -300):
        board = replace(BOARDS["nano33ble"], ram_bytes=ram)
        try:
            plan = propose(tflite, board, UpdatePlan())
        except ExportError as error:
            assert "no layer of this model fits" in str(error)
            break
        assert compile_model(tflite, plan).memory.static_ram <= ram
        found[len(plan.candidates)] = plan.pool.bytes
    assert len(found) > 1 and list(found) == sorted(found, reverse=True)
    assert compile_with("--fit", "uno") == 2 and "is not known" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rule", "random"], "give --pool"),
        (["--pool", "1KB"], "name at least one"),
        (["--pool", "1KB", "--candidates", "#1"], "needs a memory"),
        (["--pool", "20", "--candidates", "#1", "--memory", "20"], "cannot hold a channel of #1"),
        (["--pool", "1KB", "--candidates", "#8", "--memory", "20"], "MEAN '#8' has no weights"),
    ],
)
def test_refusals_are_one_line(folder, capsys, options, message):
    assert compile_with(*options) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and not (folder / "engine").exists()


def test_a_size_that_is_none(folder, capsys):
    with pytest.raises(SystemExit):
        compile_with("--pool", "20MB")
    assert "is no size" in capsys.readouterr().err


def test_a_plan_with_a_pool_is_json_both_ways():
    assert UpdatePlan.from_json(PLAN.to_json()) == PLAN
    assert "pool" not in UpdatePlan().to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidates": ()}, "chooses among candidates"),
        ({"memory": None}, "needs a memory"),
        ({"store_bytes": 4 * 4096}, "set store_bytes to 0"),
        ({"layers": (LayerUpdate("#5"),)}, "are no candidates"),
        ({"layers": (LayerUpdate("#1", "in", (0,)),)}, "give axis 'out'"),
        ({"pool": 7}, "must be a Pool"),
    ],
)
def test_plans_that_cannot_be(change, message):
    with pytest.raises(TfodlError, match=message):
        replace(PLAN, **change)


@pytest.mark.parametrize(
    "fields",
    [
        {"bytes": 0}, {"bytes": 9, "rule": "best"}, {"bytes": 9, "epoch": 0}, {"bytes": 9, "samples": 0},
        {"bytes": 9, "mu": 1}, {"bytes": 9, "spend": "all"}, {"bytes": 9, "top": 0},
    ],
)  # fmt: skip
def test_pools_that_cannot_be(fields):
    with pytest.raises(TfodlError, match="Pool: "):
        Pool(**fields)


@pytest.mark.parametrize("axis", AXES)
def test_the_plan_of_ram_is_what_the_linker_gives(tmp_path, axis):
    """Tables, pool, and a guard's copy of it, beside a plain engine's; the linker may pad."""
    plan = replace(PLAN, guard=Guard(samples=5), pool=replace(PLAN.pool, axis=axis))
    compiled = compile_model(nets.residual_net(), plan)
    source = compiled.save(tmp_path / "engine") / "src"
    main = (
        '#include "engine.h"\n#include "tfodl/store/nvmc_flash.h"\nuint8_t flash[64];\n'
        "int main() { tfodl::MemoryFlash area(flash, 4096, 1);\n"
        "engine::open(area, flash); engine::remember(1);\n"
        "return int(engine::train_step(1)) + int(engine::new_epoch()); }"
    )
    elf = build(sorted(source.rglob("*.cpp")), [source], main, tmp_path / "m4.elf")
    assert elf.static_ram_bytes - 64 == pytest.approx(compiled.memory.static_ram, abs=160)
    assert 0.5 < elf.flash_bytes / flash_estimate(compiled.graph) < 1


def test_an_engine_without_a_pool_links_nothing_of_it(tmp_path):
    compiled = compile_model(nets.residual_net(), replace(PLAN, pool=None))
    source = compiled.save(tmp_path / "engine") / "src"
    main = '#include "engine.h"\nint main() { return engine::predict() + int(engine::train_step(1)); }'
    files = sorted(source.rglob("*.cpp"))
    without = [path for path in files if path.parent.name != "pool"]
    assert len(without) == len(files) - 4
    sizes = [build(some, [source], main, tmp_path / "m4.elf") for some in (files, without)]
    assert sizes[0].flash_bytes == pytest.approx(sizes[1].flash_bytes, abs=16)  # padding
    assert sizes[0].static_ram_bytes == sizes[1].static_ram_bytes
    assert "pool" not in (source / "engine.h").read_text()


def test_selections_are_drawn(tmp_path):
    history = [Selection(0, 0, {"#1": (0,), "#2": ()}), Selection(1, 5, {"#1": (), "#2": (2, 3)})]
    rows = learned(history, {"#1": 3, "#2": 4})
    assert rows["#2"].sum() == 2 and rows["#1"][:, 0].tolist() == [True, False, False]
    picture = draw_selections(history, {"#1": 3, "#2": 4}, tmp_path / "chosen.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ExportError, match="none to draw"):
        draw_selections([], {"#1": 3}, tmp_path / "nothing.png")
    with pytest.raises(ExportError, match="format not supported"):
        draw_selections(history, {"#1": 3, "#2": 4}, tmp_path / "chosen.bmp")
