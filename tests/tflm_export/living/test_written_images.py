"""What a host writes into an engine that chooses what learns: a first epoch with it, or nothing."""

import zlib
from dataclasses import replace
from pathlib import Path

import nets
import numpy as np
import pytest
from serial_board import raw_tensors
from test_choosing import (
    EVERYTHING,
    HEAVY,
    LARGE,
    SMALL,
    VELOCITY,
    WIDE,
    assert_equal,
    learn,
    pictures,
    wide_net,
)
from test_columns import INPUTS

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.spare import add_spare_classes
from tflm_export.front.write_tflite import patch_constants
from tflm_export.living.choosing import ChoosingSimulator
from tflm_export.living.image import image_layout, read_image, written_tensors
from tflm_export.machines.choosing_host import ChoosingEngine
from tflm_export.machines.emulator import ARDUINO_FLAGS, ROOMY, build, run
from tflm_export.variable import numbered

BOARD = Path(__file__).parents[2] / "cpp" / "push_board.cpp"
PLANS = {
    "velocity": replace(SMALL, optimizer=HEAVY, pool=replace(VELOCITY, epoch=4, bytes=700)),
    "inputs": replace(SMALL, pool=replace(INPUTS, rule="top_layers_random", top=0.6)),
}


def learned(compiled, count, seed=0):
    """An engine that ended some epochs, the last one just now."""
    engine = ChoosingEngine(compiled)
    learn([engine], *pictures(compiled.graph, count, seed))
    engine.new_epoch()
    return engine


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_it_is_the_first_epoch_of_an_engine_of_that_model(plan):
    """Whatever the board learned before; in RAM, and from its flash after a restart."""
    compiled = compile_model(nets.residual_net(), plan)
    weights = learned(compiled, 14).weights()
    engine = learned(compiled, 9, seed=1)
    engine.load_weights(weights)
    flashed = compile_model(patch_constants(compiled.tflite, weights), plan)
    restarted, simulator = (
        ChoosingEngine(compiled, engine.image),
        ChoosingSimulator(flashed.graph, flashed.plan),
    )
    moved = [name for name, array in weights.items() if (array != compiled.graph.constant(name)).any()]
    assert len(moved) > 4
    xs, ys = pictures(compiled.graph, 18, seed=2)
    learn([engine, simulator], xs, ys)
    learn([restarted], xs, ys)
    assert_equal(engine, simulator)
    assert_equal(restarted, simulator)
    assert len(engine.history) > 4


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_the_cortex_m4_takes_them_too(plan, tmp_path):
    """Pieces backwards, each twice, over images of another past; no word is written twice."""
    compiled = compile_model(nets.residual_net(), replace(plan, pool=replace(plan.pool, epoch=None)))
    weights, engine = learned(compiled, 14).weights(), learned(compiled, 9, seed=1)
    raw = b"".join(raw_tensors(compiled, weights))
    xs, ys = pictures(compiled.graph, 6, seed=2)
    samples = b"".join(x.tobytes() + y.to_bytes(4, "little") for x, y in zip(xs, ys, strict=True))
    files = {"area.bin": engine.image, "weights.bin": raw, "samples.bin": samples}
    source = compiled.save(tmp_path / "engine") / "src"
    main = BOARD.read_text()
    elf = build(sorted(source.rglob("*.cpp")), [source], main, tmp_path / "m4.elf", ARDUINO_FLAGS, ROOMY)
    found = run(elf, files | {"crc.bin": zlib.crc32(raw).to_bytes(4, "little")})
    said = [found.number(name) for name in ("open", "begin", "refused", "wrong end", "end", "new_epoch")]
    assert said == [0, 0, 0, 7, 0, 0] and found.number("twice") == 0
    engine.load_weights(weights)
    learn([engine], xs, ys)
    engine.new_epoch()
    on_board, here = (
        read_image(area, compiled.graph, compiled.plan) for area in (found.files["area.bin"], engine.image)
    )
    assert on_board.selection == here.selection
    for name, array in here.weights.items():
        np.testing.assert_array_equal(on_board.weights[name], array, err_msg=name)


