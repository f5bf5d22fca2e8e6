"""A pool of input channels: numpy = host = Cortex-M4, frozen columns untouched, whole images or none."""

import zlib
from dataclasses import replace

import nets
import numpy as np
import pytest
from digits_net import target_digits
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_nets import mobile_net
from streams import longest_chains
from task_nets import dense_net
from test_choosing import (
    EVERYTHING,
    HEAVY,
    NEW,
    SMALL,
    WIDE,
    assert_the_board_chooses_the_same,
    learn,
    pictures,
    wide_net,
)

from tflm_export.compiler import compile_model, derive, plan_memory
from tflm_export.emit import emit
from tflm_export.errors import ExportError, TfodlError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.living.choosing import ChoosingSimulator, simulator_of
from tflm_export.living.image import HEAD, image_layout, read_image, read_selection
from tflm_export.living.pool import candidates, costs
from tflm_export.living.selection import from_json, to_json
from tflm_export.machines.choosing_host import ChoosingEngine, host_engine
from tflm_export.plan import Guard, LayerUpdate, Memory, Optimizer, UpdatePlan
from tflm_export.pool import Pool
from tflm_export.variable import variables

INPUTS = replace(SMALL.pool, axis="in", bytes=160)
RULES = ("random", "top_layers_random", "fixed")
DENSE = UpdatePlan(
    candidates=("#0", "#1", "#2"),
    memory=Memory(samples=8, replays=1),
    pool=Pool(60, "top_layers_random", epoch=4, top=0.6, axis="in"),
    optimizer=Optimizer(0.05, rounding="accumulator"),
)
CASES = {
    "random, with all that an optimizer keeps": (
        nets.residual_net,
        replace(SMALL, optimizer=HEAVY, pool=replace(INPUTS, bytes=700)),
    ),
    "top layers": (
        nets.residual_net,
        replace(SMALL, pool=replace(INPUTS, rule="top_layers_random", top=0.6)),
    ),
    "fixed, of a plan": (
        nets.residual_net,
        replace(SMALL, layers=(LayerUpdate("#3", "in", (1, 4)),), pool=replace(INPUTS, rule="fixed")),
    ),
    "dense": (lambda: dense_net(12, 10, 8, 6, 4, end="SOFTMAX"), DENSE),
    "digits, judged, with new classes": (wide_net, replace(WIDE, pool=replace(WIDE.pool, axis="in"))),
}


@pytest.fixture(scope="module")
def small():
    return simplify(read_tflite(nets.residual_net()))


@pytest.mark.parametrize("case", CASES)
def test_twenty_epochs_are_those_of_numpy(case):
    tflite, plan = CASES[case][0](), CASES[case][1]
    compiled = compile_model(tflite, plan)
    engine, simulator = host_engine(compiled), simulator_of(compiled.graph, plan)
    xs, ys = pictures(compiled.graph, 45)
    if plan.spare_classes:
        xs, ys = target_digits(compiled.graph, 100)
        ys = [NEW.get(i, y) for i, y in enumerate(ys)]
    learn([engine, simulator], xs, ys)
    history = engine.history
    assert len(history) > 15 and {selection.axis for selection in history} == {"in"}
    assert (len({str(selection.channels) for selection in history}) > 1) == (plan.pool.rule != "fixed")
    assert from_json(to_json(history)) == history
    found = read_image(engine.image, compiled.graph, plan)
    chosen = read_selection(lambda at, n: engine.image[at : at + n], compiled.graph, plan)
    assert found.selection == chosen == history[-1]
    moved = [c for c in simulator.chooser.layers if c.weights.in_pool and _moved(engine, compiled, c)]
    assert moved


def _moved(engine, compiled, c):
    return (engine.weights()[c.weights.tensor] != compiled.graph.constant(c.weights.tensor)).any()


def test_the_board_chooses_the_same():
    """With all that may go with a pool: it judges, goes back, meets a new class."""
    plan = replace(EVERYTHING, pool=replace(INPUTS, rule="top_layers_random", epoch=None))
    assert_the_board_chooses_the_same(plan)


def test_columns_go_through_streams():
    """What the chosen columns read is kept where a chain of layers has no map of it."""
    tflite = mobile_net(True)
    plan = UpdatePlan(
        candidates=("#3", "#5", "#7"),
        memory=Memory(samples=8, replays=1),
        pool=Pool(900, "random", epoch=3, axis="in"),
        optimizer=Optimizer(0.02),
    )
    compiled = compile_model(tflite, plan)
    plain = derive(simplify(read_tflite(tflite)), plan, "int16")[0]
    graph = longest_chains(plain)
    kept = [op for stream in graph.ops if stream.kind == "STREAM" for op in stream.attrs["kept"]]
    assert any("pooled" in op.attrs for op in kept)
    memory = plan_memory(graph, plan)
    sources = {f"src/{path}": text for path, text in emit(graph, memory, plan).items()}
    sources = {**compiled.sources, **sources}
    engine = ChoosingEngine(replace(compiled, graph=graph, memory=memory, sources=sources))
    simulator = ChoosingSimulator(graph, plan)
    xs, ys = pictures(graph, 20)
    learn([engine, simulator], xs, ys)
    assert len(engine.history) > 5


