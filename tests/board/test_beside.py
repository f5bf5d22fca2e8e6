"""Two engines of one sketch that keep what they learned: each in flash of its own, or refused."""

import subprocess
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
from nets import residual_net

from tflm_export.board.sketch import make_sketch
from tflm_export.boards import BOARDS, board
from tflm_export.cli import main
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.plan import LayerUpdate, UpdatePlan

PAGES = {"ears": 16, "eyes": 4}
PROGRAM = """
#include <stdio.h>
#include <string.h>
#include <TFODL_ears.h>
#include <TFODL_eyes.h>
static uint8_t memory[64 * 4096];
uint8_t* tfodl::host_flash(uint32_t bytes) {  // the last of the board's
  memset(memory + sizeof memory - bytes, 0xFF, bytes);
  return memory + sizeof memory - bytes;
}
#define LEARN(net, label)                       \\
  memset(net::input(), label, net::kInputBytes); \\
  for (int i = 0; i < 9; ++i) net::train_step(label)
#define SUM(net) sum(net::parameters(), net::kParameters)
static unsigned sum(const tfodl::Parameter* all, int n) {
  unsigned found = 0;
  for (int i = 0; i < n; ++i) {
    const uint8_t* data = static_cast<const uint8_t*>(all[i].data);
    for (unsigned k = 0; k < all[i].nbytes; ++k) found = 31 * found + data[k];
  }
  return found;
}
int main() {
  using namespace tfodl;
  ears_sketch::start(nullptr);
  eyes_sketch::start(nullptr);
  int wrong = 0;
  for (int i = 0; i < 200; ++i) {
    LEARN(ears, i % 3);
    LEARN(eyes, i % 2);
    wrong += ears_sketch::save_all() != StoreStatus::kOk;
    wrong += eyes_sketch::save_all() != StoreStatus::kOk;
    const unsigned heard = SUM(ears), seen = SUM(eyes);
    ears::reset();
    eyes::reset();
    wrong += ears_sketch::open_saved() != StoreStatus::kOk || SUM(ears) != heard;
    wrong += eyes_sketch::open_saved() != StoreStatus::kOk || SUM(eyes) != seen;
  }
  printf("wrong %d\\n", wrong);
}
"""


@pytest.fixture(scope="module")
def engines():
    plan = UpdatePlan((LayerUpdate("#3", "out", (0, 2), "all"),))
    return [
        compile_model(residual_net(seed), replace(plan, store_bytes=4096 * pages), name=name)
        for seed, (name, pages) in enumerate(PAGES.items())
    ]


def build(folders, tmp_path, *flags):
    """The sketch of both, for this computer; what the compiler said."""
    (tmp_path / "main.cpp").write_text(PROGRAM)
    first, second = (folder / "src" for folder in folders)
    sources = [*first.rglob("*.cpp"), *second.glob("*.cpp"), tmp_path / "main.cpp"]
    command = ["g++", "-std=c++14", "-O1", "-DTFODL_HOST", f"-I{first}", f"-I{second}", *flags]
    command += [*map(str, sources), "-o", str(tmp_path / "program")]
    return subprocess.run(command, capture_output=True, text=True)


def test_each_finds_its_own_again(engines, tmp_path):
    ears, eyes = engines
    folders = [
        make_sketch(ears, "nano33ble", tmp_path / "ears", form="cmake"),
        make_sketch(eyes, "nano33ble", tmp_path / "eyes", form="cmake", beside=[ears]),
    ]
    built = build(folders, tmp_path)
    assert built.returncode == 0, built.stderr[-2000:]
    said = subprocess.run([tmp_path / "program"], check=True, capture_output=True, text=True).stdout
    assert said == "wrong 0\n"


def test_the_same_flash_does_not_compile(engines, tmp_path):
    folders = [make_sketch(e, "nano33ble", tmp_path / e.name, form="cmake") for e in engines]
    built = build(folders, tmp_path, "-fsyntax-only")
    assert built.returncode and "keep what they learned in the same flash" in built.stderr


def test_a_third_lies_before_both(engines, tmp_path):
    third = replace(engines[0], name="nose")
    texts = []
    for engine, beside in ((engines[0], ()), (engines[1], engines[:1]), (third, engines)):
        out = make_sketch(engine, "pico", tmp_path / f"{engine.name}.zip", beside=beside)
        texts.append(ZipFile(out).read(f"TFODL_{engine.name}/src/TFODL_{engine.name}.h").decode())
    assert ["pause_of_flash, 0);" in texts[0], "pause_of_flash, 16);" in texts[1]] == [True, True]
    assert "pause_of_flash, 20);" in texts[2] and "#define TFODL_AREAS_END 36" in texts[2]


def test_all_areas_count(engines, tmp_path, monkeypatch):
    """In the flash of a board, and in the partition of an ESP32."""
    ears, eyes = engines
    out = make_sketch(eyes, "esp32", tmp_path / "x.zip", beside=[ears])
    table = next(name for name in ZipFile(out).namelist() if name.endswith("partitions.csv"))
    assert f"0x290000, {4096 * 20:#x}" in ZipFile(out).read(table).decode()
    room = 4096 * 4 + 60_000
    monkeypatch.setitem(BOARDS, "small", replace(board("nano33ble"), flash_bytes=room))
    assert make_sketch(eyes, "small", tmp_path / "y.zip").is_file()
    with pytest.raises(ExportError, match="does not fit .*flash"):
        make_sketch(eyes, "small", tmp_path / "z.zip", beside=[ears])


@pytest.mark.parametrize(
    "name, said",
    [("giga", "four sectors for what one engine learned"), ("nano33ble_zephyr", "constants of one engine")],
)
def test_a_board_with_one_place(engines, tmp_path, name, said):
    with pytest.raises(ExportError, match=said):
        make_sketch(engines[1], name, tmp_path / "x.zip", beside=engines[:1])
    assert not list(tmp_path.iterdir())


def test_the_command(engines, tmp_path, capsys):
    ears, eyes = (str(engine.save(tmp_path / engine.name)) for engine in engines)
    out = tmp_path / "x.zip"
    assert main(["sketch", eyes, "--beside", ears, "--out", str(out)]) == 0
    assert b"pause_of_flash, 16);" in ZipFile(out).read("TFODL_eyes/src/TFODL_eyes.h")
    capsys.readouterr()
    for beside, said in ((eyes, "called 'eyes'"), (str(tmp_path), "does not hold a compiled engine")):
        assert main(["sketch", eyes, "--beside", beside, "--out", str(tmp_path / "y.zip")]) == 2
        assert said in capsys.readouterr().err and not Path(tmp_path / "y.zip").exists()
