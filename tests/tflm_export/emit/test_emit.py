"""The emitted text: a golden engine of a small net, names, and refusals.

After a wanted change: `UPDATE_GOLDEN=1 pytest tests/tflm_export/emit/test_emit.py`, then read the difference.
"""

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras_nets as models
import nets
import numpy as np
import pytest
from streams import longest_chains

from tflm_export.compiler import compile_model, plan_memory
from tflm_export.cpp import definition, literal
from tflm_export.emit import emit
from tflm_export.emit.names import TAKEN, display, identifier
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError, TfodlError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.gradients.training_graph import training_graph
from tflm_export.plan import Guard, LayerUpdate, Memory, Optimizer, UpdatePlan
from tflm_export.pool import Pool

GOLDEN = Path(__file__).parents[2] / "golden"
PLAN = UpdatePlan(
    (LayerUpdate("#3", "in", (0, 2), "all"), LayerUpdate("#2", "out", (1,), "selected")),
    optimizer=Optimizer(0.01, momentum=0.5, rounding="accumulator"),
    seed=7,
)


GOLDENS = {
    "small": lambda: compile_model(nets.residual_net(), PLAN, name="small"),
    "small_f32": lambda: compile_model(nets.residual_net(), PLAN, name="small_f32", gradients="float32"),
    "inference": lambda: compile_model(nets.residual_net(), UpdatePlan(head=False), name="inference"),
    "mse": lambda: compile_model(nets.residual_net(softmax=False), UpdatePlan(loss="mse"), name="mse"),
    "stream": lambda: streamed(nets.residual_net(), PLAN, "stream"),
}


def streamed(tflite: bytes, plan: UpdatePlan, name: str):
    """An engine whose chains are streamed though the net is small."""
    graph = longest_chains(training_graph(simplify(read_tflite(tflite)), plan))
    sources = emit(graph, plan_memory(graph, plan), plan, name)
    return SimpleNamespace(sources={f"src/{path}": text for path, text in sources.items()})


@pytest.fixture(scope="module")
def compiled():
    return GOLDENS["small"]()


@pytest.mark.parametrize("name", GOLDENS)
def test_golden(name):
    compiled = GOLDENS[name]()
    files = [f"{name}{ending}" for ending in (".h", ".cpp", "_constants.h", "_constants.cpp")]
    for file in files if name == "small" else files[:2]:
        text, path = compiled.sources[f"src/{file}"], GOLDEN / file
        if os.environ.get("UPDATE_GOLDEN"):
            path.write_text(text)
        assert text == path.read_text()


def test_generated_code_has_no_arithmetic_and_no_conditional_compilation(compiled):
    text = compiled.sources["src/small.cpp"]
    assert not re.search(r"#\s*(if|ifdef|define)", text)
    assert "malloc" not in text and "new " not in text
    body = text[text.index("void infer()") : text.index("int32_t predict()")]
    code = re.sub(r"//.*", "", body)
    assert not re.search(r"[-+*/%] ", code.replace("*>", ""))


def test_lines_can_be_read(compiled):
    for path, text in compiled.sources.items():
        if path.startswith("src/small"):
            assert max(map(len, text.splitlines())) <= 120, path


def test_deterministic(compiled):
    again = compile_model(nets.residual_net(), PLAN, name="small")
    assert dict(again.sources) == dict(compiled.sources) and again.facts == compiled.facts


def test_self_contained(compiled, tmp_path):
    folder = compiled.save(tmp_path / "engine")
    assert (folder / "src" / "tfodl" / "kernels.h").is_file()
    assert (folder / "model.tflite").read_bytes() == nets.residual_net()
    assert load(folder).sources == compiled.sources
    compiled.save(folder)  # over itself


LIVING = {
    "memory": {"memory": Memory(9)},
    "guard": {"memory": Memory(9), "guard": Guard(samples=8)},
    "store": {"memory": Memory(9), "store_bytes": 16 * 4096},
    "pool": {"memory": Memory(9), "candidates": ("#1", "#2"), "pool": Pool(200), "layers": ()},
}


