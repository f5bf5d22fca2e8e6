"""The state of learning in a store: 10 steps, save, restore, 10 steps = 20 steps, bit for bit."""

import dataclasses

import numpy as np
import pytest
from engine_cases import CASES
from nets import residual_net

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError, TfodlError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.write_tflite import patch_constants
from tflm_export.machines.host_store import StoreEngine
from tflm_export.machines.store_cost import measure_store
from tflm_export.plan import LayerUpdate, Optimizer, UpdatePlan
from tflm_export.report.verify import samples
from tflm_export.store.arrays import store_identity
from tflm_export.store.geometry import BANK, Geometry
from tflm_export.store.log import read_log
from tflm_export.store.state import read_state, read_weights
from tflm_export.variable import variables

STORE = 16 * 4096
SMALL = UpdatePlan((LayerUpdate("#3", "out", (0, 2), "all"),), store_bytes=STORE)


def compiled_case(name, gradients="int16"):
    make, plan = CASES[name]
    return compile_model(make(), dataclasses.replace(plan, store_bytes=STORE), gradients=gradients)


@pytest.fixture(scope="module")
def small():
    return compile_model(residual_net(), SMALL)


def trained(engine, xs, ts):
    for x, t in zip(xs, ts, strict=True):
        engine.train_step(x, t)
    return engine.weights()


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("name", "gradients"),
    [*((name, "int16") for name in CASES if name != "head"), ("everything", "float32")],
    ids=" ".join,
)
def test_learning_goes_on_where_it_was_saved(name, gradients):
    compiled = compiled_case(name, gradients)
    engine = StoreEngine(compiled)
    xs, ts = samples(compiled, None, None, seed=3)
    with pytest.raises(ExportError, match="nothing was saved yet"):
        engine.restore()
    engine.set_learning_rate(compiled.plan.optimizer.learning_rate / 2)
    trained(engine, xs[:7], ts[:7])
    engine.save()
    trained(engine, xs[7:10], ts[7:10])
    engine.save()
    half, image = engine.weights(), engine.image
    whole = trained(engine, xs[10:20], ts[10:20])
    state = engine.image

    engine.reset()
    engine.load_image(image)
    assert_same(read_weights(image, compiled.graph, compiled.plan), half)
    engine.restore()
    assert_same(engine.weights(), half)
    engine.save()
    assert engine.image == image  # nothing had changed
    assert_same(trained(engine, xs[10:20], ts[10:20]), whole)
    engine.save()
    assert engine.image != state
    kept = read_state(engine.image, compiled.graph, compiled.plan)
    assert kept["sgd"][2] == 20
    assert kept["sgd"][0].astype(np.int32).view(np.float32) > 0


