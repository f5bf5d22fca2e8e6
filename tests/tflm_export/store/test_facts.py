"""What the report says of a store, against what it does."""

import dataclasses

import numpy as np
from nets import residual_net

from tflm_export.compiler import compile_model
from tflm_export.library import library_root
from tflm_export.machines.emulator import ARDUINO_FLAGS, build
from tflm_export.machines.host_store import StoreEngine
from tflm_export.machines.measure import measure
from tflm_export.plan import LayerUpdate, Memory, Optimizer, UpdatePlan
from tflm_export.report.lasting_section import lasting_section
from tflm_export.report.report import make_report
from tflm_export.report.verify import samples
from tflm_export.store.facts import CODE_BYTES, ERASES, STORE_RAM_BYTES, store_facts

PLAN = UpdatePlan(
    (LayerUpdate("#3", "out", (0, 2), "all"),), optimizer=Optimizer(momentum=0.9), store_bytes=4 * 4096
)


def test_saves_that_cannot_be_packed_last_as_long_as_it_says():
    compiled = compile_model(residual_net(), PLAN)
    engine, rng = StoreEngine(compiled), np.random.default_rng(0)
    facts = store_facts(compiled.graph, PLAN)
    weights = engine.weights()
    for _ in range(200):
        noise = {n: rng.integers(-(2**31), 2**31, a.shape).astype(a.dtype) for n, a in weights.items()}
        engine.load_weights(noise)
        engine.save()
    assert 4 * ERASES / (engine.pages_opened / 200) >= facts["saves"] > 0


def test_an_area_too_small_is_told():
    graph = compile_model(residual_net(), PLAN).graph
    big = dataclasses.replace(PLAN, store_bytes=16 * 4096)
    assert store_facts(graph, big)["saves"] > store_facts(graph, PLAN)["saves"]


def test_the_report_has_a_row():
    compiled = compile_model(residual_net(), PLAN)
    xs, ts = samples(compiled, None, None, 0)
    measured = measure(compiled, xs[:1], ts[:1])
    report = make_report(compiled, measured)
    assert report.facts["store"]["records"] == 10
    assert (
        "| store, beside all this | 16,384 B of flash (lasts 40,000 saves of everything)" in report.to_text()
    )
    plan = dataclasses.replace(PLAN, memory=Memory(samples=4, where="flash"), store_bytes=8 * 4096)
    remembering = make_report(compile_model(residual_net(), plan), measured)
    held = remembering.facts["store"]["samples"]
    assert f"| samples in it | 4 of {held['bytes']} B; 4 may be replaced" in remembering.to_text()
    assert f"it takes {held['lasts']:,} samples" in str(lasting_section(remembering.facts).body[0])
    plain = make_report(compile_model(residual_net(), dataclasses.replace(PLAN, store_bytes=0)), measured)
    assert "store" not in plain.facts
    assert "| store" not in plain.to_text()


def test_the_code_is_as_small_as_it_says(tmp_path):
    main = """
#include "board.h"
int store_all();
int main() { return store_all(); }
"""
    caller = tmp_path / "caller.cpp"
    caller.write_text("""
#include "tfodl/store/kept.h"
uint8_t memory[16384];
int32_t data[40];
uint16_t where[1];
extern const uint16_t first[] = {0, 1};
const tfodl::StoreLayout layout = {{1}, first, 1};
const tfodl::Kept kept = {data, nullptr, nullptr, nullptr, 40, 1, 1, 4, 4};
int store_all() {
  tfodl::MemoryFlash flash(memory, 4096, 4);
  tfodl::Store store(flash, layout, where);
  store.tidy();
  data[3] = 5;
  return static_cast<int>(store.format()) + static_cast<int>(tfodl::save_kept(store, &kept, 1)) +
         static_cast<int>(tfodl::restore_kept(store, &kept, 1)) + (data[3] != 5);
}
""")
    src = library_root() / "src"
    sources = [
        caller,
        *sorted((src / "tfodl" / "store").glob("*.cpp")),
        src / "tfodl" / "detail" / "crc32.cpp",
    ]
    elf = build(sources, [src], main, tmp_path / "store.elf", ARDUINO_FLAGS)
    assert CODE_BYTES - 1024 < elf.flash_bytes < CODE_BYTES
    assert elf.static_ram_bytes - 16384 - 160 < 64  # nothing but the caller's
    assert STORE_RAM_BYTES == 84
