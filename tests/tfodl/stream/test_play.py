"""A stream on three machines makes the same weights; its result says what happened."""

from dataclasses import replace

import numpy as np
import pytest
from int8_nets import digits, qat_net, qat_tflite

import tfodl
from tflm_export.compiler import compile_model, with_spare_classes
from tflm_export.input_contract import InputContract
from tflm_export.living.choose import make_exemplars
from tflm_export.living.simulator import LivingSimulator
from tflm_export.machines.living_host import LivingEngine
from tfodl import Guard, LayerUpdate, Memory, Optimizer, TfodlError, UpdatePlan, stream
from tfodl.quantize.layer_map import address
from tfodl.stream.keras_engine import KerasEngine

DEEP = (LayerUpdate("sep", "out", (0, 3)), LayerUpdate("head", "out", tuple(range(10)), "all"))
STEPS = 50


def engine(memory, *, exemplars=0, layers=DEEP[:1], guard=None, store=0, **optimizer):
    rule = Optimizer(**{"learning_rate": 0.02, **optimizer})
    plan = UpdatePlan(layers, optimizer=rule, memory=memory, seed=7, guard=guard, store_bytes=store)
    plan = address(plan, qat_net(), qat_tflite())
    compiled = compile_model(qat_tflite(), plan, keep_dead=True)
    if not exemplars:
        return compiled
    x, y = digits(60)
    shipped = make_exemplars(compiled.graph, plan, compiled.to_int8(x), y, 2)
    plan = replace(plan, memory=replace(memory, exemplar_replays=exemplars))
    return compile_model(qat_tflite(), plan, keep_dead=True, exemplars=shipped)


def samples(how="classes", count=STEPS):
    x, y = digits(count)
    places = stream.order(y, how, seed=3)
    return x[places], y[places]


