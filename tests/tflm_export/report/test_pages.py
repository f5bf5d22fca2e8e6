"""The pages: their figures are the report's and the log's, no name breaks them, and a browser shows them."""

import json
import os
import re
import shutil
import subprocess

import nets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_reader import PageReader
from PIL import Image

from tflm_export.cli import main
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.living.selection import Selection
from tflm_export.page.axes import Axes
from tflm_export.page.cells import confusion
from tflm_export.page.document import page
from tflm_export.plan import LayerUpdate, Memory, UpdatePlan
from tflm_export.report.board_page import board_page
from tflm_export.report.engine_page import engine_page
from tflm_export.report.report import report
from tflm_export.report.run_lines import read_run, read_run_file
from tflm_export.report.seen_sections import selection_section

PLAN = UpdatePlan(
    (LayerUpdate("#3", "in", (0, 2), "all"),), memory=Memory(samples=8, replays=1), store_bytes=8 * 4096
)
HOSTILE = "<script>alert('1')</script>\"&\u202e\x00\ud800]]>-->" + "x" * 200
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"),
)


@pytest.fixture(scope="module")
def compiled():
    return compile_model(nets.residual_net(), PLAN)


@pytest.fixture(scope="module")
def facts(compiled):
    return report(compiled, per_op=True).facts


def table(found: PageReader, *head: str) -> list[list[str]]:
    """The rows of the table with these first columns."""
    return next(rows[1:] for rows in found.tables if rows[0][: len(head)] == list(head))


def number(text: str) -> int:
    return int(text.replace(",", ""))


def log(samples: int = 120) -> list[dict]:
    """A run in which the board is right from the middle on, with a pulled cable."""
    steps = [
        {
            "step": i,
            "time": i / 3,
            "label": i % 3,
            "predicted": i % 3 if i > samples // 2 else 0,
            "loss": 1 / i,
        }
        for i in range(1, samples + 1)
    ]
    begin = {
        "event": "begin",
        "time": 0.0,
        "engine": "digits",
        "classes": ["a", "b", "c"],
        "samples": samples,
    }
    unplugged = [
        {"event": "unplugged", "time": 20.0, "step": 60},
        {"event": "resumed", "time": 29.0, "step": 58, "restarted": True},
    ]
    chosen = {"event": "epoch", "time": 30.0, "step": 60, "epoch": 1, "channels": {"#3": [0, 2]}}
    return [begin, *steps[:60], *unplugged, *steps[58:60], chosen, *steps[60:]]


def test_the_page_has_the_reports_figures(compiled, facts):
    found = PageReader(engine_page(facts))
    alive = table(found, "step", "op", "role")
    live = [sum(map(number, row[3:])) for row in alive]
    assert live == compiled.memory.live_bytes()
    buffers = {(row[1], number(row[3]), number(row[4])) for row in table(found, "buffer", "tensor")}
    assert buffers == {(b.name, compiled.memory.offsets[b.name], b.nbytes) for b in compiled.memory.buffers}
    flash = {row[0]: number(row[1]) for row in table(found, "part", "bytes")}
    assert sum(flash.values()) == facts["flash_bytes"] and flash["weights"] == 162 + 54 + 36 + 48
    cycles = table(found, "layer", "forward", "gradient")
    counted = sum(call["cycles"] for call in facts["calls"]["train_step"])
    assert sum(number(cell) for row in cycles for cell in row[1:4]) == counted
    assert counted == pytest.approx(facts["cycles"]["train_step"], rel=0.01)
    learns = {(row[0], row[3]): row[7] for row in table(found, "op", "kind", "tensor")}
    assert learns[("#3", "weights")] == "0, 2" and learns[("#3", "biases")] == "0-5"
    assert any(f"{facts['store']['saves']:,} saves" in text for text in found.texts)
    assert any(text.startswith("Nothing is dead") for text in found.texts)
    assert found.pictures == 5