@settings(deadline=None, max_examples=25)
@given(
    st.sets(st.sampled_from(["#1", "#2", "#3"]), min_size=1),
    st.sampled_from(RULES),
    st.sampled_from(["prefix", "fill"]),
    st.integers(600, 1500),
    st.sampled_from([Optimizer(0.1), HEAVY, Optimizer(0.1, momentum=0.9)]),
    st.sampled_from([None, Guard(samples=2, held_out=2, every=2)]),
    st.integers(0, 99),
)
def test_a_pool_is_never_exceeded_and_frozen_columns_rest(
    small, names, rule, spend, size, optimizer, guard, seed
):
    pool = Pool(size, rule, epoch=3, spend=spend, axis="in")
    given_ = {"pool": pool, "optimizer": optimizer, "guard": guard, "seed": seed}
    plan = replace(SMALL, candidates=tuple(sorted(names)), **given_)
    graph, _ = derive(small, plan, "int16")
    simulator = ChoosingSimulator(graph, plan)
    xs, ys = pictures(graph, 9, seed)
    for x, y in zip(xs, ys, strict=True):
        before = {name: array.copy() for name, array in simulator.weights.items()}
        chosen = simulator.chooser.chosen
        layers = simulator.chooser.layers
        assert 0 < costs(layers, optimizer)[chosen].sum() <= size
        assert all(chosen[c.span].sum() <= c.weights.room for c in layers)
        simulator.train_step(x, y)
        simulator.remember(y)
        for c in layers:
            frozen = np.flatnonzero(~chosen[c.span])
            for variable in filter(None, (c.weights, c.bias)):
                axis = variable.axis
                rows = [np.take(w[variable.tensor], frozen, axis) for w in (before, simulator.weights)]
                np.testing.assert_array_equal(*rows)


def test_what_a_candidate_has(small):
    """Columns of every tap and output, no bias but a depthwise layer's own, and what they read."""
    graph, _ = derive(small, replace(SMALL, pool=INPUTS), "int16")
    found = {c.layer.name: c for c in candidates(graph)}
    assert {name: (c.channels, c.row, c.bias is not None) for name, c in found.items()} == {
        "#1": (3, 9 * 6, False),
        "#2": (6, 9, True),
        "#3": (6, 6, False),
    }
    assert {name: c.weights.room for name, c in found.items()} == {"#1": 2, "#2": 6, "#3": 6}
    assert graph.tensors["#1/kept"].shape == (64, 2) and graph.tensors["#3/kept"].shape == (16, 6)
    assert not [v for v in variables(graph) if v.bias and v.layer.name in ("#1", "#3")]


def learned(axis, steps):
    compiled = compile_model(nets.residual_net(), replace(SMALL, pool=replace(INPUTS, axis=axis)))
    engine = ChoosingEngine(compiled)
    learn([engine], *pictures(compiled.graph, steps))
    return engine


@pytest.mark.parametrize("axis", ["out", "in"])
def test_a_damaged_image_is_not_taken(axis):
    """One byte of the newest image changed, wherever: the device goes on from the one before."""
    engine = learned(axis, 12)
    compiled, plan = engine.compiled, engine.compiled.plan
    size = len(engine.image) // 2
    both = {s.epoch: s for s in engine.history[-2:]}
    newest = max(both)
    start = 0 if read_image(engine.image, compiled.graph, plan).selection.epoch % 2 else size
    image, rng = engine.image, np.random.default_rng(3)
    for at in (0, 4, 12, 16, 20, 24, 44, 48, *rng.integers(0, size, 60).tolist()):
        damaged = bytearray(image)
        damaged[start + at] ^= int(rng.integers(1, 256))
        engine.open(bytes(damaged))
        found = engine.selection()
        assert found.epoch == newest - 1 and found.channels == both[newest - 1].channels
        assert read_image(bytes(damaged), compiled.graph, plan).selection == found


@pytest.mark.parametrize("axis", ["out", "in"])
def test_an_image_that_chooses_more_than_the_pool_holds_is_damaged(axis):
    """Though its checksums are right: forged."""
    engine = learned(axis, 6)
    compiled, plan = engine.compiled, engine.compiled.plan
    layout, size = image_layout(compiled.graph, plan), len(engine.image) // 2
    forged = bytearray(engine.image)
    for start in (0, size):
        forged[start + layout.chosen : start + layout.nbytes] = b"\xff" * (layout.nbytes - layout.chosen)
        head = list(HEAD.unpack_from(forged, start))
        head[-2] = zlib.crc32(forged[start + HEAD.size : start + size])
        HEAD.pack_into(forged, start, *head)
        crc = zlib.crc32(forged[start : start + HEAD.size - 4])
        forged[start + HEAD.size - 4 : start + HEAD.size] = crc.to_bytes(4, "little")
    with pytest.raises(ExportError, match="open: .*damaged|open: .*not as it was written"):
        engine.open(bytes(forged))
    assert engine.selection().epoch == 0
    for read in (read_image, lambda area, *of: read_selection(lambda at, n: area[at : at + n], *of)):
        with pytest.raises(ExportError, match="the pool has .*; the area is damaged"):
            read(bytes(forged), compiled.graph, plan)


def test_refusals():
    for how in ({"rule": "velocity"}, {"rule": "random", "skip_dead": True}):
        with pytest.raises(TfodlError, match="axis must be 'out'"):
            Pool(100, axis="in", **how)
    with pytest.raises(TfodlError, match="axis must be one of"):
        Pool(100, axis="columns")
    with pytest.raises(TfodlError, match="of axis 'in' holds input channels; give axis 'in' and bias 'none'"):
        replace(SMALL, layers=(LayerUpdate("#1", "out", (0,)),), pool=INPUTS)
    with pytest.raises(ExportError, match=r"cannot hold a channel of #1 \(CONV_2D\), which takes 54"):
        compile_model(nets.residual_net(), replace(SMALL, pool=replace(INPUTS, bytes=50)))
