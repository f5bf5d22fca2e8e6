"""The library on every kind of core: it compiles without a warning, and two engines in one program, one of
int16 and one of float32 gradients, learn the bits of numpy."""

from __future__ import annotations

import subprocess
from pathlib import Path
from string import Template

import numpy as np
import pytest
from cores import CLANG_M4, CORES, STRICT, compile_all, in_section, needed
from nets import gated_net, residual_net

from tflm_export.compiler import Compiled, compile_model
from tflm_export.files import replace_folder
from tflm_export.machines.emulator import link, run
from tflm_export.machines.emulator.toolchain import SUPPORT
from tflm_export.machines.host import HostEngine
from tflm_export.machines.measure import stored_weights
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.simulate.step import Simulator
from tflm_export.variable import variables

STEPS = 4
IN_TABLES = '-DTFODL_TABLE=__attribute__((section(".tables")))'
DOUBLES = set(
    ["f2d", "d2f", "i2d", "ui2d", "l2d", "dadd", "dsub", "dmul", "ddiv", "f2lz", "f2ulz", "d2lz", "d2iz"]
)
LIBGCC_DOUBLES = {"__adddf3", "__muldf3", "__extendsfdf2", "__fixsfdi", "__fixunssfdi", "__floatdidf"}
ROWS = (("#1", (0, 2)), ("#2", (1,)), ("#3", (0, 3)))
ENGINES = {
    "faces": (
        residual_net,
        UpdatePlan(tuple(LayerUpdate(op, "out", n, "selected") for op, n in ROWS), optimizer=Optimizer(0.05)),
        "int16",
    ),
    "gates": (
        gated_net,
        UpdatePlan((LayerUpdate("#2", "out", (0, 5), "selected"), LayerUpdate("#5", "in", (0, 3), "all")),
                   optimizer=Optimizer(0.05)),
        "float32",
    ),
}  # fmt: skip
LEARN = Template("""
void learn_$name() {
  static int8_t samples[$steps * $name::kInputBytes];
  board_read("$name.bin", samples, sizeof samples);
  float losses[$steps];
  for (int32_t i = 0; i < $steps; ++i) {
    memcpy($name::input(), samples + i * $name::kInputBytes, $name::kInputBytes);
    losses[i] = $name::train_step(i % 3);
  }
  static uint8_t all[65536];
  uint32_t at = 0;
  for (int32_t i = 0; i < $name::kParameters; ++i) {
    memcpy(all + at, $name::parameters()[i].data, $name::parameters()[i].nbytes);
    at += $name::parameters()[i].nbytes;
  }
  board_write("${name}_weights.bin", all, at);
  board_write("${name}_losses.bin", losses, sizeof losses);
}
""")


@pytest.fixture(scope="module")
def engines() -> dict[str, Compiled]:
    return {
        name: compile_model(make(), plan, name=name, gradients=gradients)
        for name, (make, plan, gradients) in ENGINES.items()
    }


@pytest.fixture(scope="module")
def source(engines: dict[str, Compiled], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both engines and one library in one folder, and a program that runs them."""
    files = {path: text for engine in engines.values() for path, text in engine.files().items()}
    folder = replace_folder(tmp_path_factory.mktemp("cores") / "sources", files) / "src"
    parts = [LEARN.substitute(name=name, steps=STEPS) for name in engines]
    heads = ["#include <string.h>", '#include "board.h"', *(f'#include "{name}.h"' for name in engines)]
    calls = " ".join(f"learn_{name}();" for name in engines)
    (folder / "main.cpp").write_text("\n".join([*heads, *parts, f"int main() {{ {calls} return 0; }}\n"]))
    return folder


@pytest.fixture(scope="module")
def learned(engines: dict[str, Compiled]) -> dict[str, tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
    """Inputs int8, the host's losses and numpy's weights after a step on each, by engine."""
    rng, found = np.random.default_rng(7), {}
    for name, engine in engines.items():
        x = rng.integers(-128, 128, (STEPS, *engine.input.shape), np.int8)
        host, simulator = HostEngine(engine), Simulator(engine.graph, engine.plan)
        losses = np.float32([host.train_step(row, i % 3) for i, row in enumerate(x)])
        for i, row in enumerate(x):
            assert simulator.train_step(row, i % 3) == pytest.approx(losses[i], rel=1e-4, abs=3e-5)
        found[name] = x, losses, simulator.weights
        assert all((w != engine.graph.constant(n)).any() for n, w in simulator.weights.items() if w.ndim > 1)
    return found


@pytest.mark.parametrize("name", CORES)
def test_compiles_and_learns_the_same_bits(name, source, engines, learned, tmp_path):
    core = CORES[name]
    files = [path for path in sorted(source.rglob("*.cpp")) if "_tflm" not in path.name]
    objects = compile_all(core, files, [source, SUPPORT], tmp_path / "objects", ("-O0", IN_TABLES))
    doubles = {f"__aeabi_{what}" for what in DOUBLES} | LIBGCC_DOUBLES
    assert not needed(core, objects) & (doubles | {"malloc", "_Znwj"})
    elf = link(objects, tmp_path / "program.elf", STRICT, core.roomy, core)
    tables = {symbol for symbol in in_section(core, elf.path, ".tables") if "9constants" in symbol}
    assert len(tables) > 40 and not {s for s in in_section(core, elf.path, ".text") if "9constants" in s}
    result = run(elf, {f"{n}.bin": x.tobytes() for n, (x, _, _) in learned.items()}, core=core)
    for n, (_, losses, weights) in learned.items():
        np.testing.assert_array_equal(np.frombuffer(result.files[f"{n}_losses.bin"], np.float32), losses, n)
        found = stored_weights(engines[n].graph, result.files[f"{n}_weights.bin"])
        for variable in variables(engines[n].graph):
            wanted = variable.take(weights[variable.tensor]).reshape(-1)
            np.testing.assert_array_equal(found[variable.tensor], wanted, f"{n} {variable.tensor}")


def test_clang_assembles_what_is_written_for_the_dsp_extension(source, tmp_path):
    files = sorted((source / "tfodl" / "dsp").glob("*.cpp"))
    assert len(compile_all(CLANG_M4, files, [source], tmp_path, ("-O1",))) == len(files) > 10


def test_a_board_of_8_bits_is_refused_in_words(source, tmp_path):
    sketch = tmp_path / "sketch.cpp"
    sketch.write_text('#include "tfodl/kernels.h"\n')
    command = ["g++", "-fsyntax-only", "-D__AVR__", f"-I{source}", str(sketch)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    first = next(line for line in done.stderr.splitlines() if "error" in line)
    assert "needs a 32-bit board" in first and "AVR" in first and done.stderr.count("error:") == 1
