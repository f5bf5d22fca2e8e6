"""A memory in flash: what numpy does, what a power cut leaves, what the area holds, what is refused."""

import struct
import zlib
from bisect import bisect_left
from dataclasses import replace

import numpy as np
import pytest
from digits_net import LAYERS, digits_net, target_digits
from tflite_file import O, T, fused
from tflite_file import build as build_tflite

from tflm_export.compiler import compile_model, with_spare_classes
from tflm_export.errors import ExportError, TfodlError
from tflm_export.living.memory import Exemplars
from tflm_export.living.simulator import LivingSimulator
from tflm_export.machines.emulator import ARDUINO_FLAGS, build
from tflm_export.machines.keeping_host import KeepingEngine
from tflm_export.machines.sanitize import run_sanitized
from tflm_export.plan import Guard, Memory, Pool, UpdatePlan
from tflm_export.pool_options import PoolOptions
from tflm_export.report.verify import verify
from tflm_export.store.arrays import store_identity, stored_arrays
from tflm_export.store.facts import ERASES, SAMPLES_CODE_BYTES, changes_between_saves, check_area, store_facts
from tflm_export.store.geometry import BANK, BANK_PAGES, RECORD_HEAD
from tflm_export.store.log import read_log
from tflm_export.store.state import read_samples, read_state, read_weights

PAGES = 8
PLAN = UpdatePlan(
    LAYERS, memory=Memory(samples=10, replays=2, where="flash"), store_bytes=PAGES * 4096, seed=3
)
GUARD = Guard(samples=6, held_out=4, every=9)
BALANCED = replace(PLAN.memory, policy="balanced")


def compiled_with(plan=PLAN, spare=0):
    tflite = digits_net()
    if spare:
        tflite, plan = with_spare_classes(tflite, plan, spare)
    return compile_model(tflite, plan)


@pytest.fixture(scope="module")
def rich():
    return compiled_with(replace(PLAN, guard=GUARD, memory=BALANCED), spare=1)


@pytest.fixture(scope="module")
def digits(rich):
    x, labels = target_digits(rich.graph, 80)
    labels = labels.copy()
    labels[20::9] = 10  # a class that is new
    return x, labels.tolist()


def learn(machine, digits, places):
    for i in places:
        machine.train_step(digits[0][i], digits[1][i])
        machine.remember(digits[1][i])


def held(machine):
    """Weights and samples of a simulator."""
    found = {name: value.copy() for name, value in machine.trained().items()}
    for name, memory in (("memory", machine.memory), ("judges", machine.judges)):
        found[f"{name} latents"] = memory.latents[: len(memory)].reshape(len(memory), -1).copy()
        found[f"{name} labels"] = memory.labels[: len(memory)].copy()
        found[f"{name} offered"] = memory.offered.copy()
    return found | {"draws": np.array(machine.memory.draws)}


def stored(engine):
    """The same of an engine, from the image of its flash."""
    graph, plan = engine.compiled.graph, engine.compiled.plan
    state = read_state(engine.image, graph, plan)
    found = read_weights(engine.image, graph, plan)
    for name, prefix in (("memory", ""), ("judges", "judge_")):
        latents, labels = read_samples(engine.image, graph, plan, judges=bool(prefix))
        found |= {f"{name} latents": latents, f"{name} labels": labels}
        found[f"{name} offered"] = state[f"{prefix}offered"]
    return found | {"draws": state["counts"][1]}


def equal(found, expected):
    return found.keys() == expected.keys() and all(
        np.array_equal(value, expected[name]) for name, value in found.items()
    )


@pytest.mark.parametrize("policy", ["reservoir", "balanced"])
def test_board_host_and_numpy_make_the_same_weights(policy):
    memory = replace(PLAN.memory, policy=policy, exemplar_replays=int(policy == "balanced"))
    plan = replace(PLAN, memory=memory, guard=GUARD if policy == "balanced" else None)
    latents = np.random.default_rng(0).integers(-128, 128, (6, 14, 14, 1), np.int8)
    exemplars = Exemplars(latents, np.arange(6)) if memory.exemplar_replays else None
    compiled = compile_model(digits_net(), plan, exemplars=exemplars)
    result = verify(compiled, *target_digits(compiled.graph, 30), count=1, steps=30, board=True, tflm=False)
    assert result.ok and result.board_steps == 30 and not result.board_mismatches, result.summary()