@pytest.mark.parametrize(
    "geometry", [Geometry(2048, 4), Geometry(4096, 16), Geometry(8192, 8), BANK], ids=str
)
def test_flash_of_any_geometry(small, geometry):
    """And its image is read back by Python."""
    engine = StoreEngine(small, geometry=geometry)
    pages = max(4, small.plan.store_bytes // geometry.page_bytes)
    assert len(engine.image) == pages * geometry.page_bytes
    xs, ts = samples(small, None, None, seed=3)
    saved = trained(engine, xs[:5], ts[:5])
    engine.save()
    identity = store_identity(small.graph, small.plan)
    assert len(read_log(engine.image, identity, geometry)) == identity.first[-1]
    again = StoreEngine(small, engine.image, geometry=geometry)
    again.restore()
    assert_same(again.weights(), saved)


def test_an_area_of_too_many_pages_is_refused(small):
    with pytest.raises(ExportError, match="are 256 pages of 256 B; allowed: 4 to 64. Give"):
        StoreEngine(small, geometry=Geometry(256))


def test_only_what_changed_is_written(small):
    engine = StoreEngine(small)
    engine.save()
    before = np.frombuffer(engine.image, np.uint8)
    weights = engine.weights()
    weights["head/w"] = weights["head/w"].copy()
    weights["head/w"][1, 2] += 1
    engine.load_weights(weights)
    engine.save()
    written = np.flatnonzero(np.frombuffer(engine.image, np.uint8) != before)
    assert 0 < written.size <= 40  # one piece and a commit
    assert_same(read_weights(engine.image, small.graph, small.plan), weights)


def test_the_extremes_survive(small):
    engine, rng = StoreEngine(small), np.random.default_rng(0)
    for _ in range(8):
        weights = {}
        for name, array in engine.weights().items():
            info = np.iinfo(array.dtype)
            low, high = (-127, 127) if array.dtype == np.int8 else (info.min, info.max)
            full = rng.integers(low, high, array.shape, endpoint=True)
            small_steps = array + rng.integers(-2, 3, array.shape)
            picked = np.where(rng.random(array.shape) < rng.choice([0, 0.02, 1]), full, small_steps)
            weights[name] = np.clip(picked, low, high).astype(array.dtype)
        engine.load_weights(weights)
        kept = engine.weights()  # frozen parts stay
        engine.save()
        assert_same(read_weights(engine.image, small.graph, small.plan), kept)
        engine.reset()
        engine.restore()
        assert_same(engine.weights(), kept)


def test_saved_weights_are_a_tflite_again(small):
    engine = StoreEngine(small)
    xs, ts = samples(small, None, None, seed=1)
    weights = trained(engine, xs[:6], ts[:6])
    engine.save()
    learned = read_tflite(patch_constants(small.tflite, read_weights(engine.image, small.graph, small.plan)))
    assert_same({name: learned.constant(name) for name in weights}, weights)


def test_another_engines_store_is_refused(small):
    engine = StoreEngine(small)
    engine.save()
    image = engine.image
    for change in ({"seed": 1}, {"optimizer": Optimizer(0.02)}, {"head": False}):
        other = StoreEngine(compile_model(residual_net(), dataclasses.replace(SMALL, **change)), image)
        fresh = other.weights()
        with pytest.raises(ExportError, match="another engine"):
            other.restore()
        with pytest.raises(ExportError, match="another engine"):
            other.save()
        with pytest.raises(ExportError, match="Use the engine that wrote it"):
            read_weights(image, other.compiled.graph, other.compiled.plan)
        assert other.image == image
        assert_same(other.weights(), fresh)
    other.format()
    other.save()
    other.restore()


def test_damage_is_told_and_the_engine_is_as_flashed(small):
    engine = StoreEngine(small)
    fresh = engine.weights()
    xs, ts = samples(small, None, None, seed=1)
    trained(engine, xs[:3], ts[:3])
    engine.save()
    damaged = bytearray(engine.image)
    damaged[28 + 10] ^= 8  # in the first record
    engine.load_image(bytes(damaged))
    with pytest.raises(ExportError, match="store: "):
        engine.restore()
    assert_same(engine.weights(), fresh)
    engine.format()
    with pytest.raises(ExportError, match="nothing was saved yet"):
        engine.restore()
    assert_same(engine.weights(), fresh)


def test_a_state_that_does_not_fit():
    plan = dataclasses.replace(CASES["everything"][1], store_bytes=4 * 4096)
    engine = StoreEngine(compile_model(CASES["everything"][0](), plan))
    rng, weights = np.random.default_rng(0), engine.weights()
    engine.save()
    saved = engine.image
    for _ in range(20):
        noise = {n: rng.integers(-(2**30), 2**30, a.shape) for n, a in weights.items()}
        engine.load_weights({n: np.clip(noise[n], -127, 127).astype(a.dtype) for n, a in weights.items()})
        try:
            engine.save()
        except ExportError as error:
            assert "does not fit" in str(error)
            break
        saved = engine.image
    assert_same(
        read_weights(engine.image, engine.compiled.graph, engine.compiled.plan),
        read_weights(saved, engine.compiled.graph, engine.compiled.plan),
    )


def test_engines_without_a_store_are_as_they_were(small):
    plain = compile_model(residual_net(), dataclasses.replace(SMALL, store_bytes=0))
    for path in ("src/engine.cpp", "src/engine.h", "src/engine_constants.cpp"):
        assert "tore_" not in plain.sources[path]
        assert "tfodl/store" not in plain.sources[path]
    assert "store_bytes" not in plain.plan.to_json()
    with pytest.raises(ExportError, match="has no store"):
        StoreEngine(plain)
    with pytest.raises(ExportError, match="expected 65536"):
        StoreEngine(small, b"short")


@pytest.mark.parametrize("store_bytes", [-4096, 4096, 12_288, 65 * 4096, 16_385, 16_384.0, True])
def test_sizes_that_are_refused(store_bytes):
    with pytest.raises(TfodlError, match="store_bytes must be"):
        UpdatePlan(store_bytes=store_bytes)
    assert UpdatePlan.from_json(SMALL.to_json()) == SMALL


def test_the_board_writes_the_same_log_and_learns_the_same():
    compiled = compiled_case("everything")
    xs, ts = samples(compiled, None, None, seed=5)
    engine = StoreEngine(compiled)
    empty = engine.image
    trained(engine, xs[:6], ts[:6])
    engine.save()
    image = engine.image
    expected = trained(engine, xs[6:10], ts[6:10])
    measured = measure_store(compiled, empty, xs[:10], ts[:10], before=6)
    assert measured.statuses == {"restore": 1, "save": 0, "save_nothing": 0, "restore_again": 0}
    assert measured.image == image
    for name, array in expected.items():
        variable = next(v for v in variables(compiled.graph) if v.tensor == name)
        np.testing.assert_array_equal(measured.weights[name], variable.take(array).reshape(-1))
    assert max(cost.stack_bytes for cost in measured.costs.values()) < 800
