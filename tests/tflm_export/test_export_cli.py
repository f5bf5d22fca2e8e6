"""`tflm-export` from the shell: what it writes, and one line and status 2 for everything that is wrong."""

import json
import os
import re
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from nets import residual_net
from task_nets import dense_net
from tflite_file import O, T, build

from tflm_export import cli
from tflm_export.companion import write_companion
from tflm_export.front.read_tflite import read_tflite
from tflm_export.input_contract import InputContract
from tflm_export.machines.host_store import StoreEngine
from tflm_export.plan import LayerUpdate, UpdatePlan
from tflm_export.signal_contract import SignalContract

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A model and its plan in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    Path("m.tflite").write_bytes(residual_net())
    UpdatePlan(layers=(LayerUpdate("#3", "out", (0, 2), "all"),)).save("p.json")
    return tmp_path


def fails(capsys, *arguments):
    """Run in this process: exit status 2, one line on stderr, nothing on stdout; the line."""
    before = sorted(Path().rglob("*"))
    try:
        status = cli.main([str(a) for a in arguments])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.count("\n") == 1 and err.startswith("tflm-export") and "Traceback" not in err, err
    assert sorted(Path().rglob("*")) == before, "something was left behind"
    return err


COMPILE = ("compile", "m.tflite", "--plan", "p.json", "--out", "engine")


def test_compile_verify_sketch(files, capsys):
    assert cli.main(COMPILE) == 0
    assert "parameters learn" in capsys.readouterr().out
    assert json.loads(Path("engine/engine.json").read_text())["trained_parameters"] == 70
    assert cli.main(["verify", "engine", "--count", "8", "--steps", "4"]) == 0
    assert "all right" in capsys.readouterr().out
    assert cli.main(["sketch", "engine", "--board", "nano33ble", "--out", "x.zip"]) == 0
    assert "TFODL_engine/src/engine.h" in zipfile.ZipFile("x.zip").namelist()
    assert cli.main(COMPILE) == 0  # an engine may be replaced


def test_without_a_plan_the_head_learns(files, capsys):
    assert cli.main(["compile", "m.tflite", "--out", "engine"]) == 0
    assert "52 parameters learn" in capsys.readouterr().out
    assert UpdatePlan.load("engine/plan.json") == UpdatePlan(head=True)


def test_the_loss_is_the_tasks(files, capsys):
    """Of the companion, unless the plan or --loss says otherwise; each says whose it is."""
    Path("m.tflite").write_bytes(dense_net(6, 5, 6))
    without = ["compile", "m.tflite", "--out", "engine"]
    for loss in ("mse", "crossentropy", None):
        write_companion("m.tflite", SignalContract((6,)), loss)
        assert cli.main(without) == 0
        said = capsys.readouterr().out
        assert (f"gradients of {loss}, as m.tflite.json says" in said) == (loss is not None)
        assert ("the model's end has it (--loss)" in said) == (loss is None)
        assert cli.main([*without, "--loss", "crossentropy"]) == 0
        assert "of crossentropy, as --loss says" in capsys.readouterr().out
    UpdatePlan(head=True, loss="mse").save("plan.json")
    assert cli.main([*without, "--plan", "plan.json"]) == 0
    assert "of mse, as the plan says" in capsys.readouterr().out
    text = Path("m.tflite.json").read_text()
    Path("m.tflite.json").write_text(text.replace('"input"', '"loss": "hinge", "input"'))
    assert "has loss 'hinge'; allowed: crossentropy, bce, mse" in fails(capsys, *without)


def test_a_spare_class_is_not_dead(files, capsys):
    assert cli.main([*COMPILE, "--spare-classes", "1", "--memory", "8"]) == 0
    assert "dead" not in capsys.readouterr().out


def test_how_pictures_are_taken(files, capsys):
    cli.main([*COMPILE])
    assert "input: int8 values; --input says" in capsys.readouterr().out
    cli.main([*COMPILE, "--input", "0..1"])
    assert "input: 8x8x3 rgb, pixels as 0..1 (--input)" in capsys.readouterr().out
    write_companion("m.tflite", InputContract((8, 8, 3), source="told"))
    cli.main([*COMPILE])
    assert "input: 8x8x3 rgb, pixels as -1..1 (told)" in capsys.readouterr().out
    np.save("x.npy", np.full((2, 8, 8, 3), 200, np.uint8))
    assert cli.main(["verify", "engine", "--inputs", "x.npy", "--count", "2", "--steps", "1"]) == 0
    capsys.readouterr()
    Path("m.tflite").write_bytes(residual_net(seed=1))
    assert "another 'm.tflite'" in fails(capsys, *COMPILE)