def test_what_was_saved_goes_on_as_if_the_power_had_stayed(rich, digits):
    engine, simulator = KeepingEngine(rich), LivingSimulator(rich.graph, rich.plan)
    for machine in (engine, simulator):
        learn(machine, digits, range(40))
        machine.judge()
    engine.save()
    saved = held(simulator)
    assert equal(stored(engine), saved)
    assert (
        len(saved["memory labels"]) == 10
        and len(saved["judges labels"]) == 6
        and 10 in saved["memory labels"]
    )
    image = engine.image
    learn(engine, digits, range(40, 50))  # lost
    engine.reset()
    assert engine.remembered() == engine.judging() == 0
    again = KeepingEngine(rich, image)
    again.restore()
    assert (again.remembered(), again.judging(), again.classes_in_use) == (10, 6, 11)
    for machine in (again, simulator):
        learn(machine, digits, range(40, 80))
    again.save()
    assert equal(stored(again), held(simulator)) and not equal(stored(again), saved)


def test_a_power_cut_at_any_write_or_erase_leaves_the_last_save_whole(rich, digits):
    engine, simulator = KeepingEngine(rich), LivingSimulator(rich.graph, rich.plan)
    learn(engine, digits, range(20))
    learn(simulator, digits, range(20))
    engine.save()
    image, before, restored, cuts = engine.image, held(simulator), 0, 0
    learn(simulator, digits, range(20, 27))
    after = held(simulator)
    while True:
        engine.reset()
        engine.load_image(image)
        engine.restore()
        engine.cut_power_after(cuts)
        try:
            learn(engine, digits, range(20, 27))
            engine.save()
        except ExportError:
            cuts += 1
            engine.cut_power_after(-1)
            engine.reset()
            engine.load_image(engine.image)
            engine.restore()
            found = stored(engine)
            assert equal(found, before) or equal(found, after), cuts
            restored += equal(found, before)
            engine.save()  # nothing has changed, and what the cut left is gone with the next sample
            assert equal(stored(engine), found)
            continue
        assert equal(stored(engine), after)
        break
    assert cuts > 100 and cuts - 2 <= restored <= cuts
    assert not equal(before, after)


def test_the_smallest_area_holds_what_it_says_for_long():
    pages = next(n for n in range(4, 20) if fits(replace(PLAN, memory=Memory(samples=60, where="flash")), n))
    plan = replace(PLAN, memory=Memory(samples=60, replays=0, where="flash"), store_bytes=pages * 4096)
    compiled = compiled_with(plan)
    changes = changes_between_saves(compiled.graph, plan)
    assert 1 <= changes < 60 and pages > 4
    assert store_facts(compiled.graph, plan)["samples"]["changes"] == changes
    engine, rng, saves = KeepingEngine(compiled), np.random.default_rng(0), 0
    for i in range(3000):
        engine.infer(rng.integers(-128, 128, (1, 14, 14, 1), np.int8))
        saves += engine.must_save()
        if i == 100:
            engine.save()
        engine.remember(int(rng.integers(10)))
    assert saves > 3
    engine.save()
    before = read_samples(engine.image, compiled.graph, plan)
    assert len(before[1]) == engine.remembered() == 60
    engine.restore()
    engine.save()
    np.testing.assert_array_equal(read_samples(engine.image, compiled.graph, plan)[0], before[0])
    with pytest.raises(ExportError, match=rf"give it {pages * 4096}, or remember fewer"):
        compiled_with(replace(plan, store_bytes=(pages - 1) * 4096))


def test_an_stm32h7s_area_holds_as_many_as_are_let_through():
    """The most samples that `check_area` takes, in four sectors of 128 KB, for 3,000 of them."""

    def plan_of(samples):
        memory = Memory(samples=samples, replays=0, where="flash")
        return replace(PLAN, memory=memory, store_bytes=64 * 4096)

    def held_by_a_bank(samples):
        try:
            check_area(compiled_with(plan_of(samples)).graph, plan_of(samples), BANK_PAGES, BANK, "a board")
        except ExportError as error:
            assert "remember fewer" in str(error)
            return False
        return True

    most = bisect_left(range(1000), True, 1, key=lambda n: not held_by_a_bank(n)) - 1
    assert most > 100
    compiled = compiled_with(plan_of(most))
    engine, rng = KeepingEngine(compiled, geometry=BANK), np.random.default_rng(0)
    for _ in range(3000):
        engine.infer(rng.integers(-128, 128, (1, 14, 14, 1), np.int8))
        engine.remember(int(rng.integers(10)))
    engine.save()
    assert engine.pages_opened >= 3 and len(engine.image) == 524_288
    before = read_samples(engine.image, compiled.graph, compiled.plan)
    assert len(before[1]) == engine.remembered() == most
    engine.restore()
    engine.save()
    np.testing.assert_array_equal(read_samples(engine.image, compiled.graph, compiled.plan)[0], before[0])


def fits(plan, pages):
    try:
        compiled_with(replace(plan, store_bytes=pages * 4096))
    except ExportError:
        return False
    return True