@pytest.mark.parametrize(
    "pool", [replace(LARGE.pool, bytes=3500), replace(WIDE.pool, axis="in")], ids=["velocity", "inputs"]
)
def test_a_power_cut_anywhere_leaves_the_old_state_or_the_new(pool):
    """Cuts before every operation of a whole write, half of the cut operation done."""
    plan = replace(WIDE, pool=pool)
    compiled = compile_model(wide_net(), plan)
    weights, start = learned(compiled, 20).weights(), learned(compiled, 9, seed=1)
    before = read_image(start.image, compiled.graph, plan)
    engine = ChoosingEngine(compiled)

    def write(cut):
        engine.cut_power_after(-1)
        engine.open(start.image)
        done = engine.operations
        engine.cut_power_after(cut)
        try:
            engine.load_weights(weights)
        except ExportError:
            assert cut >= 0
        return engine.operations - done

    operations = write(-1)
    after = read_image(engine.image, compiled.graph, plan)
    assert operations > 50 and after.selection.epoch == 0
    old = 0
    for cut in range(operations + 2):
        write(cut)
        engine.cut_power_after(-1)
        engine.open(engine.image)
        old += engine.selection() == before.selection
        expected = before if engine.selection() == before.selection else after
        assert engine.selection() == expected.selection
        for name, array in engine.weights().items():
            np.testing.assert_array_equal(array, expected.weights[name], err_msg=f"{cut} {name}")
        engine.load_weights(weights)  # over what the cut left
        assert read_image(engine.image, compiled.graph, plan).selection == after.selection
    assert old > operations - 2 and expected is after


def test_what_a_host_writes_is_where_an_image_has_it():
    """Every trained tensor once, none over another, nor over what else is in an image."""
    for plan in (*PLANS.values(), EVERYTHING):
        compiled = compile_model(add_spare_classes(nets.residual_net(), 2), replace(plan, spare_classes=2))
        layout, parts = (
            image_layout(compiled.graph, compiled.plan),
            written_tensors(compiled.graph, compiled.plan),
        )
        others = [part for part in layout.parts if part.variable is None]
        spans = sorted((part.at, part.at + part.nbytes) for part in (*parts, *others))
        assert all(end <= at for (_, end), (at, _) in zip(spans, spans[1:], strict=False))
        assert {part.symbol for part in parts} == {v.tensor for v in numbered(compiled.graph)}
        assert all(part.at % 4 == 0 for part in parts)


def test_a_worn_page_is_seen_and_the_old_state_goes_on():
    """Flash that takes nothing: the write is refused, and nothing is lost."""
    compiled = compile_model(nets.residual_net(), PLANS["velocity"])
    engine, weights = learned(compiled, 9), learned(compiled, 14).weights()
    before = engine.weights()
    engine.cut_power_after(0)
    with pytest.raises(ExportError, match="load_weights: the flash does not hold what was written"):
        engine.load_weights(weights)
    engine.cut_power_after(-1)
    for name, array in engine.weights().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    engine.new_epoch()
    engine.open(engine.image)
    for name, array in engine.weights().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_an_area_of_another_engine_is_not_written_to():
    compiled = compile_model(nets.residual_net(), PLANS["velocity"])
    other = learned(compile_model(nets.residual_net(), replace(PLANS["velocity"], seed=6)), 5)
    engine = ChoosingEngine(compiled)
    with pytest.raises(ExportError, match="another engine"):
        engine.open(other.image)
    with pytest.raises(
        ExportError, match="load_weights: the area holds the log of another engine; format it"
    ):
        engine.load_weights({})
    assert engine.image == other.image
    engine.format()
    engine.load_weights(other.weights())
    found = read_image(engine.image, compiled.graph, compiled.plan)
    assert all((array == found.weights[name]).all() for name, array in other.weights().items())
