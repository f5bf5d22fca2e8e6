"""A device that chooses: numpy = host = Cortex-M4, budgets kept, frozen rows untouched, power cuts."""

from dataclasses import replace

import nets
import numpy as np
import pytest
from digits_net import digits_net, target_digits
from hypothesis import given, settings
from hypothesis import strategies as st

from tflm_export.compiler import compile_model, derive
from tflm_export.errors import ExportError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.front.simplify import simplify
from tflm_export.front.spare import add_spare_classes
from tflm_export.front.write_tflite import patch_constants
from tflm_export.living.choosing import ChoosingSimulator, simulator_of
from tflm_export.living.image import image_layout, read_image, read_selection
from tflm_export.living.new_classes import spare_head
from tflm_export.living.pool import candidates, costs
from tflm_export.living.rules import RULES, Situation, random, top_layers_random
from tflm_export.living.selection import Selection, from_json, to_json
from tflm_export.machines.choosing_cost import measure_choosing
from tflm_export.machines.choosing_host import ChoosingEngine, host_engine
from tflm_export.plan import Guard, LayerUpdate, Memory, Optimizer, UpdatePlan
from tflm_export.pool import Pool
from tfodl.selection.velocity import similarity, velocity_update

SMALL = UpdatePlan(  # 3x3 convolution, depthwise, pointwise in a residual block
    candidates=("#1", "#2", "#3"),
    memory=Memory(samples=8, replays=1),
    pool=Pool(100, "random", epoch=4, samples=3, spend="fill"),
    optimizer=Optimizer(0.05),
    seed=5,
)
VELOCITY = replace(SMALL.pool, rule="velocity", epoch=None)
EVERYTHING = replace(SMALL, guard=Guard(samples=4, held_out=3, every=4), spare_classes=2)
LARGE = replace(
    SMALL,
    candidates=("#1", "#2", "#3", "#5"),
    memory=Memory(samples=12, replays=1),
    pool=Pool(700, "velocity", epoch=10, samples=4),
)
JUDGED = replace(
    LARGE,
    memory=Memory(samples=12, replays=1),
    guard=Guard(samples=6, held_out=3, every=4),
    pool=replace(LARGE.pool, epoch=7),
)
HEAVY = Optimizer(0.05, momentum=0.5, batch=2, rounding="accumulator")
WIDE = replace(
    JUDGED, pool=Pool(3500, "top_layers_random", epoch=8, spend="fill"), spare_classes=2, optimizer=HEAVY
)


def wide_net():
    return add_spare_classes(digits_net(), 2)


@pytest.fixture(scope="module")
def small():
    return simplify(read_tflite(nets.residual_net()))


NEW = {20: 10, 24: 10, 31: 10, 44: 11, 45: 11}  # samples of new classes


def pictures(graph, count, seed=0):
    rng = np.random.default_rng(seed)
    shape = graph.tensors[graph.inputs[0]].shape
    return rng.integers(-128, 128, (count, *shape), np.int8), rng.integers(0, 4, count).tolist()


def learn(machines, xs, ys):
    """Every sample trains and is remembered; the machines agree all the time."""
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        losses = [machine.train_step(x, int(y)) for machine in machines]
        assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-4, abs=3e-5)
        for machine in machines:
            machine.remember(int(y))
        if len(machines) > 1 and i % 5 == 4:
            assert_equal(*machines)


def assert_equal(engine, simulator):
    for name, weights in engine.weights().items():
        np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=name)
    assert engine.history == simulator.history


def dead_net():
    """Some channels of two layers lie far above or below their clamp: they pass no gradient."""
    tflite = nets.residual_net()
    graph, changed = read_tflite(tflite), {}
    for op, channels in (("#1", (0, 2)), ("#3", (1, 3, 5))):
        name = graph.layers[op].bias
        bias = graph.constant(name).copy()
        bias[list(channels)] = 2**20
        changed[name] = bias
    return patch_constants(tflite, changed)


CASES = {
    "random, with all that an optimizer keeps": (
        nets.residual_net,
        replace(SMALL, optimizer=HEAVY, pool=replace(SMALL.pool, bytes=700)),
    ),
    "top layers": (
        nets.residual_net,
        replace(SMALL, pool=replace(SMALL.pool, rule="top_layers_random", top=0.6)),
    ),
    "random, without the dead": (
        dead_net,
        replace(SMALL, pool=replace(SMALL.pool, skip_dead=True, epoch=3)),
    ),
    "fixed, of a plan": (
        nets.residual_net,
        replace(SMALL, layers=(LayerUpdate("#2", "out", (1, 4)),), pool=Pool(40, "fixed", epoch=9)),
    ),
    "velocity": (nets.residual_net, replace(SMALL, pool=replace(VELOCITY, epoch=4))),
    "velocity of digits, judged": (digits_net, JUDGED),
    "top layers, with new classes": (wide_net, WIDE),
}