def test_the_flash_lasts_as_many_samples_as_it_says():
    compiled = compiled_with(replace(PLAN, memory=Memory(samples=60, replays=0, where="flash")))
    engine, rng = KeepingEngine(compiled), np.random.default_rng(0)
    for i in range(1500):  # every one is kept: the memory is empty again where it is full
        if i % 60 == 0:
            engine.save()
            engine.reset()
        engine.infer(rng.integers(-128, 128, (1, 14, 14, 1), np.int8))
        engine.remember(0)
    lasts = PAGES * ERASES / (engine.pages_opened / 1500)
    assert lasts >= store_facts(compiled.graph, compiled.plan)["samples"]["lasts"] > 0.2 * lasts


def test_latents_of_several_records():
    rng = np.random.default_rng(0)
    tensors = [
        T("x", (1, 1152), scale=0.05, zero=-3),
        T("w", (3, 1152), scale=0.01, data=rng.integers(-20, 20, (3, 1152), np.int8)),
        T("b", (3,), "int32", 5e-4, data=np.zeros(3, np.int32)),
        T("y", (1, 3), scale=0.5, zero=0),
    ]
    tflite = build_tflite(
        tensors, [O("FULLY_CONNECTED", ["x", "w", "b"], ["y"], fused("NONE"))], ["x"], ["y"]
    )
    plan = replace(PLAN, layers=(), guard=GUARD, store_bytes=16 * 4096)
    compiled = compile_model(tflite, plan)
    assert compiled.facts["latent"]["latent_bytes"] == 1152
    engine, simulator = KeepingEngine(compiled), LivingSimulator(compiled.graph, plan)
    samples = rng.integers(-128, 128, (30, 1, 1152), np.int8), [i % 3 for i in range(30)]
    learn(engine, samples, range(20))
    engine.save()
    image = engine.image
    engine = KeepingEngine(compiled, image)
    engine.restore()
    learn(engine, samples, range(20, 30))
    engine.save()
    learn(simulator, samples, range(30))
    assert equal(stored(engine), held(simulator))


def forged(image, offset_of, change):
    """The image with the payload of one record changed, and its checksum right."""
    data = bytearray(image)
    at, size, sequence = offset_of
    payload = change(bytes(data[at + RECORD_HEAD.size : at + RECORD_HEAD.size + size]))
    assert len(payload) == size
    data[at + RECORD_HEAD.size : at + RECORD_HEAD.size + size] = payload
    signed = bytes(data[at : at + RECORD_HEAD.size + size])
    struct.pack_into("<I", data, at + RECORD_HEAD.size + size, zlib.crc32(signed, sequence))
    return bytes(data)