def test_verify_takes_inputs(files, capsys):
    cli.main(COMPILE)
    np.save("x.npy", np.zeros((3, 8, 8, 3), np.int8))
    np.save("y.npy", np.array([0, 1, 3]))
    short = ("--count", "3", "--steps", "3")
    assert cli.main(["verify", "engine", "--inputs", "x.npy", "--targets", "y.npy", *short]) == 0
    capsys.readouterr()
    np.save("x.npy", np.zeros((3, 8, 8, 3), np.float32))
    assert "expected int8" in fails(capsys, "verify", "engine", "--inputs", "x.npy")
    Path("x.npy").write_text("nonsense")
    assert "'x.npy' is no .npy array" in fails(capsys, "verify", "engine", "--inputs", "x.npy")


def test_verify_says_what_differs(files, capsys):
    cli.main(COMPILE)
    source = Path("engine/src/engine_constants.cpp")
    text = source.read_text()
    at = text.index("bias9[4] TFODL_TABLE = {") + len("bias9[4] TFODL_TABLE = {")
    source.write_text(text[:at] + "70000, " + text[at:].split(",", 1)[1])
    capsys.readouterr()
    assert cli.main(["verify", "engine", "--count", "8", "--steps", "2"]) == 1
    assert "NOT right" in capsys.readouterr().out


def test_patch(files, capsys):
    graph = read_tflite(Path("m.tflite").read_bytes())
    new = np.roll(graph.tensors["head/w"].data, 1)
    np.savez("w.npz", **{"head/w": new})
    assert cli.main(["patch", "m.tflite", "--weights", "w.npz", "--out", "new.tflite"]) == 0
    changed = read_tflite(Path("new.tflite").read_bytes())
    np.testing.assert_array_equal(changed.tensors["head/w"].data, new)
    capsys.readouterr()
    np.savez("w.npz", nope=new)
    assert "'nope' is no constant" in fails(
        capsys, "patch", "m.tflite", "--weights", "w.npz", "--out", "n2.tflite"
    )
    for bad in (b"", b"PK\3\4 broken", b"\x93NUMPY"):
        Path("w.npz").write_bytes(bad)
        message = fails(capsys, "patch", "m.tflite", "--weights", "w.npz", "--out", "n2.tflite")
        assert "is no .npz of arrays" in message
    np.save("w.npy", new)
    assert "is no .npz" in fails(capsys, "patch", "m.tflite", "--weights", "w.npy", "--out", "n2.tflite")


def test_learned(files, capsys):
    assert cli.main([*COMPILE, "--store-bytes", "16384"]) == 0
    engine = StoreEngine("engine")
    rng = np.random.default_rng(0)
    engine.train_step(rng.integers(-128, 128, (1, 8, 8, 3)).astype(np.int8), 1)
    engine.save()
    Path("area.bin").write_bytes(engine.image)
    assert cli.main(["learned", "engine", "--store", "area.bin", "--out", "new.tflite"]) == 0
    learned = read_tflite(Path("new.tflite").read_bytes())
    for name, weights in engine.weights().items():
        np.testing.assert_array_equal(learned.constant(name), weights)
    capsys.readouterr()
    assert "must be 0 or 4 to 64 pages" in fails(capsys, *COMPILE, "--store-bytes", "5000")
    for data, why in ((b"", "0 bytes"), (bytes(16384), "no log"), (engine.image[:-4096], "whole pages")):
        Path("area.bin").write_bytes(data)
        assert why in fails(capsys, "learned", "engine", "--store", "area.bin", "--out", "n2.tflite")


def custom_model():
    return build([T("x", (1, 4)), T("block_3/dw", (1, 4))], [O("Blur", ["x"], [1])], ["x"], [1])


BAD_MODELS = {
    "truncated": (residual_net()[:900], "not a valid .tflite|lies outside the file"),
    "empty": (b"", "not a .tflite file"),
    "text": (b"hello, this is no model at all", "not a .tflite file"),
    "flipped": (bytes([residual_net()[0] ^ 0x80]) + residual_net()[1:], "not a valid .tflite"),
    "unknown op": (custom_model(), r"CUSTOM Blur '#0' \(output 'block_3/dw'\): not supported. Replace"),
}


@pytest.mark.parametrize("data, message", BAD_MODELS.values(), ids=BAD_MODELS.keys())
def test_bad_models(files, capsys, data, message):
    Path("m.tflite").write_bytes(data)
    assert re.search(message, fails(capsys, *COMPILE))


