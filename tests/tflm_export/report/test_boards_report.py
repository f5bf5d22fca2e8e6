"""`report --board`: any board whose core has a cycles model, by its core, its clock and its limits."""

import json
from dataclasses import replace

import nets
import numpy as np
import pytest

from tflm_export.board.sketch import placed
from tflm_export.boards import BOARDS, MODELS
from tflm_export.cli import main
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.machines.emulator import CORES, core_of
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import measure
from tflm_export.plan import UpdatePlan
from tflm_export.report.report import make_report, report
from tflm_export.report.verify import samples
from tflm_export.variable import variables

QUICK = ("-O0", "-std=c++14", "-mfloat-abi=hard", "-fno-rtti", "-fno-exceptions")  # to compile


@pytest.fixture(scope="module")
def measured(compiled):
    """On the Cortex-M0+; other cores run the engine in test_cores.py and loops in test_core_models.py."""
    xs, ts = samples(compiled, None, None, 0)
    core = CORES["cortex-m0plus"]
    return measure(compiled, xs[:2], ts[:2], flags=QUICK, memories=core.roomy, core=core)


def test_a_cortex_m0plus_learns_the_same_bits(compiled, measured):
    engine = HostEngine(compiled)
    xs, ts = samples(compiled, None, None, 0)
    np.testing.assert_array_equal(measured.outputs[0], engine.infer(xs[0]).reshape(-1))
    for x, t in zip(xs[:2], ts[:2], strict=True):
        engine.train_step(x, t)
    assert measured.weights and measured.train_step.cycles > measured.train_step.instructions
    for variable in variables(compiled.graph):
        trained = variable.take(engine.weights()[variable.tensor]).reshape(-1)
        np.testing.assert_array_equal(measured.weights[variable.tensor], trained)


@pytest.mark.parametrize("name", BOARDS)
def test_a_report_speaks_of_its_board(compiled, measured, name):
    board = BOARDS[name]
    made = make_report(compiled, measured, board=name)
    facts = json.loads(made.to_json())
    assert list(facts["fits"]) == list(facts["milliseconds"]) == [name] == [facts["board"]["name"]]
    spent = facts["milliseconds"][name]["train_step"]
    assert spent == pytest.approx(1000 * measured.train_step.cycles / board.clock_hz, abs=1e-3)
    assert facts["board"]["estimate"] == (board.core not in ("cortex-m0plus", "cortex-m4"))
    row = next(line for line in made.to_text().splitlines() if line.startswith("| board |"))
    assert board.title in row and f"{board.clock_hz // 10**6} MHz" in row
    assert ("an estimate" in row) == facts["board"]["estimate"]
    assert ("published limits" in row) == (name != "nano33ble")


def test_limits_are_the_boards_own(compiled, measured, monkeypatch):
    """An engine that takes a byte more than the loader leaves to the program and its data."""
    zephyr, loaded = BOARDS["nano33ble_zephyr"], measured.flash_bytes + measured.static_ram_bytes - 1
    monkeypatch.setitem(BOARDS, "small", replace(zephyr, loaded_bytes=loaded))
    facts = make_report(placed(compiled, zephyr), measured, board="small").facts
    assert facts["over"]["small"]["loaded_bytes"] == 1
    assert "RAM for program and static data by 1 B" in facts["advice"][0]
    smaller = UpdatePlan.from_json(json.dumps(facts["smaller_plans"]["small"]))
    assert compile_model(nets.residual_net(), smaller).memory.static_ram < compiled.memory.static_ram


@pytest.mark.parametrize("name", ["nano33ble", "pico"])
def test_constants_have_a_place_on_the_board_or_are_refused(compiled, name):
    """The default board, too."""
    with pytest.raises(ExportError, match="part of the sketch; .* that has them beside it: nano33ble_zephyr"):
        report(placed(compiled, BOARDS["nano33ble_zephyr"]), board=name)


def test_every_model_has_a_core_of_the_emulators():
    assert MODELS.keys() == CORES.keys() == {core.model for core in CORES.values()}
    assert {board.core for board in BOARDS.values()} == MODELS.keys()
    assert all(core_of(board) is CORES[board.core] for board in BOARDS.values())


def test_the_command(compiled, measured, tmp_path, monkeypatch, capsys):
    """A Pico's report with every call, as text and as a page; compiled quickly, too."""
    from tflm_export.report import report as reports

    for name in ("measure", "profile"):
        plain = getattr(reports, name)
        monkeypatch.setattr(reports, name, lambda *args, plain=plain, **how: plain(*args, flags=QUICK, **how))
    folder, page = compiled.save(tmp_path / "engine"), tmp_path / "report.html"
    assert main(["report", str(folder), "--board", "pico", "--per-op", "--html", str(page)]) == 0
    text, cycles = capsys.readouterr().out, measured.train_step.cycles
    assert f"| training step | {cycles:,} cycles (" in text and " ms on pico)" in text
    assert "| fits pico | yes |" in text and "## Kernel calls: train step" in text
    shown = page.read_text(encoding="utf-8")
    assert "Cortex-M0+" in shown and "Cortex-M4" not in shown


@pytest.mark.parametrize("file", [{"html": "a.html"}, {"picture": "a.png"}])
def test_a_place_that_takes_no_file_is_told_at_once(compiled, tmp_path, monkeypatch, file):
    from tflm_export.report import report as reports

    monkeypatch.setattr(reports, "measure", lambda *_, **__: pytest.fail("measured first"))
    (tmp_path / "taken").write_text("a file")
    where = {name: tmp_path / "taken" / path for name, path in file.items()}
    with pytest.raises(TfodlError, match="cannot write"):
        reports.report(compiled, **where)