def records_of(image):
    """(key, index, where, payload bytes, the page's sequence) of every record that can be read."""
    for page in range(len(image) // 4096):
        sequence, at = struct.unpack_from("<I", image, page * 4096 + 12)[0], page * 4096 + 28
        while True:
            size, kind, _, key, index = RECORD_HEAD.unpack_from(image, at)
            if kind not in (0xD1, 0xC3) or at + size + 12 > (page + 1) * 4096:
                break
            if kind == 0xD1 and size:
                yield key, index, (at, size, sequence)
            at += -(-(12 + size) // 4) * 4


def test_forged_states_crash_nothing(rich, digits):
    flags = ("-O1", "-std=c++14", "-fPIC", "-fsanitize=undefined", "-fno-sanitize-recover=all")
    engine = KeepingEngine(rich, flags=flags)
    learn(engine, digits, range(30))
    engine.save()
    image, rng, refused = engine.image, np.random.default_rng(0), 0
    records = [r for r in records_of(image) if r[2][1] <= 600]
    keys = len(store_keys(rich))
    memory = [r for r in records if keys - 8 <= r[0] < keys]
    assert len(memory) >= 6
    for _ in range(150):
        _, _, where = memory[rng.integers(len(memory))]
        noise = bytes([255 if rng.random() < 0.5 else int(rng.integers(20))])
        hostile = forged(image, where, lambda p, noise=noise: noise + rng.bytes(len(p) - 1))
        engine.reset()
        engine.load_image(hostile)
        try:
            engine.restore()
        except ExportError as error:
            assert "damaged" in str(error)
            refused += 1
        for i in range(30, 36):
            engine.train_step(digits[0][i], digits[1][i] % 10)
            engine._library.shim_remember(digits[1][i] % 10)
        engine.judge()
    assert refused > 20


def store_keys(compiled):
    return stored_arrays(compiled.graph, compiled.plan)


def test_a_store_that_lost_its_samples_is_an_empty_memory(rich, digits):
    engine = KeepingEngine(rich)
    learn(engine, digits, range(30))
    engine.save()
    engine.format()  # and no reset
    assert engine.replay() == -1 and engine.remembered() == engine.judging() == 0
    learn(engine, digits, range(30, 40))
    assert 0 < engine.remembered() <= 10
    engine.save()
    assert len(stored(engine)["memory labels"]) == engine.remembered()


def test_without_a_store_nothing_is_remembered(rich, digits):
    engine = KeepingEngine(rich, b"\xff" * rich.plan.store_bytes)
    engine.train_step(digits[0][0], digits[1][0])
    with pytest.raises(ExportError, match="or the flash did not take it"):
        engine.remember(digits[1][0])
    with pytest.raises(ExportError, match="nothing was saved yet"):
        engine.restore()
    engine.train_step(digits[0][0], digits[1][0])
    engine.remember(digits[1][0])
    assert engine.remembered() + engine.judging() == 1


def test_ram_and_code_are_as_told(tmp_path):
    compiled = compiled_with(replace(PLAN, guard=GUARD))
    source = compiled.save(tmp_path / "engine") / "src"
    main = (
        f'#include "engine.h"\nuint8_t m[{PAGES * 4096}];\nuint16_t w[engine::kStoreRecords];\n'
        f"int main() {{\n  tfodl::MemoryFlash f(m, 4096, {PAGES});\n"
        "  tfodl::Store s(f, engine::store_layout(), w);\n"
        "  return int(engine::restore(s)) + int(engine::save(s)) + int(engine::train_step(1)) + "
        "engine::remember(1);\n}"
    )
    elf = build(sorted(source.rglob("*.cpp")), [source], main, tmp_path / "m4.elf", ARDUINO_FLAGS)
    assert elf.static_ram_bytes == pytest.approx(compiled.memory.static_ram, abs=12)
    in_ram = compiled_with(replace(PLAN, guard=GUARD, memory=Memory(samples=10, replays=2)))
    assert in_ram.memory.static_ram - compiled.memory.static_ram == 16 * (196 - 2) - 12
    code = sum(n for name, n in elf.symbols.items() if "Samples" in name or "SampleMemory" in name)
    assert SAMPLES_CODE_BYTES - 1024 < code < SAMPLES_CODE_BYTES


def test_engines_with_a_memory_in_ram_know_nothing_of_it():
    compiled = compiled_with(replace(PLAN, memory=Memory(samples=10), guard=GUARD))
    text = compiled.sources["src/engine.h"] + compiled.sources["src/engine.cpp"]
    assert "samples.h" not in text and "slots" not in text and "tfodl/store/kept.h" in text


def test_refusals():
    with pytest.raises(TfodlError, match="a memory in flash has its samples in the store; set store_bytes"):
        replace(PLAN, store_bytes=0)
    with pytest.raises(TfodlError, match="a memory in flash has its samples in the store"):
        UpdatePlan(candidates=("#1",), memory=PLAN.memory, pool=Pool(bytes=100))
    with pytest.raises(TfodlError, match=r"where must be one of \('ram', 'flash'\), got 'disk'"):
        Memory(samples=1, where="disk")
    assert UpdatePlan.from_json(PLAN.to_json()) == PLAN
    asked = PoolOptions.of({"memory_in": "flash"})
    assert asked.given(replace(PLAN, memory=Memory(samples=10, replays=2))) == PLAN
    with pytest.raises(ExportError, match="--memory-in says where a memory is; give --memory N, too"):
        asked.given(UpdatePlan())
    with pytest.raises(ExportError, match=r"does not hold 2000 samples of 220 bytes .*; remember fewer"):
        compiled_with(replace(PLAN, memory=replace(PLAN.memory, samples=2000)))
    compiled = compiled_with()
    with pytest.raises(ExportError, match="keeps its samples in its store"):
        KeepingEngine(compiled).state()
    plain = compiled_with(replace(PLAN, memory=Memory(samples=10)))
    with pytest.raises(ExportError, match="no memory in flash"):
        read_samples(bytes(PAGES * 4096), plain.graph, plain.plan)


def test_sanitizers_find_nothing(rich, digits):
    assert run_sanitized(rich, np.array(digits[0][:40]), digits[1][:40])


def test_dropped_samples_take_no_flash(rich, digits):
    engine = KeepingEngine(rich)
    learn(engine, digits, range(30))
    engine.save()
    learn(engine, digits, range(30, 60))
    engine.save()
    engine.reset()
    learn(engine, digits, range(60, 61))  # drops what no save names
    identity = store_identity(rich.graph, rich.plan)
    identity = replace(identity, first=(*identity.first, identity.first[-1] + 1))
    records = read_log(engine.image, identity)
    samples = [key for key, _ in records if key == len(store_keys(rich))]
    assert len(samples) == 16 + 1