BAD_PLANS = {
    "no json": ("{", "not JSON"),
    "unknown field": ('{"layers": [], "speed": 3}', "unknown field"),
    "missing layer": ('{"layers": [{"name": "conv_99", "channels": [0]}]}', "conv_99"),
    "missing channel": ('{"layers": [{"name": "#3", "channels": [6]}]}', "6"),
    "another model": ('{"layers": [], "provenance": {"model_sha256": "00"}}', "SHA-256"),
}


@pytest.mark.parametrize("text, message", BAD_PLANS.values(), ids=BAD_PLANS.keys())
def test_bad_plans(files, capsys, text, message):
    Path("p.json").write_text(text)
    assert message in fails(capsys, *COMPILE)


BAD_COMMANDS = {
    "no command": ((), "COMMAND"),
    "unknown command": (("fly",), "invalid choice"),
    "no scaling": ((*COMPILE, "--input", "loud"), "'loud' is no scaling of 3 channel(s); allowed: -1..1"),
    "another scaling": ((*COMPILE, "--input", "0..255"), "its input holds -0.9961..1.004"),
    "no model": (("compile", "none.tflite", "--plan", "p.json", "--out", "e"), "none.tflite: No such file"),
    "model is a folder": (("compile", ".", "--plan", "p.json", "--out", "e"), "directory"),
    "no plan file": (("compile", "m.tflite", "--plan", "none.json", "--out", "e"), "none.json"),
    "bad name": ((*COMPILE, "--name", "my engine"), "my engine"),
    "no engine": (("verify", "nothing"), "does not hold a compiled engine"),
    "no engine to report": (("report", "."), "does not hold a compiled engine"),
    "no picture": (("report", ".", "--picture", "x.txt"), "allowed: .png, .svg, .pdf"),
    "no engine to sketch": (("sketch", "nothing", "--out", "x.zip"), "does not hold a compiled engine"),
    "unknown board": (("sketch", "nothing", "--board", "uno", "--out", "x.zip"), "board 'uno' is not known"),
    "count": (("verify", "engine", "--count", "-3"), "not a whole number"),
    "out is another folder": (
        ("compile", "m.tflite", "--plan", "p.json", "--out", "."),
        "not a compiled engine",
    ),
    "out is a file": (("compile", "m.tflite", "--plan", "p.json", "--out", "p.json"), "p.json"),
    "out below a file": (("compile", "m.tflite", "--plan", "p.json", "--out", "p.json/e"), "p.json"),
    "unwritable": (("compile", "m.tflite", "--plan", "p.json", "--out", "/proc/none/e"), "/proc/none"),
    "patch unwritable": (("patch", "m.tflite", "--weights", "w.npz", "--out", "/proc/none/e"), "w.npz"),
}


@pytest.mark.parametrize("arguments, message", BAD_COMMANDS.values(), ids=BAD_COMMANDS.keys())
def test_bad_commands(files, capsys, arguments, message):
    assert message in fails(capsys, *arguments)


def shell(*arguments, **options):
    """Run as a program of its own."""
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "tflm_export.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, **options)


def limit_file_size():
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))


def test_a_full_disk(files):
    before = sorted(files.rglob("*"))
    done = shell(*COMPILE, preexec_fn=limit_file_size)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "cannot write 'engine'" in done.stderr, done.stderr
    assert sorted(files.rglob("*")) == before


def test_it_starts_at_once(files):
    """What takes long to load waits until it is asked for."""
    assert shell("--version").returncode == 0
    modules = "import sys, tflm_export.cli; tflm_export.cli.parser(); print('numpy' in sys.modules)"
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    lazy = subprocess.run([sys.executable, "-c", modules], capture_output=True, text=True, env=environment)
    assert lazy.stdout.strip() == "False"


def test_a_model_without_a_head_infers(files, capsys):
    """Without a plan nothing learns there, and it is said; who asks for learning is refused."""
    tensors = [T("x", (1, 8)), T("y", (1, 8))]
    Path("relu.tflite").write_bytes(build(tensors, [O("RELU", ["x"], ["y"])], ["x"], ["y"]))
    assert cli.main(["compile", "relu.tflite", "--out", "engine"]) == 0
    assert "for inference only\nwhy: update plan: head is true, but" in capsys.readouterr().out
    fails(capsys, "compile", "relu.tflite", "--loss", "crossentropy", "--out", "other")