@pytest.mark.parametrize("case", CASES)
def test_twenty_epochs_are_those_of_numpy(case):
    tflite, plan = CASES[case][0](), CASES[case][1]
    compiled = compile_model(tflite, plan)
    engine, simulator = host_engine(compiled), simulator_of(compiled.graph, plan)
    assert isinstance(engine, ChoosingEngine) and isinstance(simulator, ChoosingSimulator)
    if CASES[case][0] in (digits_net, wide_net):
        xs, ys = target_digits(compiled.graph, 100)
        ys = [NEW.get(i, y) if plan.spare_classes else y for i, y in enumerate(ys)]
    else:
        xs, ys = pictures(compiled.graph, 80 if plan.pool.rule == "fixed" else 45)
    learn([engine, simulator], xs, ys)
    assert len(engine.history) > 15
    if plan.pool.rule != "fixed":
        assert len({str(selection.channels) for selection in engine.history}) > 1
    if plan.pool.skip_dead:
        dead = {"#1": {0, 2}, "#3": {1, 3, 5}}
        assert any(dead[name] & {*engine.history[0].channels[name]} for name in dead)
        later = {name: {c for s in engine.history[1:] for c in s.channels[name]} for name in dead}
        assert not any(later[name] & dead[name] for name in dead) and all(later.values())
    found = read_image(engine.image, compiled.graph, plan)
    chosen = read_selection(lambda at, n: engine.image[at : at + n], compiled.graph, plan)
    assert found.selection == chosen == engine.history[-1]
    scales = next(part for part in image_layout(compiled.graph, plan).parts if part.symbol == "scales")
    size = len(engine.image) // 2
    newest = [engine.image[at + scales.at : at + scales.at + scales.nbytes] for at in (0, size)]
    assert not any(np.frombuffer(part, np.uint8)[3::4].any() for part in newest if set(part) != {255})


def assert_the_board_chooses_the_same(plan):
    """A plan with two spare classes, one of which is met: the emulated board's image is numpy's."""
    net = add_spare_classes(nets.residual_net(), 2)
    compiled = compile_model(net, plan)
    xs, ys = pictures(compiled.graph, 18)
    ys = [4 if i in (4, 7, 11) else y for i, y in enumerate(ys)]
    measured = measure_choosing(compiled, xs, ys, every=3)
    simulator = ChoosingSimulator(compiled.graph, plan)
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        learn([simulator], [x], [y])
        if i % 3 == 2:
            simulator.new_epoch()
    assert measured.image.selection == simulator.history[-1]
    for name, weights in measured.image.weights.items():
        np.testing.assert_array_equal(weights, simulator.weights[name], err_msg=name)
    return simulator, measured


def test_the_board_chooses_the_same():
    """With all that may go with a pool: it judges, goes back, meets a new class."""
    plan = replace(EVERYTHING, pool=replace(VELOCITY, skip_dead=True))
    simulator, measured = assert_the_board_chooses_the_same(plan)
    assert simulator.classes_in_use == 5 and len(simulator.judges) == 4
    assert measured.train_step.cycles < measured.new_epoch.cycles


optimizers = st.sampled_from([Optimizer(0.1), HEAVY, Optimizer(0.1, momentum=0.9)])


@settings(deadline=None, max_examples=25)
@given(
    st.sets(st.sampled_from(["#1", "#2", "#3"]), min_size=1),
    st.sampled_from(sorted(RULES)),
    st.sampled_from(["prefix", "fill"]),
    st.integers(400, 1500),
    optimizers,
    st.sampled_from([None, Guard(samples=2, held_out=2, every=2)]),
    st.integers(0, 99),
)
def test_a_pool_is_never_exceeded_and_frozen_rows_rest(
    small, names, rule, spend, size, optimizer, guard, seed
):
    pool = Pool(size, rule, epoch=3, samples=2, spend=spend, skip_dead=seed % 2 == 1)
    plan = replace(
        SMALL, candidates=tuple(sorted(names)), pool=pool, optimizer=optimizer, guard=guard, seed=seed
    )
    graph, _ = derive(small, plan, "int16")
    simulator = ChoosingSimulator(graph, plan)
    xs, ys = pictures(graph, 9, seed)
    for x, y in zip(xs, ys, strict=True):
        before = {name: array.copy() for name, array in simulator.weights.items()}
        chosen = simulator.chooser.chosen
        assert 0 < costs(simulator.chooser.layers, optimizer)[chosen].sum() <= size
        simulator.train_step(x, y)
        simulator.remember(y)
        for c in simulator.chooser.layers:
            frozen = np.flatnonzero(~chosen[c.span])
            for variable in filter(None, (c.weights, c.bias)):
                axis = variable.axis
                rows = [np.take(w[variable.tensor], frozen, axis) for w in (before, simulator.weights)]
                np.testing.assert_array_equal(*rows)