CASES = {
    "balanced, exemplars": (Memory(samples=9, replays=2, policy="balanced"), {"exemplars": 1}),
    "reservoir, accumulator": (
        Memory(samples=4, replays=1),
        {"rounding": "accumulator", "layers": ()},
    ),
    "in flash": (Memory(samples=6, replays=2, where="flash"), {"store": 16 * 4096}),
    "no memory, momentum, batches": (None, {"momentum": 0.9, "batch": 3}),
    "guard": (
        Memory(samples=5, replays=1),
        {"guard": Guard(samples=6, held_out=3, every=7), "learning_rate": 0.003},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_keras_numpy_and_the_host_make_the_same_weights(case):
    memory, options = CASES[case]
    compiled, tests = engine(memory, **options), {"same": digits(20)}
    shown = samples("shuffled" if "guard" in options else "classes")  # class after class a guard undoes all
    host, *others = (
        stream.play(compiled, shown, tests, machine=machine, points=2, rest=2 if memory else 0)
        for machine in ("host", "numpy", "keras")
    )
    start = compiled.graph.constant
    assert any((value != start(name)).any() for name, value in host.weights.items())
    for other in others:
        assert set(other.weights) == set(host.weights)
        for name, value in host.weights.items():
            np.testing.assert_array_equal(other.weights[name], value, err_msg=name)
        np.testing.assert_array_equal(other.per_class["same"], host.per_class["same"])


def test_a_new_class_is_the_same_on_all_machines():
    plan = UpdatePlan(DEEP[:1], optimizer=Optimizer(0.02), memory=Memory(samples=8, replays=1), seed=7)
    plan = address(plan, qat_net(), qat_tflite())
    compiled = compile_model(*with_spare_classes(qat_tflite(), plan, 2), keep_dead=True)
    x, y = samples("shuffled", 30)
    y = np.where(np.arange(30) % 9 == 8, 10, y)  # a label that is new
    host, *others = (
        stream.play(compiled, (x, y), {"same": (x, y)}, machine=machine, points=1)
        for machine in ("host", "numpy", "keras")
    )
    for other in others:
        for name, value in host.weights.items():
            np.testing.assert_array_equal(other.weights[name], value, err_msg=name)
        np.testing.assert_array_equal(other.per_class["same"], host.per_class["same"])
    assert host.per_class["same"][0, 10] == 0 < host.per_class["same"][-1, 10]
    with pytest.raises(TfodlError, match=r"label 11: allowed 0\.\.10"):
        stream.play(compiled, (x, np.full(30, 11)), {"same": (x, y)})


def test_remembered_is_what_the_engine_holds():
    compiled = engine(Memory(samples=6, replays=1, policy="balanced"))
    net = LivingSimulator(compiled.graph, compiled.plan)
    result = stream.play(compiled, samples(count=30), {"same": digits(10)}, machine=net, points=1)
    assert result.labels[result.remembered].tolist() == net.memory.labels.tolist()
    assert result.memory.sum() == 6 and result.memory.max() == 1
    host = LivingEngine(compiled)
    x = compiled.to_int8(samples(count=30)[0])
    for picture, latent in zip(x[result.remembered], net.memory.latents, strict=True):
        host.infer(picture[None])
        np.testing.assert_array_equal(host.latent()[0], latent)


def test_a_machine_played_again_begins_anew():
    compiled = engine(Memory(samples=6, replays=1), layers=())
    for net in (LivingEngine(compiled), KerasEngine(compiled)):
        first, again = (
            stream.play(compiled, samples(count=12), {"same": digits(5)}, machine=net, points=1)
            for _ in range(2)
        )
        for name, value in first.weights.items():
            np.testing.assert_array_equal(again.weights[name], value)


def test_a_stream_is_arrays_or_pairs_of_floats_pictures_or_int8():
    compiled = engine(Memory(samples=6))
    contract = InputContract.parse("-1..1", (14, 14, 1))
    compiled = compile_model(qat_tflite(), compiled.plan, contract=contract)
    x, y = samples(count=8)
    pictures = np.rint((x + 1) * 127.5).astype(np.uint8)
    ways = [(x, y), zip(x, y.tolist(), strict=True), (pictures, y), (compiled.to_int8(x), y)]
    found = [stream.play(compiled, way, {"same": (x, y)}, points=[4]) for way in ways]
    for result in found:
        assert result.samples.tolist() == [0, 4, 8]
        for name, value in found[0].weights.items():
            np.testing.assert_array_equal(result.weights[name], value)


def test_a_memory_forgets_less():
    """The finding that the module is for, at its smallest: class after class, with a memory and without."""
    x, y = samples(count=200)
    tests = {"all": digits(200)}
    without, with_memory = (
        stream.play(engine(memory, layers=DEEP, learning_rate=0.05), (x, y), tests, points=5)
        for memory in (None, Memory(samples=50, replays=3))
    )
    assert with_memory.accuracy("all") > without.accuracy("all") + 0.1
    assert with_memory.forgetting("all") < without.forgetting("all")


def test_orders():
    y = np.repeat(np.arange(5), 40)
    for how in ("classes", "shuffled", "drifting"):
        places = stream.order(y, how, seed=2)
        assert sorted(places.tolist()) == list(range(200))
        assert (places == stream.order(y, how, seed=2)).all()
        assert (places != stream.order(y, how, seed=3)).any()
    changes = {
        how: (np.diff(y[stream.order(y, how)]) != 0).sum() for how in ("classes", "drifting", "shuffled")
    }
    assert changes["classes"] == 4 < changes["drifting"] < changes["shuffled"]


def test_forgetting_is_chaudhrys():
    """By hand: class 0 falls from .9 to .3, class 1 rises (-.4), class 2 has no pictures."""
    nan = float("nan")
    per_class = {"t": np.array([[0.5, 0.2, nan], [0.9, 0.1, nan], [0.3, 0.6, nan]])}
    result = stream.StreamResult(
        np.zeros(4, int), np.array([0, 2, 4]), per_class, {"t": np.array([0.4, 0.5, 0.45])}
    )
    assert result.forgetting("t") == pytest.approx((0.6 - 0.4) / 2)
    assert result.to_dict()["accuracy"] == {"t": 0.45}


def test_the_picture(tmp_path):
    compiled = engine(Memory(samples=6), layers=())
    result = stream.play(compiled, samples(count=20), {"a": digits(10), "b": digits(20)}, points=2)
    result.plot(tmp_path / "stream.png")
    assert (tmp_path / "stream.png").read_bytes().startswith(b"\x89PNG")


def test_refusals():
    compiled = engine(Memory(samples=6), layers=())
    x, y = samples(count=4)
    tests = {"same": (x, y)}
    with pytest.raises(TfodlError, match="order must be one of .*, got 'sorted'"):
        stream.order(y, "sorted")
    with pytest.raises(TfodlError, match="machine must be one of"):
        stream.play(compiled, (x, y), tests, machine="board")
    with pytest.raises(TfodlError, match="it is empty"):
        stream.play(compiled, [], tests)
    with pytest.raises(TfodlError, match="there is no test set"):
        stream.play(compiled, (x, y), {})
    with pytest.raises(TfodlError, match=r"the stream: labels run from 10 to 10"):
        stream.play(compiled, (x, np.full(4, 10)), tests)
    with pytest.raises(TfodlError, match=r"same: inputs must be \[N >= 1, 14, 14, 1\], got \[4, 7, 14, 1\]"):
        stream.play(compiled, (x, y), {"same": (x[:, :7], y)})
    for points in (0, [5], 1.5):
        with pytest.raises(TfodlError, match="points must be a number >= 1, or whole numbers 0..4"):
            stream.play(compiled, (x, y), tests, points=points)
    with pytest.raises(TfodlError, match="the plan has no memory"):
        stream.play(engine(None), (x, y), tests, rest=1)
    result = stream.play(compiled, (x, y), tests, points=1)
    with pytest.raises(TfodlError, match=r"no test set 'target'; there are \['same'\]"):
        result.accuracy("target")


def test_it_is_public():
    assert tfodl.stream is stream and tfodl.Memory is Memory
