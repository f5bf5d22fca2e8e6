"""Constants in an image beside the program: the same bits as with it, and nothing without the image."""

import dataclasses
import struct
import subprocess
import zlib

import nets
import numpy as np
import pytest
from streaming_nets import keyword_net

from tflm_export.apart import apart
from tflm_export.compiler import compile_model
from tflm_export.emit.constants import HEAD, HEAD_BYTES, ConstantsImage
from tflm_export.emit.intel_hex import intel_hex
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError
from tflm_export.front.spare import add_spare_classes
from tflm_export.machines.choosing_host import ChoosingEngine
from tflm_export.machines.emulator import ARDUINO_FLAGS
from tflm_export.machines.host import HostEngine
from tflm_export.machines.host_store import StoreEngine
from tflm_export.machines.living_host import LivingEngine
from tflm_export.machines.measure import measure
from tflm_export.plan import Guard, LayerUpdate, Memory, Optimizer, Pool, UpdatePlan
from tflm_export.ship import ship

PLACE = 0x90000
LAYERS = (LayerUpdate("#3", "in", (0, 2), "all"), LayerUpdate("#2", "out", (1,), "selected"))
PLAN = UpdatePlan(LAYERS, optimizer=Optimizer(0.01, momentum=0.5, rounding="accumulator"), seed=7)
PLANS = {
    "mixed": PLAN,
    "float32": PLAN,
    "head": UpdatePlan(),
    "store": dataclasses.replace(PLAN, store_bytes=8 * 4096),
    "inference": UpdatePlan(head=False),
}
OK, MISSING, FOREIGN, DAMAGED = range(4)


def pair(plan, name="engine", gradients="int16"):
    """An engine, and the same with its constants apart."""
    compiled = compile_model(nets.residual_net(), plan, name=name, gradients=gradients)
    return compiled, apart(compiled, PLACE)


def draws(compiled, count=12):
    x = np.random.default_rng(5).integers(-128, 128, (count, *compiled.input.shape), dtype=np.int8)
    return x, [i % 4 for i in range(count)]


def status(engine):
    return engine._library.shim_constants_status()


@pytest.mark.parametrize("name", PLANS)
def test_the_same_bits(name):
    compiled, moved = pair(PLANS[name], gradients="float32" if name == "float32" else "int16")
    one, other = HostEngine(compiled), HostEngine(moved)
    assert status(other) == OK
    x, labels = draws(compiled)
    for a, label in zip(x, labels, strict=True):
        np.testing.assert_array_equal(one.infer(a), other.infer(a))
        assert one.predict(a) == other.predict(a)
        if compiled.graph.loss is not None:
            assert one.train_step(a, label) == other.train_step(a, label)
    assert not one.weights() or any((v != compiled.graph.constant(n)).any() for n, v in one.weights().items())
    for tensor, values in one.weights().items():
        np.testing.assert_array_equal(values, other.weights()[tensor])


def forged(image, what):
    """The image with something wrong with it that its own checksums do not tell."""
    magic, number, engine, address, nbytes, crc = HEAD.unpack_from(image.data)
    values = {
        "format": (magic, number + 1, engine, address, nbytes, crc),
        "engine": (magic, number, bytes(8), address, nbytes, crc),
        "address": (magic, number, engine, address + 4096, nbytes, crc),
        "length": (magic, number, engine, address, nbytes - 4, crc),
        "crc": (magic, number, engine, address, nbytes, crc ^ 1),
    }[what]
    head = HEAD.pack(*values)
    return head + struct.pack("<I", zlib.crc32(head)) + image.data[HEAD_BYTES:]


def flipped(image, at):
    return image.data[:at] + bytes([image.data[at] ^ 0x10]) + image.data[at + 1 :]


