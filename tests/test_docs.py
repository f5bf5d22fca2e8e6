"""README and docs: every Python block runs, page by page; every link and every file named exists.

A block that needs what a test has not says so behind its language: `python needs-board`, `needs-network`
(weights or data are downloaded), `needs-hours`.
"""

import json
import re
import shlex
import zipfile
from pathlib import Path

import choose_tables
import guard_tables
import kernel_tables
import numpy as np
import page_chain
import paper_tables
import pytest
import stream_tables
import tables
from page_reader import PageReader

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NEEDS = {"needs-board", "needs-network", "needs-hours"}
BLOCK = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^ *```", re.M | re.S)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)")
FOLDERS = "tflm_export|tfodl|arduino|scripts|tests|benchmarks|examples|docs|tools"
FILE = re.compile(rf"`((?:{FOLDERS})/[\w./-]+\.\w+)`")


def blocks(page: Path) -> list[str]:
    """The page's Python that a test can run."""
    found = []
    for indent, language, needs, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        assert set(needs.split()) <= NEEDS, f"{page.name}: {needs}"
        if language == "python" and not needs.strip():
            found.append(re.sub(f"^{indent}", "", text, flags=re.M))
    return found


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder with a small model, its data and an engine, and names for what a page takes as given."""
    import keras
    import nets

    from tflm_export import UpdatePlan, compile_model

    monkeypatch.chdir(tmp_path)
    layers = keras.layers
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, strides=2, activation="relu", name="stem"),
            layers.Conv2D(8, 3, activation="relu", name="wide"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="head"),
        ]
    )
    model.save("my_model.keras")
    (tmp_path / "model.tflite").write_bytes(nets.residual_net())
    compile_model(nets.residual_net(), UpdatePlan()).save("build/engine")
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (24, 16, 16, 3)).astype(np.float32)
    y = rng.integers(0, 3, 24)
    return {"model": model, "x": x, "y": y, "x_held_out": x[:6], "y_held_out": y[:6], "np": np}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
def test_blocks_run(page, world):
    world["__name__"] = "docs"
    for text in blocks(page):
        exec(compile(text, str(page), "exec"), world)


def commands(page: Path, program: str) -> list[list[str]]:
    """The arguments of every line of the page's shell blocks that runs `program`."""
    lines = [line for _, language, _, text in BLOCK.findall(page.read_text(encoding="utf-8"))
             if language == "sh" for line in text.splitlines()]  # fmt: skip
    return [shlex.split(line)[1:] for line in lines if line.startswith(f"{program} ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_typed_is_understood(page):
    """Every command of `tflm-export` on a page has options that there are."""
    from tflm_export.board.examples import Example
    from tflm_export.board.layout import check_format
    from tflm_export.boards import board
    from tflm_export.cli import parser

    for line in commands(page, "tflm-export"):
        options = parser().parse_args(line[: line.index("#")] if "#" in line else line)
        if options.command == "sketch":
            Example(options.example, options.hz, options.unit)
            check_format(options.format, board(options.board))


def test_the_tutorial_runs_to_the_letter(tmp_path, monkeypatch):
    """From a model and a folder of pictures to a board that learns; README's chain is a part of it."""
    monkeypatch.chdir(tmp_path)
    chain = page_chain.run_chain("tutorial.md")
    assert chain == ["finetune", "quantize", "compile", "verify", "report", "sketch", "board"]
    with zipfile.ZipFile("engine.zip") as archive:
        assert any(name.endswith(".ino") for name in archive.namelist())
    for page in ("report.html", "board.html"):
        assert PageReader(Path(page).read_text(encoding="utf-8")).pictures >= 3
    for program in ("tfodl", "tflm-export"):
        typed = commands(ROOT / "docs" / "tutorial.md", program)
        assert commands(ROOT / "README.md", program) == typed[: 2 if program == "tfodl" else None]


def drift(sensed):
    """Mean absolute error of docs/regression.md's engine: young cells, old ones, old ones learnt."""
    from tflm_export import engine_folder
    from tflm_export.machines.host import HostEngine
    from tflm_export.ops.result import tensor_quant

    compiled = engine_folder.load("engine")
    engine, output = HostEngine(compiled), tensor_quant(compiled.graph, compiled.output.name)
    gases = np.random.default_rng(1).uniform(0, 2, (400, 2))
    young, old = (compiled.quantize(sensed(gases, left)) for left in (1.0, 0.8))

    def error(x):
        said = np.stack([compiled.to_real(engine.infer(row[None]))[0] for row in x[200:]])
        return np.abs(said - gases[200:]).mean()

    before = error(young), error(old)
    engine.set_learning_rate(0.02)
    for row, target in zip(old[:200], gases[:200], strict=True):
        engine.train_step(row[None], output.quantize(target)[None])
    return *before, error(old)


@pytest.mark.parametrize("page", ["tasks", "anomaly", "regression"])
def test_a_task_s_chain_runs(page, tmp_path, monkeypatch, capsys):
    """The page's Python makes model and data; its commands go from there to a sketch."""
    from tflm_export.cli import main as tflm_export
    from tfodl.cli import main as tfodl

    monkeypatch.chdir(tmp_path)
    path = ROOT / "docs" / f"{page}.md"
    names = {}
    for text in blocks(path):
        exec(compile(text, str(path), "exec"), names)
    chain = [(tfodl, line) for line in commands(path, "tfodl")]
    chain += [(tflm_export, line) for line in commands(path, "tflm-export")]
    assert [line[0] for _, line in chain][-4:] == ["quantize", "compile", "verify", "sketch"]
    for main, line in chain:
        assert main(line) == 0, capsys.readouterr().err
    assert zipfile.is_zipfile(f"{'labels' if page == 'tasks' else page}.zip")
    if page == "regression":
        young, old, learnt = drift(names["sensed"])
        assert young < 0.12 and old > 0.25 and learnt < 0.6 * old, (young, old, learnt)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_named_exists(page):
    text = page.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    missing += [file for file in FILE.findall(text) if not (ROOT / file).exists()]
    assert not missing


def test_the_kernels_tables_are_the_headers():
    page = kernel_tables.PAGE.read_text(encoding="utf-8")
    assert page == kernel_tables.filled(page), "run python tools/kernel_tables.py"


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.stem)
def test_figures_are_what_was_measured(page):
    rows = json.loads(tables.MEASURED.read_text(encoding="utf-8"))
    text = page.read_text(encoding="utf-8")
    assert text == tables.filled(text, rows), "run python benchmarks/tables.py"


def test_what_choosing_did_is_what_was_measured():
    text = choose_tables.PAGE.read_text(encoding="utf-8")
    assert text == choose_tables.filled(text, *choose_tables.measured()), (
        "run python benchmarks/choose_tables.py"
    )


def test_what_streams_did_is_what_was_measured():
    text = stream_tables.PAGE.read_text(encoding="utf-8")
    assert text == guard_tables.filled(text, guard_tables.measured()), "run python benchmarks/guard_tables.py"
    assert text == stream_tables.filled(text, stream_tables.measured()), (
        "run python benchmarks/stream_tables.py"
    )


def test_what_the_rules_did_is_what_was_run():
    text = paper_tables.PAGE.read_text(encoding="utf-8")
    assert text == paper_tables.filled(text), "run python benchmarks/paper_tables.py"


def test_memorys_defaults_are_what_won():
    from tflm_export.plan import Memory

    memory = Memory(samples=1)
    assert (memory.policy, memory.replays) == stream_tables.best_memory(stream_tables.measured())