def test_an_engine_that_only_infers_has_a_page(tmp_path):
    folder = compile_model(nets.residual_net(), UpdatePlan(head=False)).save(tmp_path / "engine")
    (tmp_path / "run.jsonl").write_text("\n".join([*map(json.dumps, log()), '{"step": 12', "[" * 9999]))
    command = ["report", str(folder), "--steps", "1", "--log", str(tmp_path / "run.jsonl")]
    assert main(command) == 2 and main([*command, "--html", str(tmp_path / "report.html")]) == 0
    found = PageReader((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Nothing: this engine only infers." in found.texts
    assert "the cable was pulled" in [row[2] for row in table(found, "seconds")]


def test_what_is_no_log_is_refused(tmp_path):
    (tmp_path / "run.jsonl").write_text("7\n\n{}\n")
    with pytest.raises(ExportError, match="no log of a board"):
        read_run_file(tmp_path / "run.jsonl")


def test_a_long_run_stays_a_page():
    """Of 400 epochs and saves a row each between the rest; short marks without words; a table of figures."""
    begin, *steps = log(samples=2000)
    steps = [step for step in steps if "step" in step and "event" not in step]
    epochs = range(5, 2001, 5)
    often = [
        {"event": e, "time": i / 3, "step": i, "epoch": i // 5} for i in epochs for e in ("saved", "epoch")
    ]
    out = {"time": 333.0, "step": 1000, "restarted": False}
    pulled = [{"event": name} | out for name in ("unplugged", "resumed")]
    lines = sorted([*steps, *often, *pulled], key=lambda line: line["step"])
    page = board_page([begin, *lines])
    rows = table(PageReader(page), "seconds", "after step", "what", "which")
    said = [(row[2], row[3].split(";")[0]) for row in rows]
    assert (
        ("saved to flash", "200 times") in said and ("went on", "kept its power") in said and len(rows) < 10
    )
    assert sum(int(which.split()[0]) for what, which in said if which.endswith("times")) == len(often)
    assert page.count('class="tick"') == 2 * (400 + 1) and page.count('class="limit"') == 2


def test_figures_stand_whole_on_the_canvas():
    drawn = str(Axes((0.0, 20_000.0), (0.0, 1.0)).frame("samples", "right"))
    last = re.search(r'<text[^>]*text-anchor="(\w+)"[^>]*>20,000<', drawn)
    assert last is not None and last[1] == "end"


def test_classes_that_look_alike_have_numbers():
    picture = str(confusion([[1, 0], [0, 1]], ["turned left twice", "turned right, twice"]).content)
    assert ">0 turn" in picture and ">1 turn" in picture and picture.count(">1<") == 3


def test_the_boards_page_has_the_runs_figures():
    found = PageReader(board_page(log()))
    by_class = table(found, "class", "samples", "right")
    assert [row[:2] for row in by_class] == [["a", "40"], ["b", "40"], ["c", "40"]]
    assert by_class[0][2] == "100.0%" and by_class[1][2] == by_class[2][2] == "50.0%"
    assert table(found, "was") == [["a", "20", "0", "0"], ["b", "0", "20", "0"], ["c", "0", "0", "20"]]
    assert table(found, "samples", "right")[-1] == ["120", "100.0%"]
    happened = [row[2] for row in table(found, "seconds")]
    assert happened == ["began", "the cable was pulled", "went on", "chose anew what learns"]
    assert table(found, "epoch", "step", "layer") == [["1", "60", "#3", "2", "0, 2"]]


def test_a_step_that_is_learned_again_counts_once():
    lines = [
        {"step": 1 + i % 5, "time": i / 2, "label": 0, "predicted": int(i < 5), "loss": 1.0} for i in range(8)
    ]
    assert [(s.step, s.right) for s in read_run(lines).steps] == [
        (1, True), (2, True), (3, True), (4, False), (5, False)
    ]  # fmt: skip


def renamed(value, name):
    """Plain values with every name and every key that is one replaced."""
    if isinstance(value, dict):
        return {key: renamed(v, name) for key, v in value.items()}
    if isinstance(value, list):
        return [renamed(v, name) for v in value]
    return name if isinstance(value, str) and value not in ("forward", "gradient", "update") else value


@settings(max_examples=20, deadline=None)
@given(st.one_of(st.just(HOSTILE), st.text(st.characters(), max_size=40)))
def test_no_name_breaks_an_engines_page(facts, name):
    """Every text of the facts is the name, a layer's among them; kinds of buffers are the compiler's own."""
    plain = json.loads(json.dumps(dict(facts)))
    changed = renamed(plain, name)
    for buffer, real in zip(changed["arena_map"]["buffers"], plain["arena_map"]["buffers"], strict=True):
        buffer["kind"] = real["kind"]
    for row, real in zip(changed["trains"], plain["trains"], strict=True):
        row["what"] = real["what"]
    changed["advice"] = [name]
    written = engine_page(changed, [selection_section([Selection(0, 0, {name: (1,)})], {name: 3})])
    PageReader(written.encode("utf-8").decode("utf-8"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "step",
    "time",
    "label",
    "predicted",
    "loss",
    "classes",
    "confusion",
    "accuracy",
    "name",
    "channels",
    "epoch",
)
LINE = st.fixed_dictionaries(
    {}, optional={key: st.integers(-2, 9) | st.just(HOSTILE) | JSON for key in KEYS}
    | {"event": st.sampled_from(["begin", "evaluated", "epoch", "class", "unplugged", "other", HOSTILE])},
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(LINE | JSON, max_size=8))
def test_no_log_breaks_a_boards_page(lines):
    PageReader(board_page(lines).encode("utf-8").decode("utf-8"))


def browser() -> str:
    """The path of Chromium. Where there is none it fails, and does not skip: pages are made to be seen."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, "no Chromium: the pages were NOT opened; on Debian: apt-get install chromium"
    return found


def opened(page, folder, width=900):
    """The page's own text as a browser understands it, and a picture of it."""
    picture = folder / "page.png"
    done = subprocess.run(
        [browser(), *QUIET, f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--dump-dom",
         f"--window-size={width},1500", f"--screenshot={picture}", page.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert "Refused to" not in done.stderr and "violates" not in done.stderr, done.stderr[-500:]
    return done.stdout, np.asarray(Image.open(picture).convert("RGB"))


@pytest.mark.parametrize("kind", ["report", "board"])
def test_a_browser_shows_it(kind, facts, tmp_path):
    written = engine_page(facts) if kind == "report" else board_page([*log(), {"step": HOSTILE}])
    path = tmp_path / f"{kind}.html"
    path.write_text(written, encoding="utf-8")
    dom, picture = opened(path, tmp_path)
    assert dom.count("<svg") == written.count("<svg") and dom.count("<tr") == written.count("<tr")
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    assert len(colours) > 50 and counts.max() < 0.97 * counts.sum()
    assert (picture[:, -12:] == picture[0, -1]).all(), "the page is wider than the window"
    if "TFODL_PICTURES" in os.environ:
        shutil.copy(tmp_path / "page.png", os.environ["TFODL_PICTURES"] + f"/{kind}.png")


def test_the_policy_forbids_all_that_loads():
    assert re.search(r"Content-Security-Policy\" content=\"default-src 'none'; style-src", page("x", [], []))