def bad_images(image):
    """What may lie in the image's place, and how the engine is to call it."""
    size = len(image.data)
    yield "erased", b"\xff" * size, MISSING
    yield "zeros", bytes(size), MISSING
    yield "its head is not written yet", b"\xff" * HEAD_BYTES + image.data[HEAD_BYTES:], MISSING
    yield "its last page is not written yet", image.data[: size // 2] + b"\xff" * (size - size // 2), DAMAGED
    yield "a bit of the head", flipped(image, 13), DAMAGED
    for at in (HEAD_BYTES, size // 2, size - 5):
        yield f"bit at {at}", flipped(image, at), DAMAGED
    for what in ("format", "engine", "address", "length", "crc"):
        yield what, forged(image, what), FOREIGN


@pytest.mark.parametrize("name", ["mixed", "store", "inference"])
def test_nothing_is_computed_without_the_image(name):
    """And with it, put there later, the engine starts as flashed."""
    compiled, moved = pair(PLANS[name])
    one, other = HostEngine(compiled), HostEngine(moved)
    x, _ = draws(compiled)
    learns = compiled.graph.loss is not None
    for what, image, expected in bad_images(moved.constants):
        other.write_constants(image)
        before = other._read(other._library.shim_output(), compiled.output.shape)
        other.reset()
        assert status(other) == expected, what
        assert other.predict(x[0]) == -1
        np.testing.assert_array_equal(other.infer(x[0]), before)
        if learns:
            weights = other.weights()
            assert other.train_step(x[0], 1) == -1.0
            assert not other._library.shim_set_learning_rate(0.5)
            for tensor, values in weights.items():
                np.testing.assert_array_equal(values, other.weights()[tensor])
    other.write_constants(moved.constants.data)
    assert status(other) == OK
    if learns:
        assert one.train_step(x[1], 2) == other.train_step(x[1], 2)
    np.testing.assert_array_equal(one.infer(x[2]), other.infer(x[2]))


def test_a_store_refuses_without_the_image():
    engine = StoreEngine(pair(PLANS["store"])[1])
    x, _ = draws(engine.compiled)
    engine.train_step(x[0], 1)
    engine.save()
    image = engine.image
    engine.write_constants(bytes(len(engine.compiled.constants.data)))
    for act in (engine.save, engine.restore):
        with pytest.raises(ExportError):
            act()
    assert engine.image == image


def test_a_memory_refuses_without_the_image():
    plan = UpdatePlan(memory=Memory(samples=4, replays=1), guard=Guard(samples=4))
    compiled, moved = pair(plan)
    one, other = LivingEngine(compiled), LivingEngine(moved)
    x, labels = draws(compiled)
    for a, label in zip(x, labels, strict=True):
        assert one.train_step(a, label) == other.train_step(a, label)
        one.remember(label)
        other.remember(label)
    other.write_constants(bytes(HEAD_BYTES))
    assert other.replay() == -1.0 and other.train_step(x[0], 1) == -1.0


def test_the_same_bits_of_a_pool():
    plan = UpdatePlan(
        candidates=("#1", "#2", "#3"),
        memory=Memory(samples=20, replays=1),
        pool=Pool(bytes=100, rule="velocity", epoch=5, samples=4),
        guard=Guard(samples=6, held_out=5, every=10),
        spare_classes=1,
    )
    compiled = compile_model(add_spare_classes(nets.residual_net(), 1), plan)
    one, other = ChoosingEngine(compiled), ChoosingEngine(apart(compiled, PLACE))
    x, labels = draws(compiled, 20)
    for a, label in zip(x, labels, strict=True):
        assert one.train_step(a, label) == other.train_step(a, label)
        one.remember(label)
        other.remember(label)
    assert len(one.history) == len(other.history) > 1 and one.image == other.image
    other.write_constants(bytes(HEAD_BYTES))
    with pytest.raises(ExportError):
        other.new_epoch()


def test_the_same_bits_of_exemplars():
    plan = UpdatePlan(memory=Memory(samples=2, exemplar_replays=1))
    x = np.random.default_rng(3).integers(-128, 128, (8, 8, 8, 3), dtype=np.int8)
    exemplars = ship(nets.residual_net(), plan, x, np.arange(8) % 4)
    compiled = compile_model(nets.residual_net(), plan, exemplars=exemplars)
    one, other = LivingEngine(compiled), LivingEngine(apart(compiled, PLACE))
    for i, a in enumerate(draws(compiled)[0]):
        assert one.train_step(a, i % 4) == other.train_step(a, i % 4)
    np.testing.assert_array_equal(*(list(e.weights().values())[0] for e in (one, other)))
    other.write_constants(bytes(HEAD_BYTES))
    assert other.replay_exemplar() == -1.0


def test_a_net_that_remembers():
    compiled = compile_model(keyword_net(), UpdatePlan(head=False))
    one, other = HostEngine(compiled), HostEngine(apart(compiled, PLACE))
    x, _ = draws(compiled)
    for a in x:
        np.testing.assert_array_equal(one.infer(a), other.infer(a))


def test_the_emulated_board_reads_the_image_in_its_flash():
    """At the very address; the same bits as the ordinary engine, and none where a bit of it is wrong."""
    compiled, moved = pair(PLAN)
    x, labels = draws(compiled, 4)
    how = {"inferences": 3, "flags": ARDUINO_FLAGS}
    one, other = (measure(engine, x, labels, **how) for engine in (compiled, moved))
    np.testing.assert_array_equal(one.outputs, other.outputs)
    assert one.outputs.any()
    for tensor, values in one.weights.items():
        np.testing.assert_array_equal(values, other.weights[tensor])
    assert one.flash_bytes - other.flash_bytes > len(moved.constants.data) - 1024
    bad = ConstantsImage(PLACE, flipped(moved.constants, 200))
    none = measure(dataclasses.replace(moved, constants=bad), x, labels, **how)
    assert not none.outputs.any() and not any(values.any() for values in none.weights.values())
    assert none.train_step.cycles < 200 < one.train_step.cycles


def test_sources_of_others_stay_and_the_tables_are_gone():
    compiled, moved = pair(PLAN)
    changed = {path for path, text in moved.sources.items() if compiled.sources[path] != text}
    assert changed == {f"src/engine{end}" for end in (".h", ".cpp", "_constants.h", "_constants.cpp")}
    assert len(moved.sources["src/engine_constants.cpp"]) < 700


def test_a_folder_keeps_where_they_lie(tmp_path):
    moved = pair(PLAN)[1]
    folder = moved.save(tmp_path / "engine")
    assert (folder / "constants.bin").read_bytes() == moved.constants.data
    again = load(folder)
    assert again.constants == moved.constants and again.sources == moved.sources


def test_engines_of_the_same_constants_share_an_image():
    """A rate is no constant; a weight is one."""
    rate = dataclasses.replace(PLAN, optimizer=dataclasses.replace(PLAN.optimizer, learning_rate=0.02))
    first, same = (pair(plan)[1].constants for plan in (PLAN, rate))
    other = apart(compile_model(nets.residual_net(1), PLAN), PLACE).constants
    assert first == same and first.head != other.head


def test_what_is_no_place_is_refused():
    compiled = pair(PLAN)[0]
    for address in (0, 2, -4096, 1 << 32):
        with pytest.raises(ExportError, match="multiple of 4"):
            apart(compiled, address)


def test_sources_changed_by_hand_are_not_overwritten():
    compiled = pair(PLAN)[0]
    text = compiled.sources["src/engine.cpp"] + "// mine\n"
    changed = dataclasses.replace(compiled, sources={**compiled.sources, "src/engine.cpp": text})
    with pytest.raises(ExportError, match="engine.cpp is not what tflm-export"):
        apart(changed, PLACE)


@pytest.mark.parametrize("start, size", [(0x90000, 1000), (0x8FFF8, 40), (0xFFFC, 0x20005)])
def test_intel_hex_is_read_by_binutils(tmp_path, start, size):
    data = np.random.default_rng(size).bytes(size)
    (tmp_path / "x.hex").write_text(intel_hex(start, data))
    command = ["arm-none-eabi-objcopy", "-I", "ihex", "-O", "binary", "x.hex", "x.bin"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert (tmp_path / "x.bin").read_bytes() == data
    shown = subprocess.run(
        ["arm-none-eabi-objdump", "-h", "x.hex"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert f"{start:08x}" in shown