def test_velocity_is_the_papers(small):
    """Against the float64 functions of the Keras callback, over two epochs."""
    plan = replace(SMALL, pool=Pool(400, "velocity", samples=3))
    graph, _ = derive(small, plan, "int16")
    simulator = ChoosingSimulator(graph, plan)
    phi, v = np.ones(18), np.zeros(18)
    committed = {name: array.copy() for name, array in simulator.weights.items()}
    xs, ys = pictures(graph, 12)
    for part in (slice(0, 6), slice(6, 12)):
        learn([simulator], xs[part], ys[part])
        held = simulator.memory.latents[:3]
        now, before = ([simulator._outputs(x, w) for x in held] for w in (simulator.weights, committed))
        found = []
        for c in simulator.chooser.layers:
            name = c.layer.outputs[0]
            zero = graph.tensors[name].quant.zero_point[0]
            a, b = (np.concatenate([y[name] for y in ys]).astype(float) - zero for ys in (now, before))
            found.append(similarity(a, b))
        latest = np.concatenate(found)
        v, phi = velocity_update(latest - phi, v, plan.pool.mu), latest
        committed = {name: array.copy() for name, array in simulator.weights.items()}
        simulator.new_epoch()
        np.testing.assert_allclose(simulator.chooser.velocity, v, atol=2e-6)
    assert np.abs(v).max() > 1e-4


def test_top_layers_are_those_that_earn_most(small):
    graph, _ = derive(small, SMALL, "int16")
    layers = candidates(graph)
    norms = np.array([100, 400, 1], np.float32)
    pool = Pool(100, "top_layers_random", top=0.5)
    now = Situation(layers, pool, 1, 2, np.zeros(18, bool), np.zeros(18, np.float32), norms, [10, 10, 10])
    scores = top_layers_random(now)
    assert (scores[layers[1].span] == random(now)[layers[1].span]).all()
    assert (scores[layers[0].span] == -1).all() and (scores[layers[2].span] == -1).all()
    everything = top_layers_random(replace(now, pool=replace(pool, top=1.0)))
    assert (everything == random(now)).all()


@pytest.mark.parametrize("pool", [VELOCITY, Pool(160, axis="in", spend="fill")], ids=["velocity", "inputs"])
def test_a_power_cut_anywhere_in_an_epochs_end_leaves_one_of_the_two(pytestconfig, pool):
    """Cuts before every operation of the third epoch's end, half of the cut operation done; of most a
    sample (--cut-every 1: of all)."""
    plan = replace(EVERYTHING, pool=replace(pool, epoch=4))
    compiled = compile_model(add_spare_classes(nets.residual_net(), 2), plan)
    engine = ChoosingEngine(compiled)
    xs, ys = pictures(compiled.graph, 24)

    def to_third_end(cut):
        engine.cut_power_after(-1)
        engine.reset()
        engine.open()
        for x, y in zip(xs[:20], ys[:20], strict=True):
            engine.train_step(x, y)
            engine.remember(y)
        before = read_image(engine.image, compiled.graph, compiled.plan)
        start = engine.operations
        engine.cut_power_after(cut)
        try:
            engine.new_epoch()
        except ExportError:
            assert cut >= 0
        return before, engine.operations - start

    _, operations = to_third_end(-1)
    after = read_image(engine.image, compiled.graph, compiled.plan)
    assert operations > 50
    lost = 0
    for cut in [
        1,
        2,
        3,
        *range(4, operations, pytestconfig.getoption("--cut-every")),
        operations - 2,
        operations - 1,
        operations,
    ]:
        before, _ = to_third_end(cut)
        engine.cut_power_after(-1)
        engine.open(engine.image)
        found = engine.selection()
        expected = before if found == before.selection else after
        lost += found != expected.selection
        for name, weights in engine.weights().items():
            np.testing.assert_array_equal(weights, expected.weights[name], err_msg=f"{cut} {name}")
        engine.new_epoch()  # over what the cut left
        assert read_image(engine.image, compiled.graph, compiled.plan).selection == engine.selection()
    assert lost == 0