@pytest.mark.parametrize("parts", LIVING)
def test_parts_of_an_engine_that_lives_compile_without_a_warning(parts, tmp_path):
    source = (
        compile_model(nets.residual_net(), replace(PLAN, **LIVING[parts])).save(tmp_path / "engine") / "src"
    )
    command = ["g++", "-std=c++14", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{source}"]
    done = subprocess.run([*command, str(source / "engine.cpp")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]


def test_save_replaces_nothing_of_others(compiled, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ExportError, match="is not a compiled engine"):
        compiled.save(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_save_leaves_nothing_half_written(compiled, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TfodlError, match="cannot write .*No space left on device"):
        compiled.save(tmp_path / "engine")
    assert not any(tmp_path.iterdir())


def test_load_of_something_else(tmp_path):
    with pytest.raises(ExportError, match="does not hold a compiled engine"):
        load(tmp_path)


def test_the_model_as_a_c_array(compiled):
    text = compiled.sources["src/small_tflm.cpp"]
    data = bytes(int(word, 16) for word in re.findall(r"0x([0-9a-f]{2})", text))
    assert data == nets.residual_net()


@pytest.mark.parametrize(
    "name",
    [
        "Engine",
        "2d",
        "a-b",
        "tfodl",
        "",
        "class",
        "loop",
        "min",
        "con",
        "uint8_t",
        "wchar_t",
        "gamma",
        "log2",
    ],
)
def test_names_that_cpp_would_not_take(name):
    with pytest.raises(ExportError, match="engine name"):
        identifier(name)


def test_no_name_of_the_c_library_is_taken(tmp_path):
    """Of all that a board's headers hold, what the compiler refuses as a namespace."""
    headers = ("stdio", "stdlib", "string", "strings", "math", "time", "ctype", "wchar", "unistd", "signal")
    text = "#define _GNU_SOURCE\n" + "".join(f"#include <{name}.h>\n" for name in headers)
    (tmp_path / "all.cpp").write_text(text)
    gxx = ["arm-none-eabi-g++", "-mcpu=cortex-m4", "-mthumb", "-std=gnu++14", "-fmax-errors=0"]
    how = {"cwd": tmp_path, "capture_output": True, "text": True}
    seen = subprocess.run([*gxx, "-E", "-dD", "all.cpp"], check=True, **how).stdout
    names = sorted({n for n in re.findall(r"\b[a-z][a-z0-9_]{0,40}\b", seen) if n not in TAKEN})
    (tmp_path / "all.cpp").write_text(text + "".join(f"namespace {name} {{}}\n" for name in names))
    refused = subprocess.run([*gxx, "-fsyntax-only", "all.cpp"], **how).stderr
    lines = {int(n) for n in re.findall(r"^all\.cpp:(\d+):\d+: error", refused, re.M)}
    first = text.count("\n") + 1
    left = [names[line - first] for line in sorted(lines)]
    assert len(names) > 200 and all(name.endswith("_t") for name in left)


def test_text_of_numbers_and_names():
    assert literal("float", 1.0) == "1.0f" and literal("float", 1e-7) == "1e-07f"
    assert float(np.float32(literal("float", 0.1)[:-1])) == float(np.float32(0.1))
    assert literal("int32_t", -(2**31)) == "INT32_MIN" and literal("uint32_t", 5) == "5u"
    assert definition("int8_t", "t", np.array([1, -2])) == "const int8_t t[2] = {\n    1, -2,\n};"
    assert display("a/b;c") == "a/b" and display("x\n\\") == "x__" and len(display("y" * 99)) == 60


def test_an_op_without_a_kernel():
    """Two computed tensors, one broadcast along an axis between others: the reader takes it, no kernel."""
    from tflite_file import O, T, build, fused

    tensors = [
        T("x", (1, 3, 4, 2)),
        T("axes", (1,), "int32", None, data=np.array([2], np.int32)),
        T("m", (1, 3, 1, 2)),
        T("y", (1, 3, 4, 2)),
        T("w", (3, 24), scale=0.1, data=np.ones((3, 24), np.int8)),
        T("z", (1, 3)),
    ]
    ops = [
        O("MEAN", ["x", "axes"], ["m"], {"KeepDims": True}),
        O("MUL", ["x", "m"], ["y"], fused("NONE")),
        O("FULLY_CONNECTED", ["y", "w", ""], ["z"], fused("NONE")),
    ]
    with pytest.raises(ExportError, match="MUL '#1'.*broadcasting .* is not supported; allowed"):
        compile_model(build(tensors, ops, ["x"], ["z"]), UpdatePlan())


def test_mse_and_batch_compile_in_text():
    plan = UpdatePlan((LayerUpdate("#2", "out", (0,)),), head=False, loss="mse", optimizer=Optimizer(batch=4))
    text = compile_model(models.autoencoder(), plan).sources["src/engine.cpp"]
    assert "sgd.apply = (sgd.step + 1) % 4 == 0;" in text and "float train_step(const int8_t* target)" in text