def test_what_was_learned_goes_on_after_a_restart():
    """Rows that left the pool too; what the optimizer remembers of the head, and the gradients' shifts."""
    plan = replace(SMALL, optimizer=HEAVY, memory=Memory(samples=8, replays=0), pool=Pool(700, "random"))
    compiled = compile_model(nets.residual_net(), plan)
    one, simulator = ChoosingEngine(compiled), ChoosingSimulator(compiled.graph, plan)
    xs, ys = pictures(compiled.graph, 24)
    for part in (slice(0, 6), slice(6, 12), slice(12, 18)):
        learn([one, simulator], xs[part], ys[part])
        one.new_epoch()
        simulator.new_epoch()
    two = ChoosingEngine(compiled, one.image)
    assert two.selection() == one.selection()
    moved = {n for n, w in two.weights().items() if (w != compiled.graph.constant(n)).any()}
    left = {c.weights.tensor for c in simulator.chooser.layers if not simulator.chooser.chosen[c.span].any()}
    assert moved & left
    for x, y in zip(xs[18:], ys[18:], strict=True):
        assert two.train_step(x, y) == one.train_step(x, y)
    for name, weights in two.weights().items():
        np.testing.assert_array_equal(weights, one.weights()[name], err_msg=name)


def test_a_class_that_was_met_before_the_power_went_is_no_young_one():
    """Its samples are gone, so its row is learned on, not made anew of the first sample."""
    plan = replace(SMALL, spare_classes=2, memory=Memory(samples=8, replays=0))
    compiled = compile_model(add_spare_classes(nets.residual_net(), 2), plan)
    one = ChoosingEngine(compiled)
    xs, _ = pictures(compiled.graph, 6)
    for x in xs[:4]:
        one.train_step(x, 4)
        one.remember(4)
    one.new_epoch()
    two = ChoosingEngine(compiled, one.image)
    head = spare_head(compiled.graph, plan).weights
    assert two.classes_in_use == 5
    met = two.weights()[head]
    two.train_step(xs[4], 4)
    learned = two.weights()[head]
    assert (learned != met).any()
    two.remember(4)
    np.testing.assert_array_equal(two.weights()[head], learned)
    two.train_step(xs[5], 5)
    two.remember(5)
    assert two.classes_in_use == 6 and (two.weights()[head][:5] == learned[:5]).all()


def test_an_image_of_another_engine_is_refused_and_a_format_begins_anew():
    one = compile_model(nets.residual_net(), SMALL)
    engine = ChoosingEngine(one)
    engine.new_epoch()
    other = compile_model(nets.residual_net(), replace(SMALL, seed=6))
    with pytest.raises(ExportError, match="another engine"):
        ChoosingEngine(other, engine.image)
    with pytest.raises(ExportError, match="none of this engine"):
        read_image(engine.image, other.graph, other.plan)
    with pytest.raises(ExportError, match="this engine's area has"):
        engine.open(b"123")
    engine.format()
    engine.open(engine.image)
    assert engine.selection().epoch == 0


def test_pages_that_stay_the_same_are_not_erased():
    plan = replace(LARGE, pool=Pool(700, "fixed"))
    compiled = compile_model(digits_net(), plan)
    engine = ChoosingEngine(compiled)
    pages = image_layout(compiled.graph, plan).pages
    for _ in range(2):
        engine.new_epoch()
    assert engine.erases == 2 * pages
    engine.new_epoch()
    assert engine.erases == 2 * pages + 1  # the head's


def test_selections_are_json_both_ways():
    one = [Selection(0, 0, {"#1": (1, 2), "#2": ()}), Selection(1, 8, {"#1": (), "#2": (0,)})]
    assert from_json(to_json(one)) == one and to_json(one).count("\n") == 4
    with pytest.raises(ExportError, match="not what to_json wrote"):
        from_json("[1]")


def test_refusals():
    net = nets.residual_net()
    with pytest.raises(ExportError, match=r"cannot hold a channel of #1 \(CONV_2D\), which takes 31"):
        compile_model(net, replace(SMALL, pool=Pool(20)))
    with pytest.raises(ExportError, match="a memory of 3 samples leaves none"):
        compile_model(net, replace(SMALL, pool=Pool(100, "velocity", samples=3), memory=Memory(samples=3)))
    with pytest.raises(ExportError, match="its layers take 62 bytes of a pool of 40"):
        compile_model(net, replace(SMALL, layers=(LayerUpdate("#1", "out", (0, 1)),), pool=Pool(40)))
    with pytest.raises(ExportError, match="#9 is the head"):
        compile_model(net, replace(SMALL, candidates=("#9",)))
    with pytest.raises(ExportError, match="ADD '#4' has no weights"):
        compile_model(net, replace(SMALL, candidates=("#4",)))
    with pytest.raises(ExportError, match="a pool takes int16 gradients"):
        compile_model(net, SMALL, gradients="float32")
    compiled = compile_model(net, replace(SMALL, pool=None))
    for kind in (ChoosingEngine, lambda c: ChoosingSimulator(c.graph, c.plan)):
        with pytest.raises(ExportError, match="has no pool"):
            kind(compiled)
